"""Counts of lists: true ones, of labels that occur and do not, with and without their media."""

import math

import numpy as np
import pytest
import soundfile

from mmat.labels import LabelSet
from mmat.lists.clip import Clip
from mmat.lists.read import ReadList, read_list
from mmat.lists.summary import MediaCount, summarise
from mmat.lists.ways import Way
from mmat.media.find import MediaFolder

LABELS = LabelSet.of(["Train", "Car", "Dog"])


def read(*clips: Clip) -> ReadList:
    return ReadList([*clips], LABELS, ())


def test_labels_are_counted_in_the_label_sets_order():
    summary = summarise(
        read(
            Clip("a", "a.wav", ("Dog", "Car"), 30.0, 40.0),
            Clip("b", "b.wav", ("Dog",), end_seconds=26.0, split="test"),
            Clip("c", "c.wav", (), 1.5, 1.5 + 3600),
        )
    )
    assert list(summary.labels.items()) == [("Train", 0), ("Car", 1), ("Dog", 2)]
    assert summary.labels_per_clip == {0: 1, 1: 1, 2: 1}
    assert (summary.clips, summary.without_length, summary.media) == (3, 0, None)
    assert summary.hours == pytest.approx(1 + 36 / 3600)
    assert summary.splits == {"train": 2, "test": 1}
    assert summary.labels_by_split == {
        "train": {"Train": 0, "Car": 1, "Dog": 1},
        "test": {"Train": 0, "Car": 0, "Dog": 1},
    }


def test_lengths_that_no_list_gives_are_left_out_or_measured(tmp_path, sine, write_container):
    soundfile.write(tmp_path / "a.wav", sine(2.0), 44100)
    write_container(tmp_path / "film.mp4")  # two seconds
    (tmp_path / "noise.mp4").write_bytes(b"no film")
    found = read(
        Clip("a", "a.wav", ("Dog",)),
        Clip("part", "a.wav", ("Dog",), start_seconds=0.5),
        Clip("film", "film.mp4", ("Car",)),
        Clip("gone", "gone.wav", ("Car", "Dog")),
        Clip("noise", "noise.mp4", ()),
        Clip("listed", "listed.wav", (), 0.0, 10.0),
    )
    alone = summarise(found)
    assert (alone.hours, alone.without_length) == (10 / 3600, 5)
    searched = summarise(found, MediaFolder(tmp_path))
    assert searched.without_length == 2  # what is gone, and what is no film
    assert searched.hours * 3600 == pytest.approx(10 + 2 + 1.5 + 2, abs=0.1)
    assert searched.media == MediaCount(
        4, 2, {"Train": 0, "Car": 1, "Dog": 2}, {"Train": 0, "Car": 1, "Dog": 1}
    )


def test_ways_in_which_clips_lie_in_their_files_are_counted(tmp_path):
    def public(video, start):
        clip = f"{video}_{start}"
        return Clip(clip, f"{clip}.wav", (), start, start + 10.0, video_id=video)

    for name, seconds in (
        ("Yaaaaaaaaaaa", 10.0),
        ("Ybbbbbbbbbbb", 100.0),
        ("Yccccccccccc", 6.0),
        ("Yddddddddddd", 20.0),
        ("eeeeeeeeeee_30000", 10.0),
    ):
        soundfile.write(tmp_path / f"{name}.wav", np.zeros(round(seconds * 1000)), 1000)
    found = summarise(
        read(
            public("aaaaaaaaaaa", 30.0),
            public("bbbbbbbbbbb", 0.0),
            public("bbbbbbbbbbb", 30.0),
            public("ccccccccccc", 30.0),
            public("ddddddddddd", 30.0),
            public("eeeeeeeeeee", 30.0),
            public("fffffffffff", 30.0),
        ),
        MediaFolder(tmp_path),
    ).media
    assert found.ways.line() == (
        "2 read whole, trimmed already; 1 read whole, trimmed and shorter than listed; "
        "1 read from 0 s on; 1 cut out of longer files; 1 too short for their range; 1 missing"
    )
    assert (found.ways.shared, found.ways.doubt()) == (0, "")


def test_a_file_that_is_one_clip_alone_cannot_hold_another(tmp_path):
    soundfile.write(tmp_path / "rex.wav", np.zeros(10000), 1000)
    clips = [Clip(str(i), "rex.wav", (), i * 10.0, i * 10.0 + 10.0) for i in range(3)]
    ways = summarise(read(*clips), MediaFolder(tmp_path)).media.ways
    assert ways.clips == {Way.BEGINNING: 1, Way.TRIMMED: 2} and ways.shared == 2
    assert "2 clips are read whole from files that other clips lie in too" in ways.doubt()


def test_a_list_without_ranges_has_no_ways_to_tell(tmp_path):
    (tmp_path / "a.wav").touch()
    clips = Clip("a", "a.wav"), Clip("b", "b.wav")
    ways = summarise(read(*clips), MediaFolder(tmp_path)).media.ways
    assert ways.clips == {Way.WHOLE: 1} and ways.missing == 1 and ways.line() == ""


def test_a_public_lists_media_are_found_under_their_usual_names(tmp_path):
    videos = [f"-5QrBL6MzL{i}" for i in range(4)]
    text = "".join(f'{video},60.000,70.000,Train,"/m/07jdr"\r\n' for video in videos)
    (tmp_path / "training_set.csv").write_text(text)
    media = tmp_path / "media"
    media.mkdir()
    for name in (f"Y{videos[0]}_60.000_70.000.wav", f"{videos[1]}_60000_70000.flac"):
        soundfile.write(media / name, [0.0] * 100, 16000)
    (media / f"{videos[2]}.mp4").touch()
    summary = summarise(read_list(tmp_path / "training_set.csv"), MediaFolder(media))
    assert (summary.media.found, summary.media.missing) == (3, 1)
    assert summary.media.missing_by_label["Train"] == 1
    assert math.isclose(summary.hours, 4 * 10 / 3600)
