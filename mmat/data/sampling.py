"""Batches for training, each of which hangs on its number alone: a run can begin with any of them.

Class-balanced: each class as often as each other, however rare its clips are. The rule is that of
the authors of arXiv 1712.09680. Each class has a queue of its clips, shuffled anew at every pass.
Each round takes one clip from every queue, the classes in a fresh order. A clip of several classes
stands in several queues, one without labels in none.

Shuffled: every clip once in each pass, in a fresh order.

The labels and the place of each clip are read once; a clip itself is read from its place when its
turn comes. All of it runs in tf.data's own threads, no Python between the disk and the model, and
memory holds one number a clip and label besides a few clips.
"""

import os
import warnings
from collections.abc import Callable, Sequence

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
    start_batch: int = 0,
) -> tf.data.Dataset:
    """Return class-balanced batches of a split without end, from batch number `start_batch`.

    They are `batches` of `balanced_clips`; nothing is read of the batches before.
    """
    start = start_batch * batch_size
    return batches(balanced_clips(shards_folder, split, seed, inputs, start), batch_size)


def shuffled_batches(
    shards_folder: str | os.PathLike,
    split: str,
    batch_size: int,
    seed: int,
    inputs: Sequence[str] = FIXED_INPUTS,
    start_batch: int = 0,
) -> tf.data.Dataset:
    """Return batches of a split without end, every clip once a pass, from batch `start_batch`.

    Every batch is full: one may hold the end of a pass and the beginning of the next. Elements,
    left-out clips and errors as those of `load_split`.
    """
    return batches_from(shards_folder, split, batch_size, seed, inputs, False)(start_batch)


def balanced_clips(
    shards_folder: str | os.PathLike,
    split: str,
    seed: int,
    inputs: Sequence[str] = FIXED_INPUTS,
    start: int = 0,
) -> tf.data.Dataset:
    """Return the clips of a split one by one, without end, by the rule of this module.

    Elements and left-out clips as those of `load_split`; the same seed gives the same order, of
    which `start` clips are passed over unread. A warning tells of classes and clips that can never
    be drawn. Raises InputError for a missing or damaged folder and for a split that it does not
    hold or that has no labels at all.
    """
    return _clips_from(shards_folder, split, seed, inputs, balanced=True)(start)


def batches_from(
    shards_folder: str | os.PathLike,
    split: str,
    batch_size: int,
    seed: int,
    inputs: Sequence[str] = FIXED_INPUTS,
    balanced: bool = True,
    among: Callable[[np.ndarray], np.ndarray] = lambda clips: clips,
) -> Callable[[int], tf.data.Dataset]:
    """Return a function from a batch's number to the batches from there on, without end.

    It is what `mmat.training.train` takes. The split is scanned once, here. balanced: as
    `balanced_batches`, else as `shuffled_batches`. among: given the positions of the usable clips,
    shard by shard, returns those that are to be drawn.
    """
    clips_from = _clips_from(shards_folder, split, seed, inputs, balanced, among)
    return lambda start_batch: batches(clips_from(start_batch * batch_size), batch_size)


def clips_once(
    shards_folder: str | os.PathLike,
    split: str,
    inputs: Sequence[str] = FIXED_INPUTS,
    among: Callable[[np.ndarray], np.ndarray] = lambda clips: clips,
) -> tf.data.Dataset:
    """Return the clips of a split one by one, once, shard by shard.

    Elements, left-out clips and errors as those of `load_split`; among as in `batches_from`.
    """
    index, stored = read_index(shards_folder), scan_split(shards_folder, split)
    order = tf.data.Dataset.from_tensor_slices(among(np.flatnonzero(_usable(stored, inputs))))
    return with_options(_parsed(stored, order, index, inputs))


def _clips_from(
    shards_folder,
    split: str,
    seed: int,
    inputs: Sequence[str],
    balanced: bool,
    among: Callable[[np.ndarray], np.ndarray] = lambda clips: clips,
) -> Callable[[int], tf.data.Dataset]:
    index, stored = read_index(shards_folder), scan_split(shards_folder, split)
    drawn = among(np.flatnonzero(_usable(stored, inputs)))
    where = f"{shards_folder}, split {split!r}"
    if balanced:
        is_drawn = np.isin(np.arange(len(stored.offsets)), drawn)
        members = stored.members(len(index["labels"]), is_drawn)
        _tell_what_is_never_drawn(where, index, stored, members)
    elif not len(drawn):
        raise InputError(f"{where}: no clip has what the model needs ({', '.join(inputs)})")

    def clips_from(start: int) -> tf.data.Dataset:
        if balanced:
            order = balanced_order(members, seed, start)
        else:
            order = shuffled_order(drawn, seed, start)
        return with_options(_parsed(stored, order, index, inputs))

    return clips_from


def _usable(stored: StoredClips, inputs: Sequence[str]) -> np.ndarray:
    """Return which clips have what a model with these inputs needs, bool `(clips,)`."""
    usable = np.ones(len(stored.offsets), bool)
    for flag in needed(inputs):
        usable &= {"has_audio": stored.has_audio, "has_video": stored.has_video}[flag]
    return usable


def balanced_order(members: Sequence[np.ndarray], seed: int, start: int = 0) -> tf.data.Dataset:
    """Return clip positions, int64 (), without end, every class as often as every other.

    members: for each class the positions of its clips; classes without any are passed over.
    start: how many positions to pass over; that takes no time. Raises InputError when all classes
    are without clips.

    >>> order = balanced_order([np.array([0, 1]), np.array([2])], seed=0)
    >>> sorted(int(clip) for clip in order.take(4))
    [0, 1, 2, 2]
    """
    members = [clips for clips in members if len(clips)]
    if not members:
        raise InputError("class-balanced batches: no clip has a label")
    clips = tf.constant(np.concatenate(members), tf.int64)
    ends = tf.constant(np.cumsum([0, *map(len, members)]), tf.int64)
    first_round, in_round = divmod(start, len(members))
    counter = tf.data.Dataset.counter

    def queue(label):
        own = clips[ends[label] : ends[label + 1]]
        return _passes(lambda n: shuffled(own, seed, 0, label, n), tf.size(own), first_round)

    rounds = tf.data.Dataset.range(len(members)).interleave(queue, cycle_length=len(members))
    rounds = tf.data.Dataset.zip(counter(first_round), rounds.batch(len(members)))
    return rounds.map(lambda n, clips: shuffled(clips, seed, 1, n)).unbatch().skip(in_round)


def shuffled_order(clips: np.ndarray, seed: int, start: int = 0) -> tf.data.Dataset:
    """Return clip positions, int64 (), without end, each once a pass; `start` are passed over.

    >>> sorted(int(clip) for clip in shuffled_order(np.array([3, 5]), seed=0, start=2).take(2))
    [3, 5]
    """
    clips = tf.constant(clips, tf.int64)
    return _passes(lambda n: shuffled(clips, seed, 2, n), tf.size(clips), start)


def _passes(order_of: Callable, length: tf.Tensor, start: int) -> tf.data.Dataset:
    """Return one pass after the other, each of a length, without the first `start` clips."""
    start, length = tf.constant(start, tf.int64), tf.cast(length, tf.int64)
    first, in_first = start // length, start % length
    passes = tf.data.Dataset.counter(first)
    return passes.map(lambda n: order_of(n)[tf.where(n == first, in_first, 0) :]).unbatch()


def shuffled(values: tf.Tensor, seed: int, *numbers) -> tf.Tensor:
    """Return the values in a random order that hangs on the seed and the numbers alone."""
    key = tf.constant([seed, 0], tf.int64)
    for number in numbers:
        key = tf.random.fold_in(key, tf.cast(number, tf.int64))
    return tf.random.experimental.stateless_shuffle(values, key)


def _parsed(
    stored: StoredClips, positions: tf.data.Dataset, index: dict, inputs: Sequence[str]
) -> tf.data.Dataset:
    records = _read(stored, positions)
    return records.map(parser(index, inputs), num_parallel_calls=tf.data.AUTOTUNE)


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
