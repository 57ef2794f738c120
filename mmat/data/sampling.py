"""Training batches that depend on the seed and their number alone: a run can begin with any.

They are class-balanced: each class as often as each other, however rare its clips are. The rule is
that of the authors of arXiv 1712.09680. Each class has a queue of its clips, shuffled anew at every
pass. Each round takes one clip from every queue, the classes in a fresh order. A clip of several
classes stands in several queues, one without labels in none.

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


def batches_from(
    shards_folder: str | os.PathLike,
    split: str,
    batch_size: int,
    seed: int,
    inputs: Sequence[str] = FIXED_INPUTS,
    among: Callable[[np.ndarray], np.ndarray] = lambda clips: clips,
) -> Callable[[int], tf.data.Dataset]:
    """Return a function from a batch's number to the class-balanced batches from there on.

    It is what `mmat.training.train` takes. The split is scanned once, here; nothing is read of the
    batches before. Elements and left-out clips as those of `load_split`; the batches are without
    end, and the same for the same seed. among: given the positions of the usable clips, shard by
    shard, returns those that are to be drawn. A warning lists classes and clips that can never be
    drawn. Raises InputError for a missing or damaged folder, for a split that it does not hold, and
    where no clip has what the inputs need, or none has a label.
    """
    index, stored = read_index(shards_folder), scan_split(shards_folder, split)
    drawn = among(np.flatnonzero(_usable(stored, inputs)))
    where = f"{shards_folder}, split {split!r}"
    if not len(drawn):
        raise InputError(f"{where}: no clip has what the model needs ({', '.join(inputs)})")
    is_drawn = np.isin(np.arange(len(stored.offsets)), drawn)
    members = stored.members(len(index["labels"]), is_drawn)
    _warn_of_what_is_never_drawn(where, index, stored, members)

    def balanced_batches(start_batch: int) -> tf.data.Dataset:
        order = balanced_order(members, seed, start_batch * batch_size)
        return batches(with_options(_parsed(stored, order, index, inputs)), batch_size)

    return balanced_batches


def clips_once(
    shards_folder: str | os.PathLike,
    split: str,
    inputs: Sequence[str] = FIXED_INPUTS,
    among: Callable[[np.ndarray], np.ndarray] = lambda clips: clips,
    shuffle_seed: int | None = None,
) -> tf.data.Dataset:
    """Return the clips of a split one by one, once, shard by shard.

    Elements, left-out clips and errors as those of `load_split`; among as in `batches_from`.
    shuffle_seed: a number gives another order of all clips in every epoch, the same in every run.
    """
    index, stored = read_index(shards_folder), scan_split(shards_folder, split)
    drawn = among(np.flatnonzero(_usable(stored, inputs)))
    order = tf.data.Dataset.from_tensor_slices(drawn)
    if shuffle_seed is not None:
        order = order.shuffle(max(1, len(drawn)), seed=shuffle_seed)
    clips = _parsed(stored, order, index, inputs)
    # How many they are is told to Keras, for its progress bar.
    return with_options(clips.apply(tf.data.experimental.assert_cardinality(len(drawn))))


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


def _passes(order_of: Callable, length: tf.Tensor, start: int) -> tf.data.Dataset:
    """Return one pass after the other, each of a length, without the first `start` clips."""
    start, length = tf.constant(start, tf.int64), tf.cast(length, tf.int64)
    first, in_first = start // length, start % length
    passes = tf.data.Dataset.counter(first)
    return passes.map(lambda n: order_of(n)[tf.where(n == first, in_first, 0) :]).unbatch()


def shuffled(values: tf.Tensor, seed: int, *numbers) -> tf.Tensor:
    """Return the values in a random order that depends on the seed and the numbers alone."""
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


def _warn_of_what_is_never_drawn(
    where: str, index: dict, stored: StoredClips, members: list[np.ndarray]
) -> None:
    notes = []
    empty = [name for name, clips in zip(index["labels"], members, strict=True) if not len(clips)]
    if empty:
        shown = ", ".join(empty[:_NAMED_AT_MOST]) + ", …" * (len(empty) > _NAMED_AT_MOST)
        notes.append(f"{len(empty)} classes have no clip ({shown})")
    n_drawn = len(np.unique(np.concatenate(members)))
    if n_left := len(stored.offsets) - n_drawn:
        notes.append(f"{n_left} clips have no label or lack what the model needs")
    if notes:
        warnings.warn(f"{where}: {'; '.join(notes)}: never drawn", stacklevel=3)
