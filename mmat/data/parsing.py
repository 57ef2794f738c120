"""A stored record becomes model inputs and weak labels, inside the graph."""

from collections.abc import Callable, Sequence

import tensorflow as tf

from mmat.data.media import SAMPLE_RATE_HZ
from mmat.data.records import FEATURES, INT16_SCALE
from mmat.errors import InputError

FIXED_INPUTS = ("waveform", "image_probabilities", "has_audio", "has_video")
MODEL_INPUTS = (*FIXED_INPUTS, "n_samples")
READABLE = (*MODEL_INPUTS, "ids")  # the clip's id is for people, no model takes it
_SINGLE = ("id", "audio", "image_probabilities", "n_frames", "has_audio")
PRESENCE = {"waveform": "has_audio", "image_probabilities": "has_video"}


def record_shape(index: dict) -> dict[str, int | None]:
    """Return what `parse_example` needs to know of a folder of shards."""
    seconds = index["clip_seconds"]
    return {
        "n_classes": len(index["labels"]),
        "n_samples": None if seconds is None else round(seconds * SAMPLE_RATE_HZ),
        "n_frames": index["n_frames"],
        "n_image_labels": index["n_image_labels"],
    }


def needed(inputs: Sequence[str]) -> list[str]:
    """Return the presence flags that a clip must have for a model with these inputs.

    A model that is not told whether a clip has sound, or pictures, is to see none without.
    Raises InputError for an input that there is not.

    >>> needed(["waveform", "image_probabilities", "has_video"])
    ['has_audio']
    """
    for name in inputs:
        if name not in READABLE:
            raise InputError(f"unknown input {name!r}; there are {', '.join(READABLE)}")
    return [flag for name, flag in PRESENCE.items() if name in inputs and flag not in inputs]


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
    What the clip lacks is zeros with False and 0 beside it; has_video tells of the probabilities.
    The weak labels of a regression are their values.

    >>> import numpy as np
    >>> from mmat.data.records import Record, encode_example
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
    # Without values of their own, labels have ones.
    values = tf.concat([row["label_values"], tf.ones_like(labels, tf.float32)], 0)
    values = values[: tf.size(labels)]
    return inputs, tf.tensor_scatter_nd_update(tf.zeros(n_classes), labels[:, None], values)
