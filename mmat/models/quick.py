"""Layers computed a quicker way while a model is traced: the same weights, and the same answers."""

import contextlib
import functools
from collections.abc import Iterator

import keras
import tensorflow as tf

from mmat.models.quick_convolution import can_be_minimal, learning_convolution, minimal_convolution
from mmat.models.quick_gru import can_be_projected, projected_loop


@contextlib.contextmanager
def quick_layers(
    model: keras.Model, convolutions: bool = True, learning: bool = False
) -> Iterator[None]:
    """Let GRUs and float32 convolutions of a model take their quick ways while it is traced.

    The answers are the same but for rounding. On a GPU, where cuDNN knows better, nothing is
    changed. learning: with gradients that are quick too; such a graph is not for a SavedModel.
    convolutions: whether those are changed.

    >>> x = tf.random.stateless_normal((2, 5, 3), seed=(0, 0))
    >>> inputs = keras.Input((None, 3))
    >>> model = keras.Model(inputs, keras.layers.GRU(4, return_sequences=True)(inputs))
    >>> expected = model(x)
    >>> with quick_layers(model):
    ...     found = model(x)
    >>> bool(tf.reduce_max(tf.abs(found - expected)) < 1e-6)
    True
    """
    ways = {}
    for layer in [] if tf.config.get_visible_devices("GPU") else model._flatten_layers():
        if can_be_projected(layer):
            ways[layer] = "inner_loop", functools.partial(projected_loop, layer)
        elif convolutions and can_be_minimal(layer):
            way = learning_convolution if learning else minimal_convolution
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
