"""Class-balanced batches: each class as often as each other, however rare its clips are.

The rule is that of the authors of arXiv 1712.09680. Each class has a queue of its clips, shuffled
anew at every pass. Each round takes one clip from every queue, the classes in a fresh order. A clip
of several classes stands in several queues, one without labels in none.

The labels and the place of each clip are read once; a clip itself is read from its place when its
turn comes. All of it runs in tf.data's own threads, no Python between the disk and the model, and
memory holds one number a clip and label besides a few clips.
"""

import os
import warnings
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from mmat.data.datasets import FIXED_INPUTS, batches, with_options
from mmat.data.parsing import needed, parser
from mmat.data.scanning import StoredClips, scan_split
from mmat.data.shards import read_index
from mmat.errors import InputError

_READS_AT_ONCE = 16
_NAMED_AT_MOST = 5


def balanced_batches(
    shards_folder: str | os.PathLike,
    split: str,
    batch_size: int,
    seed: int,
    inputs: Sequence[str] = FIXED_INPUTS,
) -> tf.data.Dataset:
    """Return class-balanced batches of a split without end: `batches` of `balanced_clips`."""
    return batches(balanced_clips(shards_folder, split, seed, inputs), batch_size)


def balanced_clips(
    shards_folder: str | os.PathLike,
    split: str,
    seed: int,
    inputs: Sequence[str] = FIXED_INPUTS,
) -> tf.data.Dataset:
    """Return the clips of a split one by one, without end, by the rule of this module.

    Elements and left-out clips as those of `load_split`; the same seed gives the same order. A
    warning tells of classes and clips that can never be drawn. Raises InputError for a missing or
    damaged folder and for a split that it does not hold or that has no labels at all.
    """
    index, stored = read_index(shards_folder), scan_split(shards_folder, split)
    usable = np.ones(len(stored.offsets), bool)
    for flag in needed(inputs):
        usable &= {"has_audio": stored.has_audio, "has_video": stored.has_video}[flag]
    members = stored.members(len(index["labels"]), usable)
    _tell_what_is_never_drawn(f"{shards_folder}, split {split!r}", index, stored, members)
    serialized = _read(stored, balanced_order(members, seed))
    clips = serialized.map(parser(index, inputs), num_parallel_calls=tf.data.AUTOTUNE)
    return with_options(clips)


def balanced_order(members: Sequence[np.ndarray], seed: int) -> tf.data.Dataset:
    """Return clip positions, int64 (), without end, every class as often as every other.

    members: for each class the positions of its clips; classes without any are passed over.
    Raises InputError when all are.

    >>> order = balanced_order([np.array([0, 1]), np.array([2])], seed=0)
    >>> sorted(int(clip) for clip in order.take(4))
    [0, 1, 2, 2]
    """
    members = [clips for clips in members if len(clips)]
    if not members:
        raise InputError("class-balanced batches: no clip has a label")
    clips = tf.constant(np.concatenate(members), tf.int64)
    ends = tf.constant(np.cumsum([0, *map(len, members)]), tf.int64)
    counter = tf.data.Dataset.counter

    def queue(label):
        own = clips[ends[label] : ends[label + 1]]
        return counter().map(lambda n: shuffled(own, seed, 0, label, n)).unbatch()

    rounds = tf.data.Dataset.range(len(members)).interleave(queue, cycle_length=len(members))
    rounds = tf.data.Dataset.zip(counter(), rounds.batch(len(members)))
    return rounds.map(lambda n, clips: shuffled(clips, seed, 1, n)).unbatch()


def shuffled(values: tf.Tensor, seed: int, *numbers) -> tf.Tensor:
    """Return the values in a random order that hangs on the seed and the numbers alone."""
    key = tf.constant([seed, 0], tf.int64)
    for number in numbers:
        key = tf.random.fold_in(key, tf.cast(number, tf.int64))
    return tf.random.experimental.stateless_shuffle(values, key)


def _read(stored: StoredClips, positions: tf.data.Dataset) -> tf.data.Dataset:
    """Read records by their places, in the order of the positions; checksums are checked."""
    files = tf.constant(stored.files)
    numbers, offsets = tf.constant(stored.file_numbers), tf.constant(stored.offsets)

    def record(position):
        # The public TFRecordDataset reads from the start alone; its raw op from any place.
        variant = tf.raw_ops.TFRecordDatasetV2(
            filenames=files[numbers[position]][None],
            compression_type="",
            buffer_size=0,  # unbuffered: what comes after the record is not wanted
            byte_offsets=offsets[position][None],
        )
        spec = tf.TensorSpec((), tf.string)
        return tf.data.experimental.from_variant(variant, spec).take(1)

    return positions.interleave(
        record,
        cycle_length=_READS_AT_ONCE,
        num_parallel_calls=tf.data.AUTOTUNE,
        deterministic=True,
    )


def _tell_what_is_never_drawn(
    where: str, index: dict, stored: StoredClips, members: list[np.ndarray]
) -> None:
    told = []
    empty = [name for name, clips in zip(index["labels"], members, strict=True) if not len(clips)]
    if empty:
        shown = ", ".join(empty[:_NAMED_AT_MOST]) + ", …" * (len(empty) > _NAMED_AT_MOST)
        told.append(f"{len(empty)} classes have no clip ({shown})")
    n_drawn = len(np.unique(np.concatenate(members)))
    if n_left := len(stored.offsets) - n_drawn:
        told.append(f"{n_left} clips have no label or lack what the model needs")
    if told:
        warnings.warn(f"{where}: {'; '.join(told)}: never drawn", stacklevel=3)
