"""Shards in: tf.data batches of model inputs and weak labels, and NumPy arrays for evaluation."""

import collections
import contextlib
import functools
import itertools
import os
import types
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import numpy as np
import tensorflow as tf

from mmat.files import InputError
from mmat.media.read import SAMPLE_RATE_HZ
from mmat.pretrained.registry import IMAGE_NETWORKS
from mmat.shards.folder import read_index, shard_files
from mmat.shards.frozen import FROZEN_INPUTS, SOURCE_GROUPS, check_inputs, frozen_shapes
from mmat.shards.record import (
    FEATURES,
    INT16_SCALE,
    MATRICES,
    Record,
    decode_example,
    to_float32,
)

FIXED_INPUTS = ("waveform", "image_probabilities", "has_audio", "has_video")
MODEL_INPUTS = (*FIXED_INPUTS, "n_samples")
# The clip's id is for messages, no model takes it.
READABLE = (*MODEL_INPUTS, *FROZEN_INPUTS, "ids")
PRESENCE = {
    "waveform": "has_audio",
    "sound_scores": "has_audio",
    "sound_embeddings": "has_audio",
    "image_probabilities": "has_video",
    "image_embeddings": "has_video",
}
# The features that an input is made of; those of frozen outputs may be missing.
_MADE_OF = {
    "waveform": ("audio", "has_audio"),
    "image_probabilities": ("image_probabilities", "n_frames"),
    "has_audio": ("has_audio",),
    "has_video": ("n_frames",),
    "n_samples": ("audio",),
    "ids": ("id",),
} | {name: (name,) for name in FROZEN_INPUTS}
_WHEN_MISSING = {name: b"" for name in MATRICES} | {"n_patches": 0}
_SHARDS_AT_ONCE = 64  # open files, with a buffer of 256 kB each
_BATCHES_AHEAD = 2  # a fixed number, so that memory is bounded
# Of functions that give tf.data no Python `if` or loop: to look for them takes it a second.
without_autograph = tf.autograph.experimental.do_not_convert


@without_autograph
def load_split(
    shards_folder: str | os.PathLike,
    split: str,
    inputs: Sequence[str] = FIXED_INPUTS,
    shuffle_seed: int | None = None,
) -> tf.data.Dataset:
    """Return the clips of a split, one by one, as model inputs and weak labels.

    Elements: ({waveform: float32 (samples, 1), image_probabilities: float32 (n_frames,
    n_image_labels), has_audio: bool (), has_video: bool (), n_samples: int32 (), ids: string (),
    sound_scores: float32 (n_patches, n_sound_labels), sound_embeddings: float32 (n_patches, size),
    n_patches: int32 (), image_embeddings: float32 (n_frames, size)}, weak_labels: float32
    (classes,)). What a clip lacks is zeros with False and 0 beside it.

    inputs: those of them that the model has, since Keras wants exactly these; n_samples is for
    models of ragged clips, and ids are for `mmat.training.loop.train`, which names them in errors.
    A clip that lacks one of them is left out, unless the flag for it is among them too.
    shuffle_seed: None gives the clips in the order of the list (of up to 64 shards); a number the
    shards in another order in every epoch, the same in every run. Shuffle the clips by `batches`.
    Raises InputError for a missing or damaged folder, for a split that it does not hold, and for
    outputs of frozen networks that the shards do not hold.
    """
    flags = required_flags(inputs)
    index = read_index(shards_folder)
    check_inputs(shards_folder, index, inputs)
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
    shards_folder: str | os.PathLike,
    split: str,
    rows: Sequence[int] | None = None,
    inputs: Iterable[str] = MODEL_INPUTS,
) -> dict:
    """Return a whole split as NumPy arrays, for evaluation; the order is that of `load_split`.

    inputs: those of `load_split` that are wanted, and source_groups: for each clip a tuple of
    names. waveform: float32 (clips, samples, 1), shorter
    clips padded with zeros; a clip of 10 s takes 0.64 MB. image_probabilities: float32 (clips,
    n_frames, n_image_labels). sound_scores, sound_embeddings: float32 (clips, n_patches, size),
    image_embeddings: float32 (clips, n_frames, size), n_patches: int32 (clips,).
    Always there are ids: list of str; has_audio, has_video: bool (clips,); n_samples: int32
    (clips,), how long each is; weak_labels: float32 (clips, classes); events: for each clip a list
    of (class position, onset seconds, offset seconds).
    rows: these clips alone, in their order.
    Raises InputError for a missing or damaged folder, for a split that it does not hold, and for
    outputs of frozen networks that the shards do not hold.
    """
    files, shape, n_clips = _open(shards_folder, split, inputs)
    serialized = _serialized_of(files)
    if rows is not None:
        found, wanted = {}, set(rows)
        until = max(wanted, default=-1) + 1
        for row, example in enumerate(itertools.islice(serialized, until)):
            if row in wanted:
                found[row] = example
        serialized, n_clips = (found[row] for row in rows), len(rows)
    arrays = _empty(n_clips, shape)
    n_found = 0
    for n_found, example in enumerate(itertools.islice(serialized, n_clips), start=1):
        _put(arrays, n_found - 1, decode_example(example), shape["n_classes"])
    if n_found != n_clips:
        raise InputError(f"{files[0]}: the split is damaged; run mmat prepare again")
    return arrays


def read_steps(
    shards_folder: str | os.PathLike,
    split: str,
    clips_a_step: int,
    inputs: Iterable[str] = MODEL_INPUTS,
) -> Iterator[dict]:
    """Return the arrays of `read_arrays` some clips at a time; no others are held meanwhile.

    Clips are padded to the longest of the whole split. Raises InputError as `read_arrays` does, for
    damage when it is reached.
    """
    files, shape, _ = _open(shards_folder, split, inputs)
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
    flags = [flag for name, flag in PRESENCE.items() if name in inputs and flag not in inputs]
    return list(dict.fromkeys(flags))


def record_shape(index: dict) -> dict:
    """Return the sizes that `parse_example` takes, for a folder of shards."""
    seconds = index["clip_seconds"]
    return {
        "n_classes": len(index["labels"]),
        "n_samples": None if seconds is None else round(seconds * SAMPLE_RATE_HZ),
        "n_frames": index["n_frames"],
        "n_image_labels": index["n_image_labels"] or _n_image_labels(index.get("image_network")),
        "frozen": frozen_shapes(index),
    }


def _n_image_labels(network: str | None) -> int:
    """How many labels a known network gives, for shards none of whose clips has pictures."""
    known = IMAGE_NETWORKS.get(network)
    return known.n_outputs - known.background_offset if known else 0


def parser(index: dict, names: Sequence[str]) -> Callable:
    """Return a function of a serialized example: (the named inputs, weak labels)."""
    return functools.partial(parse_example, **record_shape(index), names=tuple(names))


def parse_example(
    serialized: tf.Tensor,
    n_classes: int,
    n_samples: int | None,
    n_frames: int,
    n_image_labels: int,
    frozen: Mapping[str, tuple[int | None, int]] = types.MappingProxyType({}),
    names: Sequence[str] = (*MODEL_INPUTS, "ids"),
) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
    """Turn a serialized example into model inputs and weak labels, in the graph.

    n_samples: the length of the clips if it is one for all, else None. frozen: the shapes of the
    outputs of frozen networks. names: the inputs to return; nothing else is parsed. Returns
    ({waveform: float32 (samples, 1), image_probabilities: float32 (n_frames, n_image_labels),
    has_audio: bool (), has_video: bool (), n_samples: int32 (), ids: string (), sound_scores,
    sound_embeddings, image_embeddings: float32 of the shape in `frozen`, n_patches: int32 ()},
    weak_labels: float32 (n_classes,)). What the clip lacks is zeros with False and 0 beside it;
    has_video is about the probabilities. The weak labels of a regression are its values.

    >>> import numpy as np
    >>> from mmat.shards.record import Record, encode_example
    >>> record = Record("a", audio=np.full(16000, -32768, np.int16), labels=(1,))
    >>> inputs, weak_labels = parse_example(encode_example(record), 3, 16000, 8, 1000)
    >>> inputs["waveform"].shape.as_list(), weak_labels.numpy().tolist()
    ([16000, 1], [0.0, 1.0, 0.0])
    >>> float(inputs["waveform"][0, 0]), int(inputs["n_samples"]), bool(inputs["has_video"])
    (-1.0, 16000, False)
    """
    features = dict.fromkeys(feature for name in names for feature in _MADE_OF[name])
    row = tf.io.parse_single_example(
        serialized,
        {
            name: tf.io.FixedLenFeature((), FEATURES[name], _WHEN_MISSING.get(name))
            for name in features
        }
        | {name: tf.io.RaggedFeature(FEATURES[name]) for name in ("labels", "label_values")},
    )
    make = {
        "waveform": lambda: _waveform(row["audio"], row["has_audio"] > 0, n_samples),
        "image_probabilities": lambda: _matrix(
            row["image_probabilities"], row["n_frames"] > 0, n_frames, n_image_labels
        ),
        "has_audio": lambda: row["has_audio"] > 0,
        "has_video": lambda: row["n_frames"] > 0,
        "n_samples": lambda: tf.strings.length(row["audio"]) // 2,
        "ids": lambda: row["id"],
        "n_patches": lambda: tf.cast(row["n_patches"], tf.int32),
    }
    for name in MATRICES:
        make[name] = lambda name=name: _matrix(
            row[name], tf.strings.length(row[name]) > 0, *frozen[name]
        )
    labels = row["labels"]
    # Labels without values are ones.
    values = tf.concat([row["label_values"], tf.ones_like(labels, tf.float32)], 0)
    values = values[: tf.size(labels)]
    weak_labels = tf.tensor_scatter_nd_update(tf.zeros(n_classes), labels[:, None], values)
    return {name: make[name]() for name in names}, weak_labels


def _waveform(audio: tf.Tensor, is_there: tf.Tensor, n_samples: int | None) -> tf.Tensor:
    samples = tf.cond(
        is_there,
        lambda: tf.cast(tf.io.decode_raw(audio, tf.int16), tf.float32) / INT16_SCALE,
        lambda: tf.zeros((n_samples or 1,)),
    )
    return tf.reshape(samples, (n_samples or -1, 1))


def _matrix(raw: tf.Tensor, is_there: tf.Tensor, n_rows: int | None, size: int) -> tf.Tensor:
    """Return float32 `(n_rows, size)`; zeros, one row of them at least, where it is not there."""
    values = tf.cond(
        is_there,
        lambda: tf.cast(tf.io.decode_raw(raw, tf.float16), tf.float32),
        lambda: tf.zeros(((n_rows or 1) * size,)),
    )
    return tf.reshape(values, (-1 if n_rows is None else n_rows, size))


def with_options(dataset: tf.data.Dataset) -> tf.data.Dataset:
    """Return the dataset with a fixed order, and with its threads used across clips."""
    options = tf.data.Options()
    options.deterministic = True
    options.threading.max_intra_op_parallelism = 1
    return dataset.with_options(options)


def list_order(clip_counts: Sequence[int]) -> np.ndarray:
    """Return the clips' positions, shard by shard, in the order in which a split is read.

    clip_counts: of each shard. That order is the list's, of up to 64 shards.

    >>> list_order([2, 3]).tolist()
    [0, 2, 1, 3, 4]
    """
    ends = np.cumsum(clip_counts, dtype=np.int64)
    starts = ends - np.asarray(clip_counts, np.int64)
    shards = tf.data.Dataset.from_tensor_slices((starts, ends))
    places = shards.interleave(tf.data.Dataset.range, cycle_length=_SHARDS_AT_ONCE)
    return np.fromiter(places.as_numpy_iterator(), np.int64)


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
        arrays = _empty(len(step), shape)
        for i, record in enumerate(step):
            _put(arrays, i, record, shape["n_classes"])
        yield arrays


def _open(
    shards_folder: str | os.PathLike, split: str, inputs: Iterable[str]
) -> tuple[list[str], dict, int]:
    """Return a split's shards, the shape of its clips, padded to the longest, and their number.

    The shape's `frozen` holds the wanted outputs alone, and its `inputs` the other wanted inputs.
    """
    inputs = list(inputs)
    required_flags([name for name in inputs if name != SOURCE_GROUPS])  # it knows the names
    index = read_index(shards_folder)
    check_inputs(shards_folder, index, inputs)
    files, shape = shard_files(shards_folder, index, split), record_shape(index)
    shape["inputs"] = inputs
    shape["frozen"] = {name: size for name, size in shape["frozen"].items() if name in inputs}
    if shape["n_samples"] is None and {"waveform", "sound_scores", "sound_embeddings"} & {*inputs}:
        longest, most_patches = 1, 1
        for record in map(decode_example, _serialized_of(files)):
            longest = max(longest, _length(record))
            most_patches = max(most_patches, record.n_patches)
        shape["n_samples"] = longest
        shape["frozen"] = {
            name: (most_patches if n_rows is None else n_rows, size)
            for name, (n_rows, size) in shape["frozen"].items()
        }
    return files, shape, index["splits"][split]["clips"]


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


def _empty(n_clips: int, shape: dict) -> dict:
    """Return the arrays of `read_arrays` before anything is put in them."""
    sizes = {
        "waveform": (shape["n_samples"], 1),
        "image_probabilities": (shape["n_frames"], shape["n_image_labels"]),
    }
    sizes = {name: size for name, size in sizes.items() if name in shape["inputs"]}
    sizes |= shape["frozen"] | {"weak_labels": (shape["n_classes"],)}
    arrays = {name: np.zeros((n_clips, *size), np.float32) for name, size in sizes.items()}
    if "n_patches" in shape["inputs"]:
        arrays["n_patches"] = np.zeros(n_clips, np.int32)
    if SOURCE_GROUPS in shape["inputs"]:
        arrays[SOURCE_GROUPS] = [()] * n_clips
    return arrays | {
        "ids": [""] * n_clips,
        "has_audio": np.zeros(n_clips, bool),
        "has_video": np.zeros(n_clips, bool),
        "n_samples": np.zeros(n_clips, np.int32),
        "events": [[] for _ in range(n_clips)],
    }


def _put(arrays: dict, i: int, record: Record, n_classes: int) -> None:
    """Put a clip in the arrays of `read_arrays`."""
    arrays["ids"][i] = record.id
    arrays["has_audio"][i] = record.audio is not None
    arrays["has_video"][i] = record.image_probabilities is not None
    arrays["n_samples"][i] = _length(record)
    arrays["weak_labels"][i] = record.weak_labels(n_classes)
    arrays["events"][i] = list(record.events)
    if SOURCE_GROUPS in arrays:
        arrays[SOURCE_GROUPS][i] = record.source_groups
    if "n_patches" in arrays:
        arrays["n_patches"][i] = record.n_patches
    if "waveform" in arrays and record.audio is not None:
        arrays["waveform"][i, : len(record.audio), 0] = to_float32(record.audio)
    for name in ("image_probabilities", *MATRICES):
        matrix = getattr(record, name)
        if name in arrays and matrix is not None:
            arrays[name][i, : len(matrix)] = matrix
