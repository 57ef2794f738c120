"""Minimal filtering gives what the direct convolution gives, and so do its gradients."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from mmat.models.fast_cpu import (
    POINTS,
    TILE_ROWS,
    suits_winograd,
    trainable_winograd_conv2d,
    transforms,
    winograd_conv2d,
)

SIZES = sorted(POINTS)


def drawn(shape, seed, scale=1.0):
    return np.random.default_rng(seed).normal(0, scale, shape).astype(np.float32)


def direct(x, kernel):
    """The sum written out, float64."""
    size, n_times, width = kernel.shape[0], *x.shape[1:3]
    margin = size // 2
    padded = np.pad(x.astype(np.float64), [(0, 0), (margin, margin), (margin, margin), (0, 0)])
    parts = [
        padded[:, i : i + n_times, j : j + width] @ kernel[i, j].astype(np.float64)
        for i in range(size)
        for j in range(size)
    ]
    return np.sum(parts, axis=0)


@settings(max_examples=40, deadline=None)
@given(
    size=st.sampled_from(SIZES),
    batch=st.integers(1, 3),
    n_times=st.integers(1, 14),
    width=st.integers(1, 6),
    channels=st.integers(1, 3),
    filters=st.integers(1, 3),
    seed=st.integers(0, 1000),
)
def test_any_shape_is_convolved_as_by_the_sum(size, batch, n_times, width, channels, filters, seed):
    x = drawn((batch, n_times, width, channels), seed)
    kernel = drawn((size, size, channels, filters), seed + 1)
    found = winograd_conv2d(tf.constant(x), tf.constant(kernel))
    np.testing.assert_allclose(found, direct(x, kernel), atol=3e-4)


@pytest.mark.parametrize("size", SIZES)
def test_the_error_is_rounding_alone(size):
    x, kernel = drawn((2, 100, 16, 64), 0), drawn((size, size, 64, 32), 1, 1 / (8 * size))
    expected = direct(x, kernel)
    error = np.abs(winograd_conv2d(tf.constant(x), tf.constant(kernel)) - expected)
    assert error.max() < 1e-5 * np.abs(expected).max()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("n_times", [1, 8, 13])
def test_gradients_are_those_of_the_direct_way(size, n_times):
    x, kernel = tf.constant(drawn((2, n_times, 5, 3), 0)), tf.Variable(drawn((size, size, 3, 4), 1))
    weights = drawn((2, n_times, 5, 4), 2)

    def gradients(convolution):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = convolution(x, kernel)
            total = tf.reduce_sum(weights * y)
        return y, *tape.gradient(total, [x, kernel])

    expected = gradients(lambda x, kernel: tf.nn.conv2d(x, kernel, 1, "SAME"))
    for found, true in zip(gradients(trainable_winograd_conv2d), expected, strict=True):
        np.testing.assert_allclose(found, true, atol=1e-4)


def test_lengths_may_be_unknown_while_traced():
    kernel = tf.constant(drawn((5, 5, 2, 3), 0))
    traced = tf.function(
        lambda x: winograd_conv2d(x, kernel),
        input_signature=[tf.TensorSpec((None, None, 4, 2))],
    )
    for shape in ((1, 9, 4, 2), (3, 1, 4, 2), (0, 5, 4, 2)):
        x = drawn(shape, 1)
        np.testing.assert_allclose(traced(x), direct(x, kernel.numpy()), atol=1e-4)


@pytest.mark.parametrize("size", SIZES)
def test_each_row_takes_fewer_products(size):
    n_points, n_taps = transforms(size).kernel.shape
    assert n_taps == size and n_points < TILE_ROWS * size / 1.9


@pytest.mark.parametrize(
    "options, expected",
    [
        ({}, True),
        ({"kernel_size": 3}, True),
        ({"kernel_size": 7}, False),
        ({"kernel_size": (5, 3)}, False),
        ({"strides": 2}, False),
        ({"dilation_rate": 2}, False),
        ({"groups": 2}, False),
        ({"padding": "valid"}, False),
        ({"filters": 8}, False),
        ({"dtype": "mixed_bfloat16"}, False),
    ],
)
def test_what_it_is_for(options, expected):
    layer = keras.layers.Conv2D(**{"filters": 16, "kernel_size": 5, "padding": "same"} | options)
    layer.build((None, 8, 8, 16))
    assert suits_winograd(layer) == expected


def test_a_layer_that_is_not_built_is_left_alone():
    layer = keras.layers.Conv2D(16, 5, padding="same")
    assert not suits_winograd(layer)
    layer.build((None, 8, 8, 16))
    assert suits_winograd(layer)
