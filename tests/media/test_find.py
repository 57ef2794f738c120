"""Files under the names that downloaders give them, in folders made by the test."""

import itertools
import os
import pickle

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from mmat.files import InputError
from mmat.lists.clip import Clip
from mmat.lists.ways import Way
from mmat.media.find import MediaFolder


def touch(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def public(video_id="-abcdefghij", start=30.0, end=40.0):
    """A clip as the public lists have it."""
    id = f"{video_id}_{start:.3f}_{end:.3f}"
    return Clip(id, id + ".wav", (), start, end, source_group=video_id, video_id=video_id)


def find(folder, clip):
    """Return (name inside the folder, start, end), or None."""
    found = MediaFolder(folder).find(clip)
    return found and (
        found.path.relative_to(folder).as_posix(),
        found.start_seconds,
        found.end_seconds,
    )


TRIMMED = ["-abcdefghij_30.000_40.000", "-abcdefghij_30_40", "-abcdefghij_30000_40000"]


@pytest.mark.parametrize("subfolder", ["", "eval/a b/"])
@pytest.mark.parametrize("y", ["", "Y"])
@pytest.mark.parametrize("suffix", [".wav", ".flac", ".webm", ".MP4"])
def test_trimmed_files_are_read_whole_and_videos_in_part(tmp_path, suffix, y, subfolder):
    for stem in TRIMMED:
        name = subfolder + y + stem + suffix
        touch(tmp_path, name)
        assert find(tmp_path, public()) == (name, None, None)
        (tmp_path / name).unlink()
    assert find(tmp_path, public()) is None
    name = f"{subfolder}{y}-abcdefghij{suffix}"
    touch(tmp_path, name)
    assert find(tmp_path, public()) == (name, 30.0, 40.0)


def test_an_id_that_begins_with_y_itself(tmp_path):
    touch(tmp_path, "Ybcdefghijk.mp4", "bcdefghijk_.mp4")
    assert find(tmp_path, public("Ybcdefghijk"))[0] == "Ybcdefghijk.mp4"
    touch(tmp_path, "YYbcdefghijk_30.000_40.000.wav")
    assert find(tmp_path, public("Ybcdefghijk"))[0] == "YYbcdefghijk_30.000_40.000.wav"


def test_times_with_fractions_and_at_zero(tmp_path):
    touch(tmp_path, "a_0.000_5.500.wav", "b_0_5.5.wav", "c_0_5500.wav")
    for video_id in "abc":
        assert find(tmp_path, public(video_id, 0.0, 5.5))[0].startswith(video_id)
    assert find(tmp_path, public("a", 0.0, 5.0)) is None


def test_the_earlier_of_several_names_is_taken(tmp_path):
    better_first = [
        "-abcdefghij_30.000_40.000.wav",
        "Y-abcdefghij_30.000_40.000.wav",
        "-abcdefghij_30.000_40.000.mp4",
        "x/-abcdefghij_30.000_40.000.wav",
        "Y-abcdefghij_30.000_40.000.mkv",
        "-abcdefghij_30_40.wav",
        "-abcdefghij_30000_40000.wav",
        "-abcdefghij.webm",
        "-abcdefghij.mp3",
    ]
    touch(tmp_path, *better_first)
    for name in better_first:
        assert find(tmp_path, public())[0] == name
        (tmp_path / name).unlink()


def test_a_users_list_names_the_subfolder(tmp_path):
    touch(tmp_path, "dogs/1.mp4", "cats/1.wav", "Ybirds.wav", "dogs/2_1.000_2.000.wav")
    assert find(tmp_path, Clip("", "dogs/1.wav")) == ("dogs/1.mp4", None, None)
    assert find(tmp_path, Clip("", "dogs/1.mp4", (), 1.0, 2.0)) == ("dogs/1.mp4", 1.0, 2.0)
    assert find(tmp_path, Clip("", "dogs/1", (), 1.0)) == ("dogs/1.mp4", 1.0, None)
    assert find(tmp_path, Clip("", "birds.wav", (), 1.0, 2.0)) == ("Ybirds.wav", 1.0, 2.0)
    assert find(tmp_path, Clip("", "1.wav")) is None
    assert find(tmp_path, Clip("", "dogs/2.wav", (), 1.0, 2.0)) == (
        "dogs/2_1.000_2.000.wav",
        None,
        None,
    )
    assert find(tmp_path, Clip("", "dogs/2.wav", (), 1.0, 3.0)) is None


def test_a_public_list_that_names_the_whole_video_reads_a_part(tmp_path):
    touch(tmp_path, "abc.mp4")
    assert find(tmp_path, Clip("", "abc.mp4", (), 3.0, 4.0, video_id="abc")) == ("abc.mp4", 3, 4)


def test_any_file_that_the_list_names_is_taken_and_others_only_with_a_media_suffix(tmp_path):
    touch(tmp_path, "odd.dat", "abc.jpg", "abc.part", "abc")
    (tmp_path / "abc.mp4").mkdir()
    os.symlink(tmp_path / "gone", tmp_path / "abc.wav")
    assert find(tmp_path, Clip("", "odd.dat")) == ("odd.dat", None, None)
    assert find(tmp_path, public("abc")) is None


def test_links_are_followed_and_loops_end(tmp_path):
    media, elsewhere = tmp_path / "media", tmp_path / "elsewhere"
    touch(elsewhere, "abc.mp4", "x/bcd.mp4")
    media.mkdir()
    os.symlink(elsewhere, media / "disk2")
    os.symlink(media, elsewhere / "loop")
    assert find(media, public("abc"))[0] == "disk2/abc.mp4"
    assert find(media, public("bcd"))[0] == "disk2/x/bcd.mp4"


def test_the_folder_is_searched_once_and_only_when_needed(tmp_path):
    touch(tmp_path, "a.wav")
    folder = MediaFolder(tmp_path)
    assert folder.find(Clip("", "a.wav"))
    touch(tmp_path, "b.mp4")
    assert folder.find(Clip("", "b.wav"))  # here the folder is searched
    touch(tmp_path, "c.mp4")
    assert folder.find(Clip("", "c.wav")) is None
    assert folder.find(Clip("", "c.mp4"))
    assert pickle.loads(pickle.dumps(folder)).find(Clip("", "b.wav"))


def test_a_folder_that_is_none(tmp_path):
    touch(tmp_path, "file")
    for name in ("absent", "file"):
        with pytest.raises(InputError, match="no such media folder"):
            MediaFolder(tmp_path / name)


IDS = st.text(st.sampled_from("Yab-_01"), min_size=11, max_size=11)


@settings(max_examples=30, deadline=None)
@given(ids=st.sets(IDS, min_size=1, max_size=8), data=st.data())
def test_no_clip_gets_the_file_of_another(tmp_path_factory, ids, data):
    """Every clip of every video is found, and nothing but its own file."""
    folder = tmp_path_factory.mktemp("media")
    names = {}
    for video_id, (start, end) in itertools.product(ids, [(0.0, 10.0), (10.0, 20.5)]):
        form = data.draw(st.sampled_from(["{0}_{1:.3f}_{2:.3f}", "{0}_{1:g}_{2:g}", ""]))
        if form:
            y = data.draw(st.sampled_from(["", "Y"]))
            names[video_id, start] = y + form.format(video_id, start, end) + ".flac"
            touch(folder, names[video_id, start])
    media = MediaFolder(folder)
    for video_id, (start, end) in itertools.product(ids, [(0.0, 10.0), (10.0, 20.5)]):
        found = media.find(public(video_id, start, end))
        assert (found and found.path.name) == names.get((video_id, start))


# Files of which only the length says whether they are the whole video or the range alone.

RATE_HZ = 8000


def write_ramp(path, seconds, first_second=0.0):
    """Write a sound whose value says which second of the video it is, a hundredth a second."""
    path.parent.mkdir(parents=True, exist_ok=True)
    moments = first_second + np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    soundfile.write(path, moments / 100, RATE_HZ, "FLOAT")


def seconds_read(found):
    """Return the first and the last second of the video that are read."""
    waveform, rate = soundfile.read(found.path)
    start = round((found.start_seconds or 0.0) * rate)
    end = len(waveform) if found.end_seconds is None else round(found.end_seconds * rate)
    part = waveform[start:end] * 100
    return (part[0], part[-1] + 1 / rate) if len(part) else None


def placed(folder, clip):
    found = MediaFolder(folder).find(clip)
    return found.way, found.start_seconds, found.end_seconds


@pytest.mark.parametrize("suffix", ["wav", "flac"])
@pytest.mark.parametrize(
    ("seconds", "start", "way"),
    [
        (10.0, 30.0, Way.TRIMMED),
        (10.0, 5.0, Way.TRIMMED),  # the range overlaps the file, and yet it is the clip
        (10.9, 30.0, Way.TRIMMED),
        (9.2, 30.0, Way.TRIMMED),
        (10.0, 0.5, Way.TRIMMED),
        (10.5, 0.5, Way.CUT),
        (14.8, 5.0, Way.CUT),  # nearer to the range's end
        (40.0, 30.0, Way.CUT),
        (39.9, 30.0, Way.CUT),
        (300.0, 30.0, Way.CUT),
        (35.0, 30.0, Way.CUT),  # a video that ends too early
        (6.0, 30.0, Way.TRIMMED_SHORT),
        (6.0, 5.0, Way.TRIMMED_SHORT),
        (20.0, 30.0, Way.TOO_SHORT),  # longer than the range, and over before it begins
        (10.0, 0.0, Way.BEGINNING),
        (300.0, 0.0, Way.BEGINNING),
    ],
)
def test_the_length_of_a_videos_file_decides(seconds, start, way, suffix, tmp_path):
    soundfile.write(tmp_path / f"Y-abcdefghij.{suffix}", np.zeros(round(seconds * 1000)), 1000)
    times = (None, None) if way.is_trimmed else (start, start + 10.0)
    assert placed(tmp_path, public(start=start, end=start + 10.0)) == (way, *times)


@pytest.mark.parametrize(
    ("seconds", "way"),
    [
        (10.0, Way.TRIMMED),
        (40.0, Way.CUT),
        (6.0, Way.TOO_SHORT),  # nothing says that such a range was ever in the file
        (35.0, Way.CUT),
    ],
)
def test_the_length_of_a_users_file_decides(seconds, way, tmp_path):
    write_ramp(tmp_path / "dogs" / "rex.wav", seconds)
    times = (None, None) if way.is_trimmed else (30.0, 40.0)
    assert placed(tmp_path, Clip("", "dogs/rex.wav", (), 30.0, 40.0)) == (way, *times)


def test_short_ranges_leave_less_room(tmp_path):
    write_ramp(tmp_path / "rex.wav", 2.0)
    for start, end, way in (
        (1.0, 2.0, Way.CUT),
        (1.0, 2.9, Way.TRIMMED),
        (0.5, 2.0, Way.CUT),
        (1.2, 2.2, Way.CUT),
        (1.0, None, Way.CUT),
        (2.0, None, Way.TOO_SHORT),
        (None, 1.0, Way.BEGINNING),
        (None, None, Way.WHOLE),
    ):
        assert MediaFolder(tmp_path).find(Clip("", "rex.wav", (), start, end)).way == way


def test_a_films_length_decides_too(tmp_path, write_container):
    write_container(tmp_path / "Y-abcdefghij.mp4")  # two seconds
    assert placed(tmp_path, public(start=30.0, end=32.0))[0] == Way.TRIMMED
    assert placed(tmp_path, public(start=1.0, end=2.0))[0] == Way.CUT


def test_a_file_of_unknown_length_is_the_whole_video(tmp_path):
    (tmp_path / "-abcdefghij.mp4").write_bytes(b"no film")
    assert placed(tmp_path, public()) == (Way.CUT, 30.0, 40.0)


def test_a_length_is_read_once_and_only_where_it_decides(tmp_path):
    write_ramp(tmp_path / "-abcdefghij.wav", 10.0)
    folder = MediaFolder(tmp_path)
    assert folder.find(public()).way == Way.TRIMMED
    write_ramp(tmp_path / "-abcdefghij.wav", 100.0)  # which nobody looks at again
    assert folder.find(public()).way == Way.TRIMMED
    assert folder.find(public()).duration_seconds() == 10.0
    assert folder.find(public(start=50.0, end=61.0)).way == Way.TRIMMED
    assert MediaFolder(tmp_path).find(public()).way == Way.CUT


OTHER_NAMES = [
    "{id}_50.0-60.0",
    "{id}_50.0_60.0",
    "{id}-50-60",
    "{id}-50.000-60.000",
    "{id}.50-60",
    "{id}_50_to_60",
    "{id}_50000-60000",
    "{id}_000050_000060",
    "{id}_50.00_60.00",
    "{id} 50-60",
    "{id}_50000",
    "{id}_000050",
    "{id}_50.000",
    "{id}-50.0",
]


@pytest.mark.parametrize("form", OTHER_NAMES)
def test_names_with_times_are_proof(form, tmp_path):
    """No length is read: the files are empty."""
    name = form.format(id="Y-abcdefghij") + ".wav"
    touch(tmp_path, "x/" + name)
    assert find(tmp_path, public(start=50.0, end=60.0)) == ("x/" + name, None, None)
    for start, end in ((51.0, 61.0), (5.0, 6.0), (500.0, 600.0), (50.001, 60.0)):
        assert find(tmp_path, public(start=start, end=end)) is None


def test_a_small_number_alone_may_count_clips_and_needs_the_length(tmp_path):
    write_ramp(tmp_path / "-abcdefghij_30.wav", 10.0)
    write_ramp(tmp_path / "-abcdefghij_1.wav", 4.0)
    touch(tmp_path, "-abcdefghij_2.wav")
    assert placed(tmp_path, public()) == (Way.TRIMMED, None, None)
    assert find(tmp_path, public(start=1.0, end=11.0)) is None
    assert find(tmp_path, public(start=2.0, end=12.0)) is None
    assert find(tmp_path, public(start=1.0, end=5.0)) == ("-abcdefghij_1.wav", None, None)


def test_seconds_and_milliseconds_are_not_mixed(tmp_path):
    touch(tmp_path, "-abcdefghij_000050.wav", "-abcdefghij_50000.mp4")
    assert find(tmp_path, public(start=0.05, end=10.05)) is None
    assert find(tmp_path, public(start=50.0, end=60.0))[0] == "-abcdefghij_000050.wav"
    touch(tmp_path, "-abcdefghij_30_40000.wav", "-abcdefghij_1000_2000.wav")
    assert find(tmp_path, public()) is None
    assert find(tmp_path, public(start=1.0, end=2.0))[0] == "-abcdefghij_1000_2000.wav"
    assert find(tmp_path, public(start=1000.0, end=2000.0))[0] == "-abcdefghij_1000_2000.wav"


def test_a_title_may_stand_before_the_id(tmp_path):
    touch(tmp_path, "A [dog] barks [-abcdefghij].webm")
    assert find(tmp_path, public()) == ("A [dog] barks [-abcdefghij].webm", 30.0, 40.0)
    touch(tmp_path, "x/-abcdefghij.mp3")
    assert find(tmp_path, public())[0] == "A [dog] barks [-abcdefghij].webm"
    touch(tmp_path, "-abcdefghij.mp3")
    assert find(tmp_path, public())[0] == "-abcdefghij.mp3"
    assert find(tmp_path, Clip("", "[-abcdefghij].wav")) is None


def test_what_is_no_media_is_counted(tmp_path):
    touch(tmp_path, "a.wav", "a.info.json", "x/b.json", "x/b.mp4.part", ".hidden")
    folder = MediaFolder(tmp_path)
    assert folder.find(Clip("", "c.wav")) is None
    assert folder.left_out == {".json": 2, ".part": 1, "hidden": 1}


NAMINGS = [
    "",
    "_{0:.3f}_{1:.3f}",
    "_{0:g}_{1:g}",
    "_{0:.1f}-{1:.1f}",
    "-{0:g}-{1:g}",
    "_{ms0}_{ms1}",
    "_{ms0}",
    "_{0:g}",
    "_{0:.3f}",
]


@settings(max_examples=60, deadline=None)
@given(
    naming=st.sampled_from(NAMINGS),
    whole=st.booleans(),
    y=st.sampled_from(["", "Y"]),
    start=st.integers(0, 400).map(lambda n: n / 10),
    length=st.integers(5, 200).map(lambda n: n / 10),
)
def test_what_is_read_has_the_clips_length_and_place(
    tmp_path_factory, naming, whole, y, start, length
):
    """Whatever a file is called and whether it was trimmed: the very seconds of the video."""
    folder = tmp_path_factory.mktemp("media")
    end = round(start + length, 1)
    times = naming.format(start, end, ms0=round(start * 1000), ms1=round(end * 1000))
    path = folder / f"{y}-abcdefghij{times}.wav"
    if whole and not naming:
        write_ramp(path, end + 10.0)
    else:
        write_ramp(path, length, start)
    found = MediaFolder(folder).find(public(start=start, end=end))
    assert found.path == path
    assert seconds_read(found) == pytest.approx((start, end), abs=0.001)
