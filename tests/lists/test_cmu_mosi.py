"""CMU-MOSI's label file as a clip list, and its segments cut out of videos into shards."""

import collections
import math

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmat.files import InputError
from mmat.labels import SENTIMENT
from mmat.lists.clip import Clip
from mmat.lists.cmu_mosi import published_folds, read_csd
from mmat.lists.own import write_clip_list
from mmat.lists.read import read_list
from mmat.shards.prepare import prepare
from mmat.shards.read import read_arrays
from tests.lists.made_mosi import (
    ROOT,
    SECONDS,
    SPLITS,
    VIDEOS,
    make_videos,
    picture_seconds,
    write_csd,
)
from tests.media.sounds import loudest_hz, onset_seconds

ONE = {"2iD-tVS8NPw": ([-1.5, 0.5, 2.0], [(0, 1), (1, 2), (2, 3)])}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """(Label file, folder of videos)."""
    folder = tmp_path_factory.mktemp("mosi")
    return write_csd(folder / "labels.csd", VIDEOS), make_videos(folder / "videos")


def test_the_published_folds_are_whole_and_do_not_overlap():
    folds = published_folds()
    counts = collections.Counter(folds.values())
    assert counts == {"train": 52, "validation": 10, "test": 31}
    assert all(len(video) == 11 for video in folds)  # ids of YouTube
    assert folds["2iD-tVS8NPw"] == "train" and folds["c7UH_rxdZv4"] == "test"


def test_every_segment_is_a_clip_with_its_value_and_its_fold(made):
    found = read_csd(made[0])
    assert found.labels == SENTIMENT and not found.dropped
    clips = {clip.id: clip for clip in found.clips}
    assert len(clips) == len(found.table) == 6
    for video, (sentiments, intervals, _) in VIDEOS.items():
        for i, (sentiment, interval) in enumerate(zip(sentiments, intervals, strict=True)):
            assert clips[f"{video}_{i + 1}"] == Clip(
                id=f"{video}_{i + 1}",
                file=f"{video}.mp4",
                labels=("sentiment",),
                values=(float(np.float32(sentiment)),),
                start_seconds=interval[0],
                end_seconds=interval[1],
                split=SPLITS[video],
                source_group=video,
                video_id=video,
            )


def test_other_folds_may_be_given(made):
    found = read_csd(made[0], folds={"tmZoasNr4rU": "train"})
    assert found.table["id"].tolist() == ["tmZoasNr4rU_1"] and found.table["split"][0] == "train"
    assert [(row.file, row.line) for row in found.dropped] == [
        (f"{made[0]}:{video}", 0) for video in ("2iD-tVS8NPw", "_dI--eQ6qVU")
    ]
    assert {row.reason for row in found.dropped} == {"the video is in none of the folds"}


@pytest.mark.parametrize(
    ("sentiment", "interval", "reason"),
    [
        (math.nan, (1, 2), "the sentiment nan is not between -3 and 3"),
        (3.25, (1, 2), "the sentiment 3.25 is not between -3 and 3"),
        (-math.inf, (1, 2), "the sentiment -inf is not between -3 and 3"),
        (0, (2, 1.5), "end 1.5 is not after start 2.0"),
        (0, (2, 2), "end 2.0 is not after start 2.0"),
        (0, (-0.5, 2), "start '-0.5' is not a number of seconds from 0 up"),
        (0, (0, math.nan), "end 'nan' is not a number of seconds from 0 up"),
    ],
)
def test_a_wrong_segment_costs_itself_alone(tmp_path, sentiment, interval, reason):
    videos = {"2iD-tVS8NPw": ([1, sentiment, 2], [(0, 1), interval, (3, 4)])}
    path = write_csd(tmp_path / "labels.csd", videos)
    found = read_csd(path)
    assert found.table["id"].tolist() == ["2iD-tVS8NPw_1", "2iD-tVS8NPw_3"]
    assert found.dropped == ((f"{path}:2iD-tVS8NPw", 2, reason),)
    with pytest.raises(InputError) as error:
        read_csd(path, strict=True)
    assert str(error.value) == f"{path}:2iD-tVS8NPw:2: {reason}"


def other_features(value):
    def damage(video):
        del video["features"]
        video["features"] = value

    return damage


def linked_elsewhere(video):
    del video["intervals"]
    video["intervals"] = h5py.ExternalLink("other.csd", f"/{ROOT}/data/2iD-tVS8NPw/intervals")


def stored_elsewhere(video):
    del video["features"]
    file = video.file.filename.replace("labels.csd", "secret.bin")
    video.create_dataset("features", (3, 1), "f4", external=[(file, 0, 12)])


def pieced_together(video):
    layout = h5py.VirtualLayout((3, 1), "f4")
    layout[:] = h5py.VirtualSource("other.csd", f"/{ROOT}/data/2iD-tVS8NPw/features", (3, 1))
    del video["features"]
    video.create_virtual_dataset("features", layout)


def without_end(video):
    del video["features"]
    video.create_dataset("features", (1 << 40, 1), "f4", chunks=(1024, 1))


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (other_features(np.zeros((3, 300))), "'features' is float64 (3, 300), not numbers (n, 1)"),
        (other_features(np.zeros(3)), "'features' is float64 (3,), not numbers (n, 1)"),
        (other_features(1.5), "'features' is float64 (), not numbers (n, 1)"),
        (other_features([["good"]] * 3), "'features' is object (3, 1), not numbers (n, 1)"),
        (other_features(np.zeros((2, 1))), "2 sentiments, but 3 intervals"),
        (without_end, "'features' is float32 (1099511627776, 1), not numbers (n, 1)"),
        (lambda video: video.pop("features"), "no 'features' in it, but 'intervals'"),
        (linked_elsewhere, "'intervals' is a link, which is not followed"),
        (stored_elsewhere, "'features' is no array of this file"),
        (pieced_together, "'features' is no array of this file"),
    ],
)
def test_a_wrong_video_costs_itself_alone(tmp_path, damage, reason):
    write_csd(tmp_path / "other.csd", ONE)
    (tmp_path / "secret.bin").write_bytes(np.float32([1, 2, 3]).tobytes())
    path = write_csd(tmp_path / "labels.csd", ONE | {"tmZoasNr4rU": ([1.0], [(0, 2)])})
    with h5py.File(path, "a") as file:
        damage(file[f"{ROOT}/data/2iD-tVS8NPw"])
    found = read_csd(path)
    assert found.table["id"].tolist() == ["tmZoasNr4rU_1"]
    (dropped,) = found.dropped
    assert (dropped.file, dropped.line) == (f"{path}:2iD-tVS8NPw", 0)
    assert dropped.reason.startswith(reason)


def no_hdf5(path):
    path.write_text("video,sentiment\n")


def cut_off(path):
    content = write_csd(path, ONE).read_bytes()
    path.write_bytes(content[: len(content) // 2])


def empty(path):
    h5py.File(path, "w").close()


def rootless(path):
    write_csd(path, ONE, root="All Labels")


def a_link(path):
    write_csd(path.with_name("other.csd"), ONE)
    with h5py.File(path, "w") as file:
        file[ROOT] = h5py.ExternalLink("other.csd", f"/{ROOT}")


def without_data(path):
    with h5py.File(path, "w") as file:
        file[f"{ROOT}/data"] = np.zeros(3)


def without_segments(path):
    write_csd(path, {"2iD-tVS8NPw": ([], [])})


def all_wrong(path):
    write_csd(path, {"2iD-tVS8NPw": ([9.0], [(0, 1)])})


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda path: None, "cannot read the label file: No such file"),
        (lambda path: path.mkdir(), "cannot read the label file: Is a directory"),
        (no_hdf5, "not an HDF5 file"),
        (cut_off, "not an HDF5 file, or a damaged one"),
        (empty, f"no '{ROOT}' in it, but nothing; is this CMU_MOSI_Opinion_Labels.csd?"),
        (rootless, f"no '{ROOT}' in it, but 'All Labels'; is this"),
        (a_link, f"'{ROOT}' is a link, which is not followed"),
        (without_data, "'data' is no group"),
        (without_segments, "names no segment"),
        (all_wrong, "2iD-tVS8NPw:1: the sentiment 9 is not between -3 and 3"),
    ],
)
def test_what_is_no_label_file_is_refused_in_one_line(tmp_path, make, words):
    path = tmp_path / "labels.csd"
    make(path)
    with pytest.raises(InputError) as error:
        read_csd(path)
    assert str(error.value).startswith(f"{path}:") and words in str(error.value)
    assert "\n" not in str(error.value)


segments = st.tuples(
    st.floats(-4, 4, width=32) | st.just(math.nan), st.floats(-1, 60), st.floats(-1, 60)
)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.lists(segments, max_size=5), min_size=1, max_size=3))
def test_good_segments_are_kept_exactly_and_the_others_are_named(tmp_path_factory, found):
    path = tmp_path_factory.mktemp("any") / "labels.csd"
    names = sorted(SPLITS)[: len(found)]
    videos = {
        name: ([s for s, *_ in rows], [times for _, *times in rows])
        for name, rows in zip(names, found, strict=True)
    }
    write_csd(path, videos)
    good, wrong = {}, set()
    for name, rows in zip(names, found, strict=True):
        for number, (sentiment, start, end) in enumerate(rows, start=1):
            if abs(sentiment) <= 3 and 0 <= start < end:
                good[f"{name}_{number}"] = (sentiment, start, end)
            else:
                wrong.add((f"{path}:{name}", number))
    if not good:
        with pytest.raises(InputError):
            read_csd(path)
        return
    read = read_csd(path)
    clips = read.clips
    assert {c.id: (*c.values, c.start_seconds, c.end_seconds) for c in clips} == good
    assert {(row.file, row.line) for row in read.dropped} == wrong


def test_a_list_keeps_every_segment_and_its_value(made, tmp_path):
    clips = read_csd(made[0]).clips
    write_clip_list(tmp_path / "list.csv", clips)
    again = read_list(tmp_path / "list.csv", SENTIMENT, strict=True)
    assert again.clips == clips


class MeanGrey:
    """An image network that tells when its pictures are shown: two labels, one the grey."""

    name, input_size_px = "mean grey", 32

    def classify(self, pictures):
        grey = pictures.mean(axis=(1, 2, 3)) / 255
        return np.stack([grey, 1 - grey], axis=1)


@pytest.fixture(scope="module", params=[None, 2.0])
def cut(request, made, tmp_path_factory):
    """(Length of the clips or None, arrays of each split) of the segments in shards."""
    out = tmp_path_factory.mktemp("cut") / "shards"
    found = read_csd(made[0])
    index = prepare(
        found.clips, made[1], out, found.labels, MeanGrey(), n_frames=4,
        clip_seconds=request.param, workers=0, progress=False,
    )  # fmt: skip
    assert index["failures"] == 0
    return request.param, {split: read_arrays(out, split) for split in SPLITS.values()}


def each_segment(cut):
    """Yield (video, interval, sound, pictures' seconds) of every clip; its value is as it was."""
    _, splits = cut
    for video, (sentiments, intervals, _) in VIDEOS.items():
        arrays = splits[SPLITS[video]]
        assert arrays["ids"] == [f"{video}_{i + 1}" for i in range(len(intervals))]
        for i, interval in enumerate(intervals):
            sound = arrays["waveform"][i, : arrays["n_samples"][i], 0]
            assert arrays["weak_labels"][i].tolist() == [np.float32(sentiments[i])]
            grey = 255 * arrays["image_probabilities"][i, :, 0]
            yield video, interval, sound, picture_seconds(grey)


def test_segments_last_as_long_as_their_intervals_or_as_was_asked(cut):
    seconds = cut[0]
    for _, (start, end), sound, _ in each_segment(cut):
        assert abs(len(sound) - 16_000 * (end - start if seconds is None else seconds)) <= 1


def test_a_sound_is_in_the_segments_during_which_it_sounds_and_in_no_other(cut):
    heard = 0
    for video, (start, end), sound, _ in each_segment(cut):
        end = min(end, start + (cut[0] or SECONDS))
        beep = VIDEOS[video][2]
        if max(beep, start) >= min(beep + 1, end):
            assert np.abs(sound[800:]).max() < 0.01  # the codec's ringing at most
            continue
        heard += 1
        assert abs(onset_seconds(sound) - max(beep - start, 0)) <= 0.02
        beginning = round(16_000 * max(beep - start, 0))
        ending = round(16_000 * (min(beep + 1, end) - start))
        assert abs(loudest_hz(sound[beginning:ending]) - 1000) < 5
    assert heard == 3


def test_pictures_are_those_of_the_segment(cut):
    for _, (start, end), _, shown in each_segment(cut):
        end = min(end, start + (cut[0] or SECONDS))
        wanted = start + (end - start) * (np.arange(4) + 0.5) / 4
        assert np.abs(shown - wanted).max() < 0.15  # ten pictures a second, and the codec's greys


def test_videos_may_have_other_suffixes_and_lie_in_subfolders(made, tmp_path):
    clips = read_csd(made[0]).clips
    deeper = tmp_path / "Video" / "Full"
    deeper.mkdir(parents=True)
    for video in VIDEOS:
        (deeper / f"{video}.avi").symlink_to(made[1] / f"{video}.mp4")
    index = prepare(clips, tmp_path, tmp_path / "shards", SENTIMENT, workers=0, progress=False)
    assert index["failures"] == 0
    assert [index["splits"][name]["clips"] for name in ("train", "validation", "test")] == [3, 2, 1]


def test_a_video_that_is_missing_costs_its_segments_alone(made, tmp_path):
    (tmp_path / "media").mkdir()
    (tmp_path / "media" / "2iD-tVS8NPw.mp4").symlink_to(made[1] / "2iD-tVS8NPw.mp4")
    clips = read_csd(made[0]).clips
    out = tmp_path / "shards"
    index = prepare(clips, tmp_path / "media", out, SENTIMENT, workers=0, progress=False)
    assert (index["failures"], index["splits"]["train"]["clips"]) == (3, 3)
    assert "tmZoasNr4rU.mp4: no such file" in (out / "failures.csv").read_text()
