"""A faster way through a model on a CPU while it is traced: the same weights, the same outputs."""

import contextlib
import functools
from collections.abc import Iterator

import keras
import tensorflow as tf

from mmat.models.quick_convolution import suits_winograd, trainable_winograd_conv2d, winograd_conv2d
from mmat.models.quick_gru import projected_loop, suits_projection


@contextlib.contextmanager
def fast_cpu(
    model: keras.Model, convolutions: bool = True, training: bool = False
) -> Iterator[None]:
    """Let GRUs and float32 convolutions of a model take the fast CPU path while it is traced.

    The outputs are the same but for rounding. On a GPU, where cuDNN knows better, nothing is
    changed. training: with gradients that are fast too; such a graph is not for a SavedModel.
    convolutions: whether those are changed.

    >>> x = tf.random.stateless_normal((2, 5, 3), seed=(0, 0))
    >>> inputs = keras.Input((None, 3))
    >>> model = keras.Model(inputs, keras.layers.GRU(4, return_sequences=True)(inputs))
    >>> expected = model(x)
    >>> with fast_cpu(model):
    ...     found = model(x)
    >>> bool(tf.reduce_max(tf.abs(found - expected)) < 1e-6)
    True
    """
    ways = {}
    for layer in [] if tf.config.get_visible_devices("GPU") else model._flatten_layers():
        if suits_projection(layer):
            ways[layer] = "inner_loop", functools.partial(projected_loop, layer)
        elif convolutions and suits_winograd(layer):
            way = trainable_winograd_conv2d if training else winograd_conv2d
            ways[layer] = "convolution_op", way
    # Within another such context, of this thread or another, what is set already stays as it is.
    ways = {layer: way for layer, way in ways.items() if way[0] not in vars(layer)}
    for layer, (name, way) in ways.items():
        setattr(layer, name, way)
    try:
        yield
    finally:
        for layer, (name, _) in ways.items():
            vars(layer).pop(name, None)  # the class's own is there again
