"""Shards in: tf.data batches of model inputs and weak labels, and NumPy arrays for evaluation."""

import collections
import contextlib
import itertools
import os
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import tensorflow as tf

from mmat.files import InputError
from mmat.media.read import SAMPLE_RATE_HZ
from mmat.shards.folder import read_index, shard_files
from mmat.shards.record import FEATURES, INT16_SCALE, Record, decode_example, to_float32

FIXED_INPUTS = ("waveform", "image_probabilities", "has_audio", "has_video")
MODEL_INPUTS = (*FIXED_INPUTS, "n_samples")
READABLE = (*MODEL_INPUTS, "ids")  # the clip's id is for messages, no model takes it
_SINGLE = ("id", "audio", "image_probabilities", "n_frames", "has_audio")
PRESENCE = {"waveform": "has_audio", "image_probabilities": "has_video"}
_SHARDS_AT_ONCE = 64  # open files, with a buffer of 256 kB each
_BATCHES_AHEAD = 2  # a fixed number, so that memory is bounded


def load_split(
    shards_folder: str | os.PathLike,
    split: str,
    inputs: Sequence[str] = FIXED_INPUTS,
    shuffle_seed: int | None = None,
) -> tf.data.Dataset:
    """Return the clips of a split, one by one, as model inputs and weak labels.

    Elements: ({waveform: float32 (samples, 1), image_probabilities: float32 (n_frames,
    n_image_labels), has_audio: bool (), has_video: bool (), n_samples: int32 (), ids: string ()},
    weak_labels: float32 (classes,)). What a clip lacks is zeros with False and 0 beside it.

    inputs: those of them that the model has, since Keras wants exactly these; n_samples is for
    models of ragged clips, and ids are for `mmat.training.loop.train`, which names them in errors.
    A clip that lacks one of them is left out, unless the flag for it is among them too.
    shuffle_seed: None gives the clips in the order of the list (of up to 64 shards); a number the
    shards in another order in every epoch, the same in every run. Shuffle the clips by `batches`.
    Raises InputError for a missing or damaged folder and for a split that it does not hold.
    """
    flags = required_flags(inputs)
    index = read_index(shards_folder)
    files = tf.data.Dataset.from_tensor_slices(shard_files(shards_folder, index, split))
    if shuffle_seed is not None:
        files = files.shuffle(len(files), seed=shuffle_seed)
    parse = parser(index, [*inputs, *flags])
    dataset = _serialized(files).map(parse, num_parallel_calls=tf.data.AUTOTUNE)
    if flags:
        dataset = dataset.filter(lambda clip, _: tf.reduce_all([clip[flag] for flag in flags]))
        dataset = dataset.map(lambda clip, labels: ({name: clip[name] for name in inputs}, labels))
    n_clips = _count(index, split, flags)  # for Keras's progress bar
    if n_clips is not None:
        dataset = dataset.apply(tf.data.experimental.assert_cardinality(n_clips))
    return with_options(dataset)


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
    return batch(batch_size, drop_remainder=drop_remainder).prefetch(_BATCHES_AHEAD)


def read_arrays(
    shards_folder: str | os.PathLike, split: str, rows: Sequence[int] | None = None
) -> dict:
    """Return a whole split as NumPy arrays, for evaluation; the order is that of `load_split`.

    ids: list of str. waveform: float32 (clips, samples, 1), shorter clips padded with zeros.
    n_samples: int32 (clips,), how long each is. image_probabilities: float32 (clips, n_frames,
    n_image_labels). has_audio, has_video: bool (clips,). weak_labels: float32 (clips, classes).
    events: for each clip a list of (class position, onset seconds, offset seconds). A clip of 10 s
    takes 0.64 MB. rows: these clips alone, in their order.
    Raises InputError for a missing or damaged folder and for a split that it does not hold.
    """
    files, shape = _files_and_shape(shards_folder, split)
    if rows is None:
        records = list(map(decode_example, _serialized_of(files)))
    else:
        found, wanted = {}, set(rows)
        until = max(wanted, default=-1) + 1
        for row, example in enumerate(itertools.islice(_serialized_of(files), until)):
            if row in wanted:
                found[row] = decode_example(example)
        records = [found[row] for row in rows]
    return _stacked(records, shape)


def read_steps(shards_folder: str | os.PathLike, split: str, clips_a_step: int) -> Iterator[dict]:
    """Return the arrays of `read_arrays` some clips at a time; no others are held meanwhile.

    Clips are padded to the longest of the whole split. Raises InputError as `read_arrays` does, for
    damage when it is reached.
    """
    files, shape = _files_and_shape(shards_folder, split)
    return _steps(files, shape, clips_a_step)


@contextlib.contextmanager
def corrupt_shard_as_error(shards_folder: str | os.PathLike) -> Iterator[None]:
    """Turn TensorFlow's long error on a damaged record, read inside of `with`, into an InputError.

    `with corrupt_shard_as_error("shards"): model.fit(…)`. The error does not name the shard.
    """
    try:
        yield
    except tf.errors.DataLossError as error:
        raise InputError(
            f"{shards_folder}: a shard is damaged; mmat prepare --verify tells which"
        ) from error


def required_flags(inputs: Sequence[str]) -> list[str]:
    """Return the presence flags that a clip must have for a model with these inputs.

    A model that takes sound, or pictures, without the flag for them must not get a clip that lacks
    them. Raises InputError for an unknown input.

    >>> required_flags(["waveform", "image_probabilities", "has_video"])
    ['has_audio']
    """
    for name in inputs:
        if name not in READABLE:
            raise InputError(f"unknown input {name!r}; there are {', '.join(READABLE)}")
    return [flag for name, flag in PRESENCE.items() if name in inputs and flag not in inputs]


def record_shape(index: dict) -> dict[str, int | None]:
    """Return the sizes that `parse_example` takes, for a folder of shards."""
    seconds = index["clip_seconds"]
    return {
        "n_classes": len(index["labels"]),
        "n_samples": None if seconds is None else round(seconds * SAMPLE_RATE_HZ),
        "n_frames": index["n_frames"],
        "n_image_labels": index["n_image_labels"],
    }


def parser(index: dict, names: Sequence[str]) -> Callable:
    """Return a function of a serialized example: (the named inputs, weak labels)."""

    def parse(serialized):
        inputs, weak_labels = parse_example(serialized, **record_shape(index))
        return {name: inputs[name] for name in names}, weak_labels

    return parse


def parse_example(
    serialized: tf.Tensor,
    n_classes: int,
    n_samples: int | None,
    n_frames: int,
    n_image_labels: int,
) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
    """Turn a serialized example into model inputs and weak labels, in the graph.

    n_samples: the length of the clips if it is one for all, else None. Returns ({waveform: float32
    (samples, 1), image_probabilities: float32 (n_frames, n_image_labels), has_audio: bool (),
    has_video: bool (), n_samples: int32 (), ids: string ()}, weak_labels: float32 (n_classes,)).
    What the clip lacks is zeros with False and 0 beside it; has_video is about the probabilities.
    The weak labels of a regression are its values.

    >>> import numpy as np
    >>> from mmat.shards.record import Record, encode_example
    >>> record = Record("a", audio=np.full(16000, -32768, np.int16), labels=(1,))
    >>> inputs, weak_labels = parse_example(encode_example(record), 3, 16000, 8, 1000)
    >>> inputs["waveform"].shape.as_list(), weak_labels.numpy().tolist()
    ([16000, 1], [0.0, 1.0, 0.0])
    >>> float(inputs["waveform"][0, 0]), int(inputs["n_samples"]), bool(inputs["has_video"])
    (-1.0, 16000, False)
    """
    row = tf.io.parse_single_example(
        serialized,
        {name: tf.io.FixedLenFeature((), FEATURES[name]) for name in _SINGLE}
        | {name: tf.io.RaggedFeature(FEATURES[name]) for name in ("labels", "label_values")},
    )
    has_audio, has_video = row["has_audio"] > 0, row["n_frames"] > 0
    audio = tf.cond(
        has_audio,
        lambda: tf.cast(tf.io.decode_raw(row["audio"], tf.int16), tf.float32) / INT16_SCALE,
        lambda: tf.zeros((n_samples or 1,)),
    )
    shape = (n_frames, n_image_labels)
    probabilities = tf.cond(
        has_video,
        lambda: tf.reshape(tf.io.decode_raw(row["image_probabilities"], tf.float16), shape),
        lambda: tf.zeros(shape, tf.float16),
    )
    inputs = {
        "waveform": tf.reshape(audio, (n_samples or -1, 1)),
        "image_probabilities": tf.cast(probabilities, tf.float32),
        "has_audio": has_audio,
        "has_video": has_video,
        "n_samples": tf.strings.length(row["audio"]) // 2,
        "ids": row["id"],
    }
    labels = row["labels"]
    # Labels without values are ones.
    values = tf.concat([row["label_values"], tf.ones_like(labels, tf.float32)], 0)
    values = values[: tf.size(labels)]
    return inputs, tf.tensor_scatter_nd_update(tf.zeros(n_classes), labels[:, None], values)


def with_options(dataset: tf.data.Dataset) -> tf.data.Dataset:
    """Return the dataset with a fixed order, and with its threads used across clips."""
    options = tf.data.Options()
    options.deterministic = True
    options.threading.max_intra_op_parallelism = 1
    return dataset.with_options(options)


def _count(index: dict, split: str, flags: list[str]) -> int | None:
    """Return how many clips have these flags, where the index knows it."""
    entry = index["splits"][split]
    known = {(): "clips", ("has_audio",): "with_audio"}
    return entry[known[tuple(flags)]] if tuple(flags) in known else None


def _serialized(files: tf.data.Dataset) -> tf.data.Dataset:
    """Read shards side by side, one record of each in turn, always in the same order."""
    return files.interleave(
        tf.data.TFRecordDataset,
        cycle_length=_SHARDS_AT_ONCE,
        num_parallel_calls=tf.data.AUTOTUNE,
        deterministic=True,
    )


def _steps(files: Sequence[str], shape: dict, clips_a_step: int) -> Iterator[dict]:
    records = map(decode_example, _serialized_of(files))
    while step := list(itertools.islice(records, clips_a_step)):
        yield _stacked(step, shape)


def _files_and_shape(shards_folder: str | os.PathLike, split: str) -> tuple[list[str], dict]:
    """Return a split's shards and the shape of its clips, padded to the longest."""
    index = read_index(shards_folder)
    files, shape = shard_files(shards_folder, index, split), record_shape(index)
    if shape["n_samples"] is None:
        lengths = (_length(decode_example(example)) for example in _serialized_of(files))
        shape["n_samples"] = max(1, *lengths)
    return files, shape


def _length(record: Record) -> int:
    return 0 if record.audio is None else len(record.audio)


def _serialized_of(files: Sequence[str]) -> Iterator[bytes]:
    try:
        yield from _serialized(tf.data.Dataset.from_tensor_slices(files)).as_numpy_iterator()
    except tf.errors.DataLossError as error:
        raise InputError(
            f"{_damaged(files)}: the shard is damaged; run mmat prepare again"
        ) from error


def _damaged(files: Sequence[str]) -> str:
    """Return the first of the shards that cannot be read to its end."""
    for file in files:
        try:
            collections.deque(tf.data.TFRecordDataset(file).as_numpy_iterator(), maxlen=0)
        except tf.errors.DataLossError:
            return file
    return files[0]


def _stacked(records: Sequence[Record], shape: dict) -> dict:
    """Return the arrays of `read_arrays`."""
    pictures = (len(records), shape["n_frames"], shape["n_image_labels"])
    arrays = {
        "ids": [record.id for record in records],
        "waveform": np.zeros((len(records), shape["n_samples"], 1), np.float32),
        "image_probabilities": np.zeros(pictures, np.float32),
        "has_audio": np.array([record.audio is not None for record in records]),
        "has_video": np.array([record.image_probabilities is not None for record in records]),
        "n_samples": np.array([_length(record) for record in records], np.int32),
        "weak_labels": np.zeros((len(records), shape["n_classes"]), np.float32),
        "events": [list(record.events) for record in records],
    }
    for i, record in enumerate(records):
        arrays["weak_labels"][i] = record.weak_labels(shape["n_classes"])
        if record.audio is not None:
            arrays["waveform"][i, : len(record.audio), 0] = to_float32(record.audio)
        if record.image_probabilities is not None:
            arrays["image_probabilities"][i] = record.image_probabilities
    return arrays
