"""Shards read again: a good folder is summed up; whatever is damaged is named, file and record."""

import csv
import dataclasses
import json
import os
import shutil

import numpy as np
import pytest
import soundfile

from mmat.files import InputError
from mmat.labels import LabelSet
from mmat.lists.clip import Clip, Event
from mmat.shards.prepare import prepare
from mmat.shards.record import Record, encode_example, framed
from mmat.shards.verify import Verified, verify

FIRST = "train-00000-of-00003.tfrecord"
GOOD = Record(
    "new", np.zeros(1600, np.int16), np.zeros((2, 3), np.float16), (0,), ((0, 0.25, 0.5),)
)


class MeanColour:
    name, input_size_px = "mean colour", 32

    def classify(self, pictures):
        return pictures.mean(axis=(1, 2)) / 255


@pytest.fixture(scope="module")
def original(tmp_path_factory, write_container):
    """Shards of four sounds, two movies and two clips that are not there."""
    media = tmp_path_factory.mktemp("media")
    for i in range(4):
        soundfile.write(media / f"{i}.wav", np.full(1600, 0.5), 16000)
    for i in (4, 5):
        write_container(media / f"{i}.mp4", n_pictures=5)
    clips = [
        Clip(
            f"clip {i}", f"{i}.{'wav' if i < 4 else 'mp4'}", ("Dog",), events=(Event("Dog", 0, 1),)
        )
        for i in range(8)
    ]
    prepare(
        clips, media, media.parent / "shards", LabelSet.of(["Dog", "Car"]),
        MeanColour(), n_frames=2, clip_seconds=0.1, clips_per_shard=3, workers=0,
        keep_frames=True, progress=False,
    )  # fmt: skip
    return media.parent / "shards"


@pytest.fixture
def folder(original, tmp_path):
    return shutil.copytree(original, tmp_path / "shards")


def test_a_good_folder_is_summed_up(original):
    n_bytes = sum(path.stat().st_size for path in original.glob("*.tfrecord"))
    assert verify(original, progress=False) == Verified(
        complete=True, listed=8, clips=6, begun=0, failures=2, with_audio=6, with_video=2,
        shards=3, shards_planned=3, n_bytes=n_bytes,
    )  # fmt: skip


def change_index(folder, change):
    index = json.loads((folder / "index.json").read_text())
    change(index)
    (folder / "index.json").write_text(json.dumps(index))


def test_an_unfinished_folder_is_summed_up_too(folder):
    change_index(folder, lambda index: index.update(complete=False))
    change_index(folder, lambda index: index["splits"]["train"]["files"].pop())
    shard = folder / "train-00002-of-00003.tfrecord"
    os.replace(shard, f"{shard}.part")
    (folder / "failures.csv").unlink()
    found = verify(folder, progress=False)
    assert (found.complete, found.shards, found.begun) == (False, 2, 2)


@pytest.mark.parametrize(("at", "number"), [(3, 0), (200, 0), (-1, 1)])
def test_a_flipped_bit_is_found(folder, at, number):
    content = bytearray((folder / FIRST).read_bytes())
    content[at] ^= 4
    (folder / FIRST).write_bytes(content)
    with pytest.raises(InputError, match=rf"{FIRST}: record {number}: damaged: a checksum"):
        verify(folder, progress=False)


@pytest.mark.parametrize(
    ("n_bytes", "message"),
    [(-5, "record 1: damaged"), (5, "bytes, but"), (-100_000, "clips 0, but 2 in index.json")],
)
def test_another_size_is_found(folder, n_bytes, message):
    size = (folder / FIRST).stat().st_size
    os.truncate(folder / FIRST, max(0, size + n_bytes))
    with pytest.raises(InputError, match=f"{FIRST}: .*{message}"):
        verify(folder, progress=False)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"labels": (2,)}, "a label outside of the 2"),
        ({"labels": (-1,)}, "a label outside of the 2"),
        ({"events": ((0, 2.0, 1.0),)}, "an event of label 0 from 2 to 1 s"),
        ({"audio": np.zeros(1599, np.int16)}, "1599 samples, not 1600"),
        ({"image_probabilities": np.zeros((2, 4), np.float16)}, r"shape \(2, 4\), not \(2, 3\)"),
        ({"image_probabilities": np.full((2, 3), np.nan, np.float16)}, "no finite numbers"),
        ({"frames_jpeg": (b"\xff\xd8",)}, "1 pictures, not 2"),
        ({"frames_jpeg": (b"\xff\xd8", b"GIF89a")}, "a picture that is no JPEG"),
        ({"id": "clip 3"}, "its id is there twice"),
    ],
)
def test_a_record_that_is_wrong_is_named(folder, changes, message):
    """Its checksums are right: it was written like this."""
    record = dataclasses.replace(GOOD, **changes)
    with open(folder / FIRST, "ab") as file:
        file.write(framed(encode_example(record)))
    with pytest.raises(InputError, match=rf"{FIRST}: record 2 \(id '{record.id}'\): .*{message}"):
        verify(folder, progress=False)


def test_what_is_no_record_of_this_schema_is_named(folder):
    for content in (b"", b"\xff\xff\xff no protocol buffer", encode_example(GOOD)[:-2]):
        shutil.copy(folder / FIRST, folder / "copy")
        with open(folder / FIRST, "ab") as file:
            file.write(framed(content))
        with pytest.raises(InputError, match=f"{FIRST}: record 2: damaged: not of this schema"):
            verify(folder, progress=False)
        os.replace(folder / "copy", folder / FIRST)


def test_a_record_too_many_or_another_one_is_found(folder):
    good = (folder / FIRST).read_bytes()
    with open(folder / FIRST, "ab") as file:
        file.write(framed(encode_example(GOOD)))
    with pytest.raises(InputError, match=f"{FIRST}: clips 3, but 2 in index.json"):
        verify(folder, progress=False)
    (folder / FIRST).write_bytes(good.replace(b"clip 0", b"clip X"))
    with pytest.raises(InputError, match=f"{FIRST}: record 0: damaged"):
        verify(folder, progress=False)


def test_index_labels_and_failures_must_agree(folder):
    with open(folder / "failures.csv", newline="") as file:
        rows = list(csv.reader(file))
    assert [row[0] for row in rows] == ["id", "clip 6", "clip 7"]
    text = (folder / "failures.csv").read_text()
    (folder / "failures.csv").write_text(text + "x,x.wav,no\n")
    with pytest.raises(InputError, match=r"failures.csv: 3 rows, but 2 in index.json"):
        verify(folder, progress=False)
    (folder / "failures.csv").unlink()
    with pytest.raises(InputError, match=r"failures.csv: cannot be read: .*No such file"):
        verify(folder, progress=False)
    change_index(folder, lambda index: index["splits"]["train"].update(clips=5))
    with pytest.raises(InputError, match=r"index.json: clips 5, but its shards 6"):
        verify(folder, progress=False)
    change_index(folder, lambda index: index.update(labels=["Dog", "Wolf"]))
    with pytest.raises(InputError, match=r"labels.csv: other labels than in index.json"):
        verify(folder, progress=False)
    change_index(folder, lambda index: index.update(schema_version=2))
    with pytest.raises(InputError, match="of another version of mmat"):
        verify(folder, progress=False)


def test_a_missing_shard_is_found(folder):
    (folder / FIRST).unlink()
    with pytest.raises(InputError, match=f"{FIRST}: the shard is missing"):
        verify(folder, progress=False)
