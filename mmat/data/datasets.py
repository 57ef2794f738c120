"""Shards in: tf.data batches for training, NumPy arrays for evaluation, balanced batches."""

import itertools
import os
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import tensorflow as tf

from mmat.data.media import SAMPLE_RATE_HZ
from mmat.data.records import decode_example, parse_example, to_float32
from mmat.data.shards import read_index, shard_files
from mmat.errors import InputError

MODEL_INPUTS = ("waveform", "image_probabilities", "has_audio", "has_video")


def load_split(
    shards_folder: str | os.PathLike, split: str, inputs: Sequence[str] = MODEL_INPUTS
) -> tf.data.Dataset:
    """Return the clips of a split, one by one, as model inputs and weak labels.

    Elements: ({waveform: float32 (samples, 1), image_probabilities: float32 (n_frames,
    n_image_labels), has_audio: bool (), has_video: bool ()}, weak_labels: float32 (classes,)).
    What a clip lacks is zeros with False beside it. The order is the same every time. inputs:
    those of them that the model has, since Keras wants exactly these.
    Raises InputError for a missing or damaged folder and for a split that it does not hold.
    """
    index = read_index(shards_folder)
    files = shard_files(shards_folder, index, split)
    serialized = tf.data.Dataset.from_tensor_slices(files).interleave(
        tf.data.TFRecordDataset, cycle_length=len(files), num_parallel_calls=tf.data.AUTOTUNE
    )
    dataset = serialized.map(_parser(index, inputs), num_parallel_calls=tf.data.AUTOTUNE)
    n_clips = index["splits"][split]["clips"]  # told to Keras, for its progress bar
    return dataset.apply(tf.data.experimental.assert_cardinality(n_clips))


def _parser(index: dict, names: Sequence[str]) -> Callable:
    unknown = set(names) - set(MODEL_INPUTS)
    if unknown:
        raise InputError(f"unknown input {unknown.pop()!r}; there are {', '.join(MODEL_INPUTS)}")

    def parse(serialized):
        inputs, weak_labels = parse_example(serialized, **_shape(index))
        return {name: inputs[name] for name in names}, weak_labels

    return parse


def _shape(index: dict) -> dict[str, int | None]:
    """Return what `parse_example` needs to know of the shards."""
    seconds = index["clip_seconds"]
    return {
        "n_classes": len(index["labels"]),
        "n_samples": None if seconds is None else round(seconds * SAMPLE_RATE_HZ),
        "n_frames": index["n_frames"],
        "n_image_labels": index["n_image_labels"],
    }


def batches(
    dataset: tf.data.Dataset,
    batch_size: int,
    shuffle_seed: int | None = None,
    repeat: bool = False,
    drop_remainder: bool = False,
    shuffle_buffer: int = 512,
) -> tf.data.Dataset:
    """Return batches of `load_split`'s clips; shorter clips are padded with zeros at their end.

    shuffle_seed: None keeps the order; a number gives another order in every epoch, the same in
    every run. shuffle_buffer: clips held for it (0.64 MB each at 10 s). repeat: without end.
    """
    if shuffle_seed is not None:
        dataset = dataset.shuffle(shuffle_buffer, seed=shuffle_seed)
    if repeat:
        dataset = dataset.repeat()
    shapes = [spec.shape for spec in dataset.element_spec[0].values()]
    same = all(shape.is_fully_defined() for shape in shapes)
    batch = dataset.batch if same else dataset.padded_batch
    return batch(batch_size, drop_remainder=drop_remainder).prefetch(tf.data.AUTOTUNE)


def _read_serialized(shards_folder: str | os.PathLike, split: str) -> list[bytes]:
    """Return the examples of a split in the order of `load_split`: one of each shard in turn."""
    shards = []
    for file in shard_files(shards_folder, read_index(shards_folder), split):
        try:
            shards.append(list(tf.data.TFRecordDataset(file).as_numpy_iterator()))
        except tf.errors.DataLossError as error:
            raise InputError(f"{file}: the shard is damaged; run mmat prepare again") from error
    turns = itertools.zip_longest(*shards)
    return [example for turn in turns for example in turn if example is not None]


def read_arrays(shards_folder: str | os.PathLike, split: str) -> dict:
    """Return a whole split as NumPy arrays, for evaluation; the order is that of `load_split`.

    ids: list of str. waveform: float32 (clips, samples, 1), shorter clips padded with zeros.
    image_probabilities: float32 (clips, n_frames, n_image_labels). has_audio, has_video: bool
    (clips,). weak_labels: float32 (clips, classes). events: for each clip a list of (class
    position, onset seconds, offset seconds). A clip of 10 s takes 0.64 MB.
    Raises InputError for a missing or damaged folder and for a split that it does not hold.
    """
    records = [decode_example(example) for example in _read_serialized(shards_folder, split)]
    n_classes, n_samples, n_frames, n_image_labels = _shape(read_index(shards_folder)).values()
    if n_samples is None:
        n_samples = max(0 if r.audio is None else len(r.audio) for r in records)
    arrays = {
        "ids": [record.id for record in records],
        "waveform": np.zeros((len(records), n_samples, 1), np.float32),
        "image_probabilities": np.zeros((len(records), n_frames, n_image_labels), np.float32),
        "has_audio": np.array([record.audio is not None for record in records]),
        "has_video": np.array([record.image_probabilities is not None for record in records]),
        "weak_labels": np.zeros((len(records), n_classes), np.float32),
        "events": [list(record.events) for record in records],
    }
    for i, record in enumerate(records):
        arrays["weak_labels"][i, list(record.labels)] = 1.0
        if record.audio is not None:
            arrays["waveform"][i, : len(record.audio), 0] = to_float32(record.audio)
        if record.image_probabilities is not None:
            arrays["image_probabilities"][i] = record.image_probabilities
    return arrays


def balanced_order(weak_labels: np.ndarray, seed: int) -> Iterator[int]:
    """Yield clip positions without end, every class as often as every other.

    Each class has a queue of its clips, shuffled anew at every pass. Each round takes one clip
    from every queue, the classes in a fresh order. A clip of several classes stands in several
    queues; one without labels in none. weak_labels: (clips, classes).
    Source: the batches of the audio recipe by the authors of arXiv 1712.09680.

    >>> import itertools
    >>> order = balanced_order(np.array([[1, 0], [1, 0], [0, 1]]), seed=0)
    >>> sorted(itertools.islice(order, 4))
    [0, 1, 2, 2]
    """
    rng = np.random.default_rng(seed)
    members = [np.flatnonzero(column) for column in np.asarray(weak_labels).T]
    members = [clips for clips in members if len(clips)]
    if not members:
        raise InputError("class-balanced batches: no clip has a label")
    queues: list[list[int]] = [[] for _ in members]
    while True:
        for label in rng.permutation(len(members)):
            if not queues[label]:
                queues[label] = rng.permutation(members[label]).tolist()
            yield queues[label].pop()


def balanced_batches(
    shards_folder: str | os.PathLike,
    split: str,
    batch_size: int,
    seed: int,
    inputs: Sequence[str] = MODEL_INPUTS,
) -> tf.data.Dataset:
    """Return class-balanced batches of a split without end, in `balanced_order`.

    Elements as those of `load_split`, with a leading batch axis. The split is held in memory as
    it is stored: 0.34 MB a clip of 10 s. Raises InputError as `read_arrays` does.
    """
    serialized = _read_serialized(shards_folder, split)
    index = read_index(shards_folder)
    weak_labels = np.zeros((len(serialized), len(index["labels"])), bool)
    for i, example in enumerate(serialized):
        weak_labels[i, list(decode_example(example).labels)] = True
    examples = tf.constant(serialized)
    order = tf.data.Dataset.from_generator(
        lambda: balanced_order(weak_labels, seed), output_signature=tf.TensorSpec((), tf.int64)
    )
    clips = order.map(lambda i: examples[i])
    clips = clips.map(_parser(index, inputs), num_parallel_calls=tf.data.AUTOTUNE)
    return batches(clips, batch_size)
