"""Multiple-instance-learning pooling: from the scores of frames to the score of the clip.

Each pooling is a function of frame probabilities `(batch, time, classes)` that gives clip
probabilities `(batch, classes)`. Formulas: Wang, Li and Metze, "A comparison of five multiple
instance learning pooling functions for sound event detection with weak labeling" (ICASSP 2019).
"""

from collections.abc import Callable

import keras
from keras import layers, ops

SMALLEST = 1e-7


def max_pooling(y):
    """The clip's score is its highest frame's: `max_t y`.

    >>> float(max_pooling(ops.convert_to_tensor([[[0.25], [0.5]]]))[0, 0])
    0.5
    """
    return ops.max(y, axis=1)


def mean_pooling(y):
    """All frames count alike: `Σy / T`.

    >>> float(mean_pooling(ops.convert_to_tensor([[[0.25], [0.75]]]))[0, 0])
    0.5
    """
    return ops.mean(y, axis=1)


def linear_softmax(y):
    """Frames count by their own score: `Σy² / Σy`.

    >>> round(float(linear_softmax(ops.convert_to_tensor([[[0.2], [0.6]]]))[0, 0]), 3)
    0.5
    """
    return ops.sum(ops.square(y), axis=1) / ops.sum(y, axis=1)


def exponential_softmax(y):
    """Frames count by the exponential of their score: `Σ y·eʸ / Σ eʸ`.

    >>> round(float(exponential_softmax(ops.convert_to_tensor([[[0.0], [1.0]]]))[0, 0]), 3)
    0.731
    """
    weights = ops.exp(y)
    return ops.sum(y * weights, axis=1) / ops.sum(weights, axis=1)


def attention(y, logits):
    """Frames count by weights that are learnt beside the scores: `Σ y·softmax_t(logits)`.

    >>> y, logits = ops.convert_to_tensor([[[0.0], [1.0]]]), ops.zeros((1, 2, 1))
    >>> float(attention(y, logits)[0, 0])
    0.5
    """
    weights = ops.exp(logits - ops.max(logits, axis=1, keepdims=True))
    return ops.sum(y * weights, axis=1) / ops.sum(weights, axis=1)


POOLINGS: dict[str, Callable] = {
    function.__name__: function
    for function in (max_pooling, mean_pooling, linear_softmax, exponential_softmax, attention)
}


@keras.saving.register_keras_serializable(package="mmat")
class MILPooling(layers.Layer):
    """Pool frame probabilities over time by one of the functions of this module.

    Inputs: frame probabilities `(batch, time, classes)`, with `attention` a list of those and of
    the attention logits of the same shape. Output: clip probabilities `(batch, classes)`, float32
    under any precision policy, finite in value and gradient even where all scores are 0 or 1.

    >>> MILPooling(linear_softmax)(ops.zeros((2, 10, 3))).shape
    TensorShape([2, 3])
    """

    def __init__(self, pooling: Callable | str = linear_softmax, **kwargs):
        super().__init__(**kwargs | {"dtype": "float32"})
        self.pooling = POOLINGS[pooling] if isinstance(pooling, str) else pooling

    def call(self, inputs):
        if self.pooling is attention:
            y, logits = inputs
            return attention(self._clamp(y), ops.cast(logits, "float32"))
        return self.pooling(self._clamp(inputs))

    @staticmethod
    def _clamp(y):
        # Without it a linear softmax is 0/0 where no frame has any score.
        return ops.clip(ops.cast(y, "float32"), SMALLEST, 1.0 - SMALLEST)

    def compute_output_shape(self, input_shape):
        shape = input_shape[0] if self.pooling is attention else input_shape
        return (shape[0], shape[2])

    def get_config(self):
        return super().get_config() | {"pooling": self.pooling.__name__}
