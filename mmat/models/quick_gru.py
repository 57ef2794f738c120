"""A GRU whose inputs' product is computed once for all steps, not step by step."""

import keras
import tensorflow as tf


def suits_projection(layer: keras.layers.Layer) -> bool:
    """Return whether `projected_loop` can stand in for a layer's steps."""
    return isinstance(layer, keras.layers.GRU) and layer.cell.reset_after and layer.cell.use_bias


def projected_loop(gru: keras.layers.GRU, sequences, initial_state, mask, training=False):
    """Do what Keras's `GRU.inner_loop` does: return the last output, all of them, and the states.

    Keras on a CPU reads the whole input kernel anew at each step, and in training adds up as many
    gradients of it: most of the layer's time. The answers are the same but for rounding.
    """
    if training and (gru.dropout or gru.recurrent_dropout):
        return type(gru).inner_loop(gru, sequences, initial_state, mask, training)
    cell, units = gru.cell, gru.units
    (state,) = initial_state if isinstance(initial_state, list | tuple) else [initial_state]
    kernel, recurrent, bias = map(
        tf.convert_to_tensor, (cell.kernel, cell.recurrent_kernel, cell.bias)
    )
    # What is added to the gates, whichever way it comes, is added before the loop.
    gates_bias, candidate_bias = tf.split(bias[1], [2 * units, units])
    given_bias = bias[0] + tf.pad(gates_bias, [[0, units]])
    projected = tf.tensordot(sequences, kernel, 1) + given_bias  # (batch, time, 3 · units)
    projected = _by_step(gru, projected)
    n_steps = tf.shape(projected)[0]
    given = tf.TensorArray(projected.dtype, n_steps).unstack(projected)
    own = None if mask is None else _by_step(gru, mask)

    def step(at, state, outputs):
        my_gates, mine = tf.split(given.read(at), [2 * units, units], axis=1)
        other_gates, others = tf.split(tf.matmul(state, recurrent), [2 * units, units], axis=1)
        update, reset = tf.split(cell.recurrent_activation(my_gates + other_gates), 2, axis=1)
        candidate = cell.activation(mine + reset * (others + candidate_bias))
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
