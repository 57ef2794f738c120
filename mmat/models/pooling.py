"""Multiple-instance-learning pooling: from the scores of frames to the score of the clip.

Each pooling is a function of frame probabilities `(batch, time, classes)` that gives clip
probabilities `(batch, classes)`. own: bool `(batch, time)`, the frames that count where clips are
padded; a clip without any frame gets 0.

Formulas: Wang, Li and Metze, "A comparison of five multiple instance learning pooling functions for
sound event detection with weak labeling" (ICASSP 2019).
"""

from collections.abc import Callable

import keras
from keras import layers, ops

SMALLEST = 1e-7
LOWEST_LOGIT = -1e9


def max_pooling(y, own=None):
    """The clip's score is its highest frame's: `max_t y`.

    >>> float(max_pooling(ops.convert_to_tensor([[[0.25], [0.5]]]))[0, 0])
    0.5
    """
    return ops.max(y if own is None else _only(own, y), axis=1)


def mean_pooling(y, own=None):
    """All frames count alike: `Σy / T`.

    >>> float(mean_pooling(ops.convert_to_tensor([[[0.25], [0.75]]]))[0, 0])
    0.5
    """
    return ops.mean(y, axis=1) if own is None else _weighted_mean(y, ops.ones_like(y), own)


def linear_softmax(y, own=None):
    """Frames count by their own score: `Σy² / Σy`.

    >>> round(float(linear_softmax(ops.convert_to_tensor([[[0.2], [0.6]]]))[0, 0]), 3)
    0.5
    """
    return _weighted_mean(y, y, own)


def exponential_softmax(y, own=None):
    """Frames count by the exponential of their score: `Σ y·eʸ / Σ eʸ`.

    >>> round(float(exponential_softmax(ops.convert_to_tensor([[[0.0], [1.0]]]))[0, 0]), 3)
    0.731
    """
    return _weighted_mean(y, ops.exp(y), own)


def attention(y, logits, own=None):
    """Frames count by weights that are learnt beside the scores: `Σ y·softmax_t(logits)`.

    >>> y, logits = ops.convert_to_tensor([[[0.0], [1.0]]]), ops.zeros((1, 2, 1))
    >>> float(attention(y, logits)[0, 0])
    0.5
    """
    logits = ops.cast(logits, "float32")
    if own is not None:  # before the maximum, which is to be that of the clip's own frames
        logits = ops.where(own[:, :, None], logits, LOWEST_LOGIT)
    weights = ops.exp(logits - ops.max(logits, axis=1, keepdims=True))
    return _weighted_mean(y, weights, own)


def _weighted_mean(y, weights, own):
    if own is None:
        return ops.sum(y * weights, axis=1) / ops.sum(weights, axis=1)
    y, weights = _only(own, y), _only(own, weights)
    total = ops.sum(weights, axis=1)
    return ops.sum(y * weights, axis=1) / ops.where(total > 0, total, 1.0)


def _only(own, x):
    return ops.where(own[:, :, None], x, 0.0)


POOLINGS: dict[str, Callable] = {
    function.__name__: function
    for function in (max_pooling, mean_pooling, linear_softmax, exponential_softmax, attention)
}


@keras.saving.register_keras_serializable(package="mmat")
class MILPooling(layers.Layer):
    """Pool frame probabilities over time by one of the functions of this module.

    Inputs: frame probabilities `(batch, time, classes)`, or a list of those, with `attention` the
    attention logits of the same shape, and, where clips are padded, which frames are a clip's own,
    bool `(batch, time)`. Output: clip probabilities `(batch, classes)`, float32 under any precision
    policy, finite in value and gradient even where all scores are 0 or 1, and 0 without a frame.

    >>> MILPooling(linear_softmax)(ops.zeros((2, 10, 3))).shape
    TensorShape([2, 3])
    """

    def __init__(self, pooling: Callable | str = linear_softmax, **kwargs):
        super().__init__(**kwargs | {"dtype": "float32"})
        self.pooling = POOLINGS[pooling] if isinstance(pooling, str) else pooling

    def call(self, inputs):
        y, *rest = inputs if isinstance(inputs, list | tuple) else [inputs]
        return self.pooling(self._clamp(y), *rest)

    @staticmethod
    def _clamp(y):
        # Without it a linear softmax is 0/0 where no frame has any score.
        return ops.clip(ops.cast(y, "float32"), SMALLEST, 1.0 - SMALLEST)

    def compute_output_shape(self, input_shape):
        shape = input_shape if isinstance(input_shape[-1], int) else input_shape[0]
        return (shape[0], shape[2])

    def get_config(self):
        return super().get_config() | {"pooling": self.pooling.__name__}
