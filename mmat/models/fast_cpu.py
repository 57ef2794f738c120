"""A faster way through a model on a CPU while it is traced: the same weights, the same outputs.

`fast_cpu` is the one place where it is turned on; a reader of the models can ignore this module.

- Convolutions take two fifths of the multiplications, by Winograd's minimal filtering along time:
  four rows of the output at a time come from products of eight sums of rows (six for a kernel of
  three), where the direct way takes four times the kernel's rows. Along the width the convolution
  stays direct, so that each product is a convolution in itself, and large.
- GRUs compute the product of their inputs once for all steps, not step by step.

Source: Winograd, Arithmetic Complexity of Computations, 1980; Lavin and Gray, arXiv 1509.09308.
"""

import contextlib
import dataclasses
import functools
from collections.abc import Iterator

import keras
import numpy as np
import tensorflow as tf

TILE_ROWS = 4
# Where the polynomials are evaluated, besides infinity, by the kernel's size. Few and near 1: in
# float32 the result is within some 1e-6 of the largest value, several times the direct way's error.
POINTS = {3: (0.0, 1.0, -1.0, 2.0, -2.0), 5: (0.0, 1.0, -1.0, 0.5, -0.5, 2.0, -2.0)}
# With fewer channels there is more work in the sums than is saved in the products.
LEAST_CHANNELS = 16


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


def suits_winograd(layer: keras.layers.Layer) -> bool:
    """Return whether `winograd_conv2d` is for a layer: one of Keras's own, and worth it."""
    own = getattr(type(layer), "convolution_op", None) is keras.layers.Conv2D.convolution_op
    return own and is_worth_winograd(layer)


def is_worth_winograd(layer: keras.layers.Conv2D) -> bool:
    """Return whether a convolution is one that `winograd_conv2d` does, in float32, and faster."""
    if not layer.built or layer.compute_dtype != "float32":
        return False
    size, n_channels = layer.kernel_size[0], min(layer.kernel.shape[2:])
    plain = (layer.strides, layer.dilation_rate, layer.groups) == ((1, 1), (1, 1), 1)
    whole = (layer.padding, layer.data_format) == ("same", "channels_last")
    square = layer.kernel_size == (size, size) and size in POINTS
    return plain and whole and square and n_channels >= LEAST_CHANNELS


def winograd_conv2d(x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """Convolve `(batch, time, width, channels)` with padding "same" and strides of 1.

    kernel: (size, size, channels, filters), of a size in POINTS. The result is that of
    `tf.nn.conv2d` but for rounding.

    >>> x = tf.random.stateless_normal((2, 7, 6, 3), seed=(0, 0))
    >>> kernel = tf.random.stateless_normal((5, 5, 3, 4), seed=(1, 1))
    >>> direct = tf.nn.conv2d(x, kernel, 1, "SAME")
    >>> bool(tf.reduce_max(tf.abs(winograd_conv2d(x, kernel) - direct)) < 1e-4)
    True
    """
    return _from_rows(summed_rows(x, kernel.shape[0]), kernel, tf.shape(x)[1])


def trainable_winograd_conv2d(x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """Convolve as `winograd_conv2d`, with gradients that take as few multiplications."""
    kernel = tf.convert_to_tensor(kernel)

    @tf.custom_gradient
    def convolved(x, kernel):
        size, n_times = kernel.shape[0], tf.shape(x)[1]
        rows = summed_rows(x, size)

        def gradients(dy):
            turned = tf.transpose(kernel[::-1, ::-1], (0, 1, 3, 2))
            return winograd_conv2d(dy, turned), _kernel_gradient(rows, dy, size)

        return _from_rows(rows, kernel, n_times), gradients

    return convolved(x, kernel)


@dataclasses.dataclass(frozen=True)
class Transforms:
    """The matrices of `outputs.T @ ((kernel @ k) * (rows @ d))`, which filters rows d by k.

    kernel: (points, kernel size); rows: (points, points); outputs: (points, TILE_ROWS).
    """

    kernel: np.ndarray
    rows: np.ndarray
    outputs: np.ndarray


@functools.cache
def transforms(kernel_size: int) -> Transforms:
    """Return the transforms for a kernel of so many rows, float32.

    Filtering is the transpose of a product of polynomials, which is found by its values at points.

    >>> t, k, d = transforms(5), np.arange(5.0), np.arange(8.0) ** 2
    >>> found = t.outputs.T @ ((t.kernel @ k) * (t.rows @ d))
    >>> bool(np.allclose(found, np.correlate(d, k, "valid")))
    True
    """
    n_points = TILE_ROWS + kernel_size - 1
    inverse = np.linalg.inv(_values(kernel_size, n_points)).T
    parts = _values(kernel_size, kernel_size), inverse, _values(kernel_size, TILE_ROWS)
    return Transforms(*(part.astype(np.float32) for part in parts))


def _values(kernel_size: int, n_coefficients: int) -> np.ndarray:
    """Return the powers of each point; at infinity the highest coefficient alone counts."""
    finite = np.vander(POINTS[kernel_size], n_coefficients, increasing=True)
    return np.concatenate([finite, np.eye(n_coefficients)[-1:]])


def summed_rows(x, size: int):
    """Return the sums of rows of each tile for a kernel of a size in POINTS.

    x: `(batch, time, width, channels)`. Shape: `(points, batch, tiles, width, channels)`.
    """
    margin, n_points, n_tiles = size // 2, TILE_ROWS + size - 1, _n_tiles(x)
    beyond = TILE_ROWS * (n_tiles + 1) - tf.shape(x)[1] - margin
    x = tf.pad(x, [[0, 0], [margin, beyond], [0, 0], [0, 0]])
    return _mixed(transforms(size).rows, _rows_of_tiles(x, n_points, n_tiles))


def _from_rows(rows, kernel, n_times):
    """Return the convolution, `(batch, time, width, filters)`, from sums of its input's rows."""
    outputs = transforms(kernel.shape[0]).outputs
    products = row_products(rows, kernel)
    batch, n_tiles, width, _ = _shape_of(rows)[1:]
    n_filters = kernel.shape[-1]
    y = tf.reshape(tf.stack(products, axis=1), (-1, len(products), width * n_filters))
    y = tf.matmul(outputs.T, y)  # a product for each tile, which lie one after the other
    return tf.reshape(y, (batch, n_tiles * TILE_ROWS, width, n_filters))[:, :n_times]


def row_products(rows, kernel) -> list:
    """Return for each point the product of `summed_rows` and the kernel's: `(tiles, 1, width, …)`.

    The tiles of the batch lie one after the other, the last axis is that of the kernel's filters.
    """
    transform = transforms(kernel.shape[0])
    kernels = tf.tensordot(transform.kernel, kernel, 1)  # (points, size, channels, filters)
    width, n_channels = _shape_of(rows)[3:]
    # Each tile an image of one row: of few images oneDNN's convolution makes a poor use of cores.
    rows = tf.reshape(rows, (len(transform.kernel), -1, 1, width, n_channels))
    return [
        tf.nn.conv2d(row, k[tf.newaxis], 1, "SAME")
        for row, k in zip(tf.unstack(rows), tf.unstack(kernels), strict=True)
    ]


def _kernel_gradient(rows, dy, size: int):
    transform, n_tiles = transforms(size), _n_tiles(dy)
    beyond = TILE_ROWS * n_tiles - tf.shape(dy)[1]
    dy = tf.pad(dy, [[0, 0], [0, beyond], [0, 0], [0, 0]])
    summed = _mixed(transform.outputs, _rows_of_tiles(dy, TILE_ROWS, n_tiles))
    gradients = [
        tf.raw_ops.Conv2DBackpropFilter(
            input=row,
            filter_sizes=[1, size, row.shape[-1], d.shape[-1]],
            out_backprop=d,
            strides=[1, 1, 1, 1],
            padding="SAME",
        )[0]
        for row, d in zip(tf.unstack(rows), tf.unstack(summed), strict=True)
    ]
    return tf.tensordot(transform.kernel.T, tf.stack(gradients), 1)


def _n_tiles(x):
    return -(-tf.shape(x)[1] // TILE_ROWS)


def _rows_of_tiles(x, n_rows: int, n_tiles):
    """Return the first rows of each tile, `(n_rows, batch, tiles, width, channels)`."""
    batch, n_times, width, channels = _shape_of(x)
    tiles = n_times * tf.range(batch)[:, tf.newaxis] + TILE_ROWS * tf.range(n_tiles)
    index = tf.range(n_rows)[:, tf.newaxis, tf.newaxis] + tiles
    rows = tf.gather(tf.reshape(x, (-1, width * channels)), index)
    return tf.reshape(rows, (n_rows, batch, n_tiles, width, channels))


def _mixed(matrix: np.ndarray, parts):
    """Return the sums of parts `(n_parts, …)`, weighted by each row of a matrix, stacked."""
    sums = tf.matmul(matrix, tf.reshape(parts, (len(matrix[0]), -1)))
    return tf.reshape(sums, (len(matrix), *_shape_of(parts)[1:]))


def _shape_of(x) -> list:
    """Return a shape whose known lengths are numbers, so that what is made of it knows them."""
    dynamic = tf.unstack(tf.shape(x))
    return [known or asked for known, asked in zip(x.shape, dynamic, strict=True)]


def suits_projection(layer: keras.layers.Layer) -> bool:
    """Return whether `projected_loop` can stand in for a layer's steps."""
    return isinstance(layer, keras.layers.GRU) and layer.cell.reset_after and layer.cell.use_bias


def projected_loop(gru: keras.layers.GRU, sequences, initial_state, mask, training=False):
    """Do what Keras's `GRU.inner_loop` does: return the last output, all of them, and the states.

    Keras on a CPU reads the whole input kernel anew at each step, and in training adds up as many
    gradients of it: most of the layer's time. The outputs are the same but for rounding.
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
