"""Counts of lists: true ones, of labels that occur and do not, with and without their media."""

import math

import pytest
import soundfile

from mmat.labels import LabelSet
from mmat.lists.clip import Clip
from mmat.lists.read import ReadList, read_list
from mmat.lists.summary import MediaCount, summarise
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
