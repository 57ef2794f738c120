"""Recurrent layers as they are served: the inputs' product once for all steps, not step by step."""

import contextlib
import functools
from collections.abc import Iterator

import keras
import tensorflow as tf


@contextlib.contextmanager
def projected_grus(model: keras.Model) -> Iterator[None]:
    """Let the GRUs of a model compute their inputs' product before the steps while it is traced.

    The answers are the same but for rounding, with a mask too. Keras on a CPU reads a GRU's whole
    input kernel anew at each step, which takes most of its time; on a GPU cuDNN knows better, and
    nothing is changed.

    >>> x = tf.random.stateless_normal((2, 5, 3), seed=(0, 0))
    >>> inputs = keras.Input((None, 3))
    >>> model = keras.Model(inputs, keras.layers.GRU(4, return_sequences=True)(inputs))
    >>> expected = model(x)
    >>> with projected_grus(model):
    ...     found = model(x)
    >>> bool(tf.reduce_max(tf.abs(found - expected)) < 1e-6)
    True
    """
    grus = [layer for layer in model._flatten_layers() if isinstance(layer, keras.layers.GRU)]
    grus = [gru for gru in grus if gru.cell.reset_after and gru.cell.use_bias]
    if tf.config.list_physical_devices("GPU"):
        grus = []
    for gru in grus:
        gru.inner_loop = functools.partial(_projected_loop, gru)
    try:
        yield
    finally:
        for gru in grus:
            del gru.inner_loop  # the class's own is there again


def _projected_loop(gru: keras.layers.GRU, sequences, initial_state, mask, training=False):
    """What Keras calls for all steps: returns the last output, all of them, and the states."""
    if training:
        return type(gru).inner_loop(gru, sequences, initial_state, mask, training)
    cell, units = gru.cell, gru.units
    (state,) = initial_state if isinstance(initial_state, list | tuple) else [initial_state]
    kernel, recurrent, bias = map(
        tf.convert_to_tensor, (cell.kernel, cell.recurrent_kernel, cell.bias)
    )
    projected = tf.tensordot(sequences, kernel, 1) + bias[0]  # (batch, time, 3 · units)
    projected, own = _by_step(gru, projected), None if mask is None else _by_step(gru, mask)
    n_steps = tf.shape(projected)[0]

    def step(at, state, outputs):
        given, others = projected[at], tf.matmul(state, recurrent) + bias[1]
        gates = cell.recurrent_activation(given[:, : 2 * units] + others[:, : 2 * units])
        update, reset = gates[:, :units], gates[:, units:]
        candidate = cell.activation(given[:, 2 * units :] + reset * others[:, 2 * units :])
        new = candidate + update * (state - candidate)
        if own is not None:
            new = tf.where(own[at][:, tf.newaxis], new, state)
        return at + 1, new, outputs.write(at, new)

    outputs = tf.TensorArray(projected.dtype, n_steps, element_shape=state.shape)
    begin = (tf.constant(0), state, outputs)
    _, state, outputs = tf.while_loop(lambda at, *_: at < n_steps, step, begin)
    outputs = outputs.stack()
    if own is not None and gru.zero_output_for_mask:
        outputs = tf.where(own[:, :, tf.newaxis], outputs, tf.zeros_like(outputs))
    return state, tf.transpose(outputs, (1, 0, 2)), [state]


def _by_step(gru: keras.layers.GRU, x):
    """Turn `(batch, time, …)` into `(time, batch, …)`, in the order in which the layer goes."""
    x = tf.transpose(x, (1, 0, *range(2, len(x.shape))))
    return tf.reverse(x, [0]) if gru.go_backwards else x
