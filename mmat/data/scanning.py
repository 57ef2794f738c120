"""Where each clip of a split is stored and what labels it has, without reading its sound.

A shard is a chain of records, each with its length in front (the TFRecord format); a record is a
protocol buffer whose parts have their lengths in front as well. So the bulk can be skipped, and a
scan reads a few pages a clip. What it reads is checked by the checksums when the clip is.
"""

import array
import dataclasses
import mmap
import os
import struct
from collections.abc import Iterator

import numpy as np

from mmat.data.shards import read_index, shard_files
from mmat.data.tfrecord import HEAD_BYTES, TAIL_BYTES
from mmat.errors import InputError

_MESSAGE = 2  # the wire type of everything here that has its length in front
_INT64_LIST = 3  # the field of a tf.train.Feature


@dataclasses.dataclass(frozen=True)
class StoredClips:
    """The clips of a split, one shard after the other: about 40 bytes a clip.

    files: the shards. file_numbers, offsets: `(clips,)`, where each record starts, in bytes.
    labels: positions in the label set of all clips, one clip after the other; label_counts:
    `(clips,)`. has_audio, has_video: bool `(clips,)`; has_video tells of image probabilities.
    """

    files: list[str]
    file_numbers: np.ndarray
    offsets: np.ndarray
    labels: np.ndarray
    label_counts: np.ndarray
    has_audio: np.ndarray
    has_video: np.ndarray

    def members(self, n_classes: int, among: np.ndarray) -> list[np.ndarray]:
        """Return each class's clips, as positions, of those among which `(clips,)` is True."""
        n_clips = len(self.offsets)
        clips = np.repeat(np.arange(n_clips), self.label_counts)
        pairs = np.unique((self.labels * n_clips + clips)[among[clips]])  # by class, then by clip
        return np.split(pairs % n_clips, np.searchsorted(pairs, n_clips * np.arange(1, n_classes)))


def scan_split(shards_folder: str | os.PathLike, split: str) -> StoredClips:
    """Find the records of a split. Raises InputError for a missing or damaged folder or split."""
    index = read_index(shards_folder)
    files = shard_files(shards_folder, index, split)
    clip_counts = [entry["clips"] for entry in index["splits"][split]["files"]]
    # Arrays of numbers, since two million small lists would weigh ten times as much.
    offsets, labels, label_counts, has_audio, has_video = (array.array("q") for _ in range(5))
    for file, n_clips in zip(files, clip_counts, strict=True):
        try:
            found = 0
            for offset, numbers in _records(file):
                offsets.append(offset)
                labels.extend(numbers[b"labels"])
                label_counts.append(len(numbers[b"labels"]))
                has_audio.append(numbers[b"has_audio"][0])
                has_video.append(numbers[b"n_frames"][0])
                found += 1
            if found != n_clips or max(labels, default=0) >= len(index["labels"]):
                raise ValueError("not the clips that the index tells of")
        except (ValueError, IndexError, KeyError, OverflowError, struct.error) as error:
            raise InputError(f"{file}: the shard is damaged; run mmat prepare again") from error
    return StoredClips(
        files,
        np.repeat(np.arange(len(files)), clip_counts),
        np.asarray(offsets),
        np.asarray(labels),
        np.asarray(label_counts),
        np.asarray(has_audio) > 0,
        np.asarray(has_video) > 0,
    )


def _records(file: str) -> Iterator[tuple[int, dict[bytes, list[int]]]]:
    """Yield (offset, short integer features) of each record of a shard."""
    if not os.path.getsize(file):
        return  # none of its clips could be read; an empty file cannot be mapped
    at = 0
    with (
        open(file, "rb") as handle,
        mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_READ) as data,
    ):
        if hasattr(mmap, "MADV_RANDOM"):
            data.madvise(mmap.MADV_RANDOM)  # else the system reads the sound ahead
        while at < len(data):
            (length,) = struct.unpack_from("<Q", data, at)
            start, end = at + HEAD_BYTES, at + HEAD_BYTES + length
            if end + TAIL_BYTES > len(data):
                raise ValueError("a record that goes on beyond the end")
            yield at, _numbers(data, start, end)
            at = end + TAIL_BYTES


def _numbers(data: mmap.mmap, start: int, end: int) -> dict[bytes, list[int]]:
    """Return the short integer features of a serialized tf.train.Example."""
    numbers = {}
    for _, features_start, features_end in _parts(data, start, end):
        for _, entry_start, entry_end in _parts(data, features_start, features_end):
            (_, *key), (_, *value) = _parts(data, entry_start, entry_end)
            for kind, list_start, list_end in _parts(data, *value):
                if kind == _INT64_LIST:
                    numbers[data[slice(*key)]] = _int64_list(data, list_start, list_end)
    return numbers


def _parts(data: mmap.mmap, start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Yield (field, start, end) of the parts of a message all of which have lengths."""
    while start < end:
        tag, start = _varint(data, start)
        length, start = _varint(data, start)
        if tag & 7 != _MESSAGE or start + length > end:
            raise ValueError("no message of a tf.train.Example")
        yield tag >> 3, start, start + length
        start += length


def _int64_list(data: mmap.mmap, start: int, end: int) -> list[int]:
    numbers = []
    for _, at, stop in _parts(data, start, end):
        while at < stop:
            number, at = _varint(data, at)
            numbers.append(number)
    return numbers


def _varint(data: mmap.mmap, at: int) -> tuple[int, int]:
    """Return an integer stored in sevens of bits, low ones first, and where it ends."""
    number = shift = 0
    while True:
        byte = data[at]
        number |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return number, at
