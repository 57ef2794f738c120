"""Files under the names that downloaders give them, in folders made by the test."""

import itertools
import os
import pickle

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmat.files import InputError
from mmat.lists.clip import Clip
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
