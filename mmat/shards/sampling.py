"""Training batches that depend on the seed and their number alone: a run can begin with any.

They are class-balanced: every class as often as any other, however rare its clips are. The rule is
that of the authors of arXiv 1712.09680. Each class has a queue of its clips, shuffled again for
every pass. Each round takes one clip from every queue, the classes in a new order. A clip of
several classes is in several queues, one without labels in none: it is never drawn, unless
`queues_with_unlabelled` gives such clips a queue of their own.

The place and the labels of each clip are scanned once; the clip is read from its place when its
turn comes. All of it runs in tf.data's threads, without Python between the disk and the model, and
memory holds one number a clip and label besides a few clips.

The scan skips the sound: a shard is a chain of records with their lengths in front (the TFRecord
format), and a record is a protocol buffer whose parts have their lengths in front as well. It reads
a few pages a clip, and leaves the checksums to the reading of the clip.
"""

import array
import dataclasses
import mmap
import os
import struct
import warnings
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import tensorflow as tf

from mmat.files import InputError
from mmat.shards.folder import read_index, shard_files
from mmat.shards.frozen import check_inputs
from mmat.shards.read import (
    FIXED_INPUTS,
    batches,
    parser,
    required_flags,
    with_options,
    without_autograph,
)
from mmat.shards.record import HEAD_BYTES, TAIL_BYTES

_MESSAGE = 2  # protocol buffers' wire type of parts with their length in front
_INT64_LIST = 3  # the field of a tf.train.Feature
_READS_AT_ONCE = 16
_NAMED_AT_MOST = 5  # classes, in a warning


@dataclasses.dataclass(frozen=True)
class StoredClips:
    """The clips of a split, one shard after the other: about 40 bytes a clip.

    files: the shards. file_numbers, offsets: `(clips,)`, where each record starts, in bytes.
    labels: positions in the label set of all clips, one clip after the other; label_counts:
    `(clips,)`. has_audio, has_video: bool `(clips,)`; has_video is about image probabilities.
    """

    files: list[str]
    file_numbers: np.ndarray
    offsets: np.ndarray
    labels: np.ndarray
    label_counts: np.ndarray
    has_audio: np.ndarray
    has_video: np.ndarray

    def unlabelled(self, among: np.ndarray) -> np.ndarray:
        """Return the clips without a label, as positions, of those where `(clips,)` is True."""
        return np.flatnonzero(among & (np.asarray(self.label_counts) == 0))

    def members(self, n_classes: int, among: np.ndarray) -> list[np.ndarray]:
        """Return each class's clips, as positions, of those among which `(clips,)` is True."""
        n_clips = len(self.offsets)
        clips = np.repeat(np.arange(n_clips), self.label_counts)
        pairs = np.unique((self.labels * n_clips + clips)[among[clips]])  # by class, then by clip
        return np.split(pairs % n_clips, np.searchsorted(pairs, n_clips * np.arange(1, n_classes)))


# Given each class's clips and those without a label, as positions, the queues to draw from.
Queues = Callable[[list[np.ndarray], np.ndarray], list[np.ndarray]]


def class_queues(members: list[np.ndarray], unlabelled: np.ndarray) -> list[np.ndarray]:
    """Return a queue for each class: clips without a label are never drawn.

    members: for each class the positions of its clips. unlabelled: those of clips without a label.
    """
    return members


def queues_with_unlabelled(members: list[np.ndarray], unlabelled: np.ndarray) -> list[np.ndarray]:
    """Return a queue for each class, and one of clips without a label, as if they were a class.

    Arguments are those of `class_queues`.

    >>> [queue.tolist() for queue in queues_with_unlabelled([np.array([0, 2])], np.array([1, 3]))]
    [[0, 2], [1, 3]]
    """
    return [*members, unlabelled]


def batches_from(
    shards_folder: str | os.PathLike,
    split: str,
    batch_size: int,
    seed: int,
    inputs: Sequence[str] = FIXED_INPUTS,
    among: Callable[[np.ndarray], np.ndarray] = lambda clips: clips,
    queues: Queues = class_queues,
) -> Callable[[int], tf.data.Dataset]:
    """Return a function from a batch's number to the class-balanced batches from there on.

    `mmat.training.loop.train` takes it. The split is scanned once, here; nothing is read of the
    batches before. Elements and left-out clips are those of `load_split`; the batches are without
    end, and the same for the same seed. among: given the positions of the usable clips, shard by
    shard, returns those to draw. queues: what is drawn equally often; `queues_with_unlabelled` also
    draws clips without a label. A warning lists classes and clips that can never be drawn, and says
    where all that can be have the same single label. Raises InputError for a missing or damaged
    folder, for a split that it does not hold, and where no clip has what the inputs need, or none
    is in a queue.
    """
    index, stored = _opened(shards_folder, split, inputs)
    drawn = among(np.flatnonzero(_usable(stored, inputs)))
    where = f"{shards_folder}, split {split!r}"
    if not len(drawn):
        raise InputError(f"{where}: no clip has what the model needs ({', '.join(inputs)})")
    is_drawn = np.isin(np.arange(len(stored.offsets)), drawn)
    members = stored.members(len(index["labels"]), is_drawn)
    drawn_from = queues(members, stored.unlabelled(is_drawn))
    _warn_of_what_is_never_drawn(where, index, stored, members, drawn_from)

    @without_autograph
    def balanced_batches(start_batch: int) -> tf.data.Dataset:
        order = balanced_order(drawn_from, seed, start_batch * batch_size)
        return batches(with_options(_parsed(stored, order, index, inputs)), batch_size)

    return balanced_batches


@without_autograph
def clips_once(
    shards_folder: str | os.PathLike,
    split: str,
    inputs: Sequence[str] = FIXED_INPUTS,
    among: Callable[[np.ndarray], np.ndarray] = lambda clips: clips,
    shuffle_seed: int | None = None,
) -> tf.data.Dataset:
    """Return the clips of a split one by one, once, shard by shard.

    Elements, left-out clips and errors are those of `load_split`; among as in `batches_from`.
    shuffle_seed: a number gives another order of all clips in every epoch, the same in every run.
    """
    index, stored = _opened(shards_folder, split, inputs)
    drawn = among(np.flatnonzero(_usable(stored, inputs)))
    order = tf.data.Dataset.from_tensor_slices(drawn)
    if shuffle_seed is not None:
        order = order.shuffle(max(1, len(drawn)), seed=shuffle_seed)
    clips = _parsed(stored, order, index, inputs)
    # Keras shows their number in its progress bar.
    return with_options(clips.apply(tf.data.experimental.assert_cardinality(len(drawn))))


def balanced_order(members: Sequence[np.ndarray], seed: int, start: int = 0) -> tf.data.Dataset:
    """Return clip positions, int64 (), without end, every class as often as every other.

    members: for each class the positions of its clips; classes without clips are skipped, and what
    is in none is never drawn. With a single class each of its clips is drawn once in every pass.
    start: how many positions to skip, which takes no time. Raises InputError where no class has
    clips.

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

    def queue(label):
        own = clips[ends[label] : ends[label + 1]]
        return _passes(lambda n: shuffled(own, seed, 0, label, n), tf.size(own), first_round)

    rounds = tf.data.Dataset.range(len(members)).interleave(queue, cycle_length=len(members))
    rounds = tf.data.Dataset.zip(_numbers_from(first_round), rounds.batch(len(members)))
    return rounds.map(lambda n, clips: shuffled(clips, seed, 1, n)).unbatch().skip(in_round)


def shuffled(values: tf.Tensor, seed: int, *numbers) -> tf.Tensor:
    """Return the values in a random order that depends on the seed and the numbers alone."""
    key = tf.constant([seed, 0], tf.int64)
    for number in numbers:
        key = tf.random.fold_in(key, tf.cast(number, tf.int64))
    return tf.random.experimental.stateless_shuffle(values, key)


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


def _opened(
    shards_folder: str | os.PathLike, split: str, inputs: Sequence[str]
) -> tuple[dict, StoredClips]:
    index = read_index(shards_folder)
    check_inputs(shards_folder, index, inputs)
    return index, scan_split(shards_folder, split)


def _usable(stored: StoredClips, inputs: Sequence[str]) -> np.ndarray:
    """Return which clips have what a model with these inputs needs, bool `(clips,)`."""
    usable = np.ones(len(stored.offsets), bool)
    for flag in required_flags(inputs):
        usable &= {"has_audio": stored.has_audio, "has_video": stored.has_video}[flag]
    return usable


def _warn_of_what_is_never_drawn(
    where: str,
    index: dict,
    stored: StoredClips,
    members: list[np.ndarray],
    queues: list[np.ndarray],
) -> None:
    names, notes = index["labels"], []
    empty = [name for name, clips in zip(names, members, strict=True) if not len(clips)]
    if empty:
        shown = ", ".join(empty[:_NAMED_AT_MOST]) + ", …" * (len(empty) > _NAMED_AT_MOST)
        notes.append(f"{len(empty)} classes have no clip ({shown})")
    n_clips = len(stored.offsets)
    is_drawn = np.isin(np.arange(n_clips), np.concatenate(queues))
    n_unlabelled = len(stored.unlabelled(~is_drawn))
    if n_unlabelled:
        notes.append(f"{n_unlabelled} clips have no label")
    if n_left := n_clips - is_drawn.sum() - n_unlabelled:
        notes.append(f"{n_left} clips lack what the model needs, or are held out")
    if notes:
        warnings.warn(f"{where}: {'; '.join(notes)}: never drawn", stacklevel=3)
    # A value of a single quantity is what there is to learn, a single label is not.
    has_values = (index.get("task") or "").startswith("regression")
    if sum(len(queue) > 0 for queue in queues) == 1 and len(empty) < len(names) and not has_values:
        (name,) = set(names) - set(empty)
        warnings.warn(
            f"{where}: all clips that are drawn have the one label {name!r}, so that nothing tells "
            "it from other sounds; add clips of other labels, or draw clips without a label "
            "(queues=queues_with_unlabelled, in the scripts --draw-unlabelled)",
            stacklevel=3,
        )


def _passes(order_of: Callable, length: tf.Tensor, start: int) -> tf.data.Dataset:
    """Return one pass of this length after the other, without the first `start` clips."""
    start, length = tf.constant(start, tf.int64), tf.cast(length, tf.int64)
    first, in_first = start // length, start % length
    return (
        _numbers_from(first)
        .map(lambda n: order_of(n)[tf.where(n == first, in_first, 0) :])
        .unbatch()
    )


def _numbers_from(first: tf.Tensor | int) -> tf.data.Dataset:
    """Return the numbers from there on, int64 (), without end.

    Not by `Dataset.counter`: its op is not among those that TensorFlow knows to be deterministic,
    and with `enable_op_determinism` it would take all threads and the reading ahead from a dataset.
    """
    first = tf.cast(first, tf.int64)
    return tf.data.Dataset.range(1).repeat().scan(first, lambda number, _: (number + 1, number))


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
        # The public TFRecordDataset reads only from the start; its raw op from any place.
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
    """Yield (field, start, end) of the parts of a message, all of which have lengths."""
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
    """Return an integer stored in groups of seven bits, low ones first, and where it ends."""
    number = shift = 0
    while True:
        byte = data[at]
        number |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return number, at
