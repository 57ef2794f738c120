"""The least that a network costs: multiply-adds counted from its layers, bytes that must be moved.

Counted are the products with weights and the Fourier transforms; what is done once a number, such
as an activation, is not. Convolutions are counted the direct way: minimal filtering, which
multiplies less (`mmat.models.fast_cpu`), may go under a floor made of that.
"""

import math

import kapre
import keras
import numpy as np

FLOAT_BYTES = 4


def fft_multiply_adds(n: int) -> float:
    """Return the multiply-adds of a real Fourier transform of n samples, n a power of two.

    The classic count is 5/2 · n · log2(n) operations, half of them a multiply-add each.

    >>> fft_multiply_adds(4096)
    61440.0
    """
    return 1.25 * n * math.log2(n)


def layer_shapes(model: keras.Model, n_samples: int) -> dict[str, tuple[tuple, tuple]]:
    """Return what goes into each layer that multiplies, and what comes out, for one clip.

    Keys are the layers' names; shapes without the batch axis.
    """
    counted = [layer for layer in model.layers if _is_counted(layer)]
    probe = keras.Model(model.input, [[layer.input, layer.output] for layer in counted])
    found = probe({"waveform": np.zeros((1, n_samples, 1), np.float32)}, training=False)
    return {
        layer.name: (tuple(given.shape[1:]), tuple(made.shape[1:]))
        for layer, (given, made) in zip(counted, found, strict=True)
    }


def multiply_adds(model: keras.Model, n_samples: int) -> dict[str, float]:
    """Return the multiply-adds of each layer for one clip, forwards, by the layer's name.

    >>> from mmat.models.audio import audio_branch
    >>> counted = multiply_adds(audio_branch(17), 160_000)
    >>> round(sum(counted.values()) / 1e9, 2)
    1.43
    """
    shapes = layer_shapes(model, n_samples)
    return {name: _count(model.get_layer(name), *shape) for name, shape in shapes.items()}


def training_multiply_adds(model: keras.Model, n_samples: int) -> float:
    """Return the multiply-adds of a training step on one clip.

    Of each layer that learns forwards, for the gradient of its weights, and for that of its input,
    which the first such layer does not need.
    """
    counted = multiply_adds(model, n_samples)
    learning = [name for name in counted if model.get_layer(name).trainable_weights]
    backwards = sum(2 * counted[name] for name in learning) - counted[learning[0]]
    return sum(counted.values()) + backwards


def moved_bytes(model: keras.Model, n_samples: int, batch_size: int) -> int:
    """Return the bytes that must be moved: weights and waveforms read, scores written."""
    outputs = model({"waveform": np.zeros((1, n_samples, 1), np.float32)}, training=False)
    n_scores = sum(math.prod(x.shape) for x in keras.tree.flatten(outputs))
    return FLOAT_BYTES * (model.count_params() + batch_size * (n_samples + n_scores))


def _is_counted(layer: keras.Layer) -> bool:
    kinds = keras.layers.Conv2D | keras.layers.Dense | keras.layers.Bidirectional
    return isinstance(layer, kinds | kapre.STFT | kapre.ApplyFilterbank)


def _count(layer: keras.Layer, given: tuple, made: tuple) -> float:
    if isinstance(layer, kapre.STFT):
        frames = made[0]
        return frames * fft_multiply_adds(layer.n_fft)
    if isinstance(layer, kapre.ApplyFilterbank):
        frames, _, channels = given  # each frequency lies in two bands at most
        return frames * channels * float(np.count_nonzero(layer.filterbank))
    if isinstance(layer, keras.layers.Bidirectional):
        steps = given[0]
        cells = [layer.forward_layer.cell, layer.backward_layer.cell]
        each = [math.prod(w.shape) for c in cells for w in (c.kernel, c.recurrent_kernel)]
        return float(steps * sum(each))
    # A kernel is applied at every place of the output; its last axis are the output's channels.
    return float(math.prod(made[:-1]) * math.prod(layer.kernel.shape))
