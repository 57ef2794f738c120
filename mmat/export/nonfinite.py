"""Clips that hold NaN or an infinity: NaN in, NaN out, and nothing of it reaches their neighbours.

Without this a network's rectifiers and maxima swallow a NaN, and the clip gets scores like any
other.
"""

from collections.abc import Callable

import tensorflow as tf

# Whether a clip has what stands in an input; what it has not may hold anything.
FLAGS = {
    "waveform": "has_audio",
    "image_probabilities": "has_video",
    "image_embeddings": "has_video",
}
SMALL = 2.0**-40


def nan_in_nan_out(predict: Callable[..., dict]) -> Callable[..., dict]:
    """Return `predict`, so that a clip with a sample that is no finite number gets NaN.

    predict: a function of tensors by name, `(batch, …)`, that returns such tensors by name, of
    operations that TensorFlow Lite has too. Such a clip is computed as zeros; each of its floats
    in what is returned is NaN, each bool is False. All other clips get what they get alone.

    >>> doubled = nan_in_nan_out(lambda waveform: {"clip": 2 * waveform, "fired": waveform > 0})
    >>> found = doubled(waveform=tf.constant([[1.0, 1.0], [float("nan"), 1.0]]))
    >>> found["clip"].numpy().tolist(), found["fired"].numpy().tolist()
    ([[2.0, 2.0], [nan, nan]], [[True, True], [False, False]])
    """

    def guarded(**inputs):
        finite = {name: _finite(x) for name, x in inputs.items() if x.dtype.is_floating}
        clean = {name: _where(clips, inputs[name], 0.0) for name, clips in finite.items()}
        outputs = predict(**inputs | clean)
        for name, clips in finite.items():
            has = inputs.get(FLAGS.get(name))
            good = clips if has is None else clips | ~has
            outputs = {key: _marked(good, output) for key, output in outputs.items()}
        return outputs

    return guarded


def _finite(x):
    """Return which clips hold finite numbers alone, bool `(batch,)`."""
    # TensorFlow Lite has no operation that asks a number whether it is finite; a sum tells of all,
    # of numbers so small that it cannot overflow by itself.
    total = tf.reduce_sum(
        tf.abs(x) * tf.constant(SMALL, x.dtype), axis=list(range(1, len(x.shape)))
    )
    return total <= x.dtype.max


def _marked(good, output):
    return _where(good, output, False if output.dtype.is_bool else float("nan"))


def _where(clips, x, otherwise):
    # Two axes: a choice over more takes TensorFlow Lite twenty times as long.
    flat = tf.reshape(x, (tf.shape(x)[0], -1))
    chosen = tf.where(clips[:, tf.newaxis], flat, tf.constant(otherwise, x.dtype))
    return tf.ensure_shape(tf.reshape(chosen, tf.shape(x)), x.shape)
