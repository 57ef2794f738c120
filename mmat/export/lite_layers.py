"""Layers of a model in forms that LiteRT computes fast, for one clip."""

import math

import keras
import tensorflow as tf

from mmat.models.fast_cpu import (
    POINTS,
    TILE_ROWS,
    is_worth_winograd,
    row_products,
    suits_projection,
    summed_rows,
)
from mmat.models.masking import MaskPadding

STEPS_IN_A_ROW = 400
STEPS_AT_ONCE = 10  # of a loop's turn, each of which costs some 20 µs by itself


class LiteConv2D(keras.layers.Conv2D):
    """A convolution by Winograd's minimal filtering, where `mmat.models.fast_cpu` has it too."""

    def convolution_op(self, inputs, kernel):
        if inputs.shape[1] and is_worth_winograd(self):
            return minimal_conv2d(inputs, kernel)
        return super().convolution_op(inputs, kernel)


def minimal_conv2d(x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """Do what `mmat.models.fast_cpu.winograd_conv2d` does, for a known number of steps.

    What a tile's products add up to is summed one by one, which is faster in LiteRT.

    >>> x = tf.random.stateless_normal((1, 7, 6, 3), seed=(0, 0))
    >>> kernel = tf.random.stateless_normal((5, 5, 3, 4), seed=(1, 1))
    >>> direct = tf.nn.conv2d(x, kernel, 1, "SAME")
    >>> bool(tf.reduce_max(tf.abs(minimal_conv2d(x, kernel) - direct)) < 1e-4)
    True
    """
    size, (n_steps, width) = kernel.shape[0], x.shape[1:3]
    at_zero, *pairs, at_infinity = row_products(summed_rows(x, size), kernel)
    points = POINTS[size][1::2]  # each with its negative behind it
    pairs = list(zip(pairs[::2], pairs[1::2], strict=True))
    even, odd = [a + b for a, b in pairs], [a - b for a, b in pairs]
    rows = []
    for power in range(TILE_ROWS):
        parts = odd if power % 2 else even
        row = sum(part * point**power for part, point in zip(parts, points, strict=True))
        rows.append(row + at_zero if power == 0 else row)
    rows[-1] += at_infinity
    y = tf.concat(rows, axis=1)  # (tiles, rows, width, filters)
    return tf.reshape(y, (x.shape[0], -1, width, kernel.shape[-1]))[:, :n_steps]


class LiteMaskPadding(MaskPadding):
    """Set the steps beyond a clip's end to zero by a product, three times as fast as a choice.

    For numbers that are finite, as they are behind `mmat.export.nonfinite.nan_in_nan_out`.
    """

    def call(self, inputs):
        x, n_samples = inputs
        n_steps = x.shape[1]
        if n_steps is None or self.at_least:
            return super().call(inputs)
        # Counted in rows: a number for each of many steps would lie in the file.
        columns = math.gcd(n_steps, STEPS_IN_A_ROW)
        row_starts = tf.range(0, n_steps, columns) * self.samples_per_step
        beyond = tf.cast(n_samples, tf.int32) - row_starts
        own = tf.range(columns) * self.samples_per_step < beyond[:, tf.newaxis]
        own = tf.reshape(tf.cast(own, x.dtype), (1, n_steps, *[1] * (len(x.shape) - 2)))
        return x * own


class LiteZeroPadding1D(keras.layers.ZeroPadding1D):
    """Zeros around one clip `(1, samples, 1)`, fifty times as fast without its axes of 1."""

    def call(self, inputs):
        return tf.pad(tf.reshape(inputs, (-1,)), [self.padding])[tf.newaxis, :, tf.newaxis]


class LiteBidirectional(keras.layers.Bidirectional):
    """Both directions of a GRU in one loop, several steps at a turn, on one sequence `(1, …)`.

    mask: the first steps of the sequence, as `mmat.models.masking.ValidSteps` says them.
    """

    def call(self, sequences, initial_state=None, mask=None, training=None):
        grus = self.forward_layer, self.backward_layer
        known = sequences.shape[1] and initial_state is None and self.merge_mode == "concat"
        if not (known and all(suits_projection(gru) and gru.return_sequences for gru in grus)):
            return super().call(sequences, initial_state=initial_state, mask=mask)
        return both_directions(*(gru.cell for gru in grus), sequences, mask)


def both_directions(forward, backward, sequences, mask=None):
    """Return what two GRU cells say of a sequence `(1, time, size)`: `(1, time, 2 · units)`.

    The first cell goes forwards, the second backwards. mask: bool `(1, time)`, true for the first
    steps; behind them all is zero, and the way backwards begins at their end.
    """
    n_steps, units, cells = sequences.shape[1], forward.units, (forward, backward)
    kernels, recurrents, biases = (
        [tf.convert_to_tensor(getattr(cell, name)) for cell in cells]
        for name in ("kernel", "recurrent_kernel", "bias")
    )
    candidate_bias = tf.stack([bias[1:, 2 * units :] for bias in biases])  # (2, 1, units)
    given = [
        tf.matmul(sequences[0], kernel) + bias[0] + tf.pad(bias[1, : 2 * units], [[0, units]])
        for kernel, bias in zip(kernels, biases, strict=True)
    ]
    given = _turns(tf.stack([given[0], tf.reverse(given[1], [0])], axis=1))
    own = tf.ones((n_steps, 1)) if mask is None else tf.cast(mask[0, :, tf.newaxis], tf.float32)
    own = _turns(tf.stack([own, tf.reverse(own, [0])], axis=1))

    def step(state, given, own):
        other = tf.stack([tf.matmul(state[i], recurrents[i]) for i in (0, 1)])  # (2, 1, 3 · units)
        gates = forward.recurrent_activation(given[..., : 2 * units] + other[..., : 2 * units])
        update, reset = tf.split(gates, 2, axis=-1)
        new = given[..., 2 * units :] + reset * (other[..., 2 * units :] + candidate_bias)
        new = forward.activation(new)
        # Before its first step a state is zero, and behind its last nobody asks.
        return own * (new + update * (state - new))

    outputs = _loop(step, tf.zeros((2, 1, units)), given, own)  # (time, 2, 1, units)
    outputs = tf.reshape(outputs, (-1, 2, units))[:n_steps]
    both = outputs[:, 0], tf.reverse(outputs[:, 1], [0])
    return tf.concat(both, axis=-1)[tf.newaxis]


def _turns(x):
    """Group steps `(time, 2, size)` for the turns of a loop: `(turns, steps, 2, 1, size)`."""
    n_turns = -(-x.shape[0] // STEPS_AT_ONCE)
    x = tf.pad(x, [[0, n_turns * STEPS_AT_ONCE - x.shape[0]], [0, 0], [0, 0]])
    return tf.reshape(x, (n_turns, STEPS_AT_ONCE, 2, 1, x.shape[-1]))


def _loop(step, state, given, own):
    n_turns = given.shape[0]

    def turn(at, state, outputs):
        states = []
        for mine, counts in zip(tf.unstack(given[at]), tf.unstack(own[at]), strict=True):
            state = step(state, mine, counts)
            states.append(state)
        return at + 1, state, outputs.write(at, tf.stack(states))

    outputs = tf.TensorArray(tf.float32, n_turns, element_shape=(STEPS_AT_ONCE, *state.shape))
    begin = tf.constant(0), state, outputs
    *_, outputs = tf.while_loop(lambda at, *_: at < n_turns, turn, begin)
    return outputs.stack()
