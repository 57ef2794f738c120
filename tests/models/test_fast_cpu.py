"""On the fast CPU path a model predicts and learns as Keras computes it, and so do its parts."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from mmat.models.audio import audio_branch, talnet
from mmat.models.fast_cpu import (
    POINTS,
    TILE_ROWS,
    fast_cpu,
    suits_winograd,
    trainable_winograd_conv2d,
    transforms,
    winograd_conv2d,
)
from mmat.training.step import clip_loss

N_CLASSES = 3
SIZES = sorted(POINTS)


@pytest.fixture(scope="module", params=[audio_branch, talnet])
def model(request):
    keras.utils.set_random_seed(0)
    return request.param(N_CLASSES)


def clips():
    noise = np.random.default_rng(0).normal(0, 0.1, (2, 9_900, 1))
    return {"waveform": noise.astype(np.float32)}


def operations(graph) -> list[str]:
    return [op.type for op in graph.get_operations()]


def test_answers_are_the_same_but_for_rounding(model):
    expected = model(clips())
    with fast_cpu(model):
        found = model(clips())
    for name, scores in expected.items():
        np.testing.assert_allclose(found[name], scores, atol=1e-5)
    again = model(clips())
    np.testing.assert_array_equal(again["clip"], expected["clip"])


def test_gradients_are_the_same_but_for_rounding(model):
    truth = np.eye(N_CLASSES, dtype=np.float32)[:2]

    def gradients():
        with tf.GradientTape() as tape:
            loss = clip_loss(model(clips()), truth)
        return tape.gradient(loss, model.trainable_variables)

    expected = gradients()
    with fast_cpu(model, training=True):
        found = gradients()
    for variable, mine, true in zip(model.trainable_variables, found, expected, strict=True):
        scale = float(tf.reduce_max(tf.abs(true)))
        np.testing.assert_allclose(mine, true, atol=2e-4 * scale, err_msg=variable.path)


def test_dropout_inside_a_gru_is_keras_own():
    inputs = keras.Input((4, 3))
    model = keras.Model(inputs, keras.layers.GRU(2, recurrent_dropout=0.5, seed=1)(inputs))
    x = np.ones((64, 4, 3), np.float32)
    with fast_cpu(model, training=True):
        learning, answering = model(x, training=True), model(x, training=False)
    assert np.ptp(learning, axis=0).max() > 0.01
    assert np.ptp(answering, axis=0).max() < 1e-6


def test_convolutions_can_be_left_as_they_are(model):
    kinds = {}
    for convolutions in (False, True):
        with fast_cpu(model, convolutions=convolutions):
            graph = tf.function(model).get_concrete_function(clips()).graph
        kinds[convolutions] = operations(graph).count("Conv2D")
    n_own = sum(isinstance(layer, keras.layers.Conv2D) for layer in model.layers)
    assert kinds[False] == n_own < kinds[True]


def test_a_context_within_another_leaves_it_as_it_was(model):
    with fast_cpu(model, training=True):
        with fast_cpu(model):
            pass
        graph = tf.function(model).get_concrete_function(clips()).graph
    n_own = sum(isinstance(layer, keras.layers.Conv2D) for layer in model.layers)
    assert operations(graph).count("Conv2D") > n_own


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


@pytest.mark.parametrize("return_sequences", [True, False])
@pytest.mark.parametrize("backwards", [True, False])
@pytest.mark.parametrize("both_ways", [True, False])
def test_masked_steps_are_those_of_keras(return_sequences, backwards, both_ways):
    x, own = keras.Input((None, 3)), keras.Input((None,), dtype="bool")
    layer = keras.layers.GRU(4, return_sequences=return_sequences, go_backwards=backwards)
    if both_ways:
        layer = keras.layers.Bidirectional(keras.layers.GRU(4, return_sequences=return_sequences))
    model = keras.Model([x, own], layer(x, mask=own))
    lengths = np.array([7, 0, 1, 4, 6])
    given = tf.random.stateless_normal((5, 7, 3), seed=(0, 0))
    given = [given, tf.constant(np.arange(7) < lengths[:, None])]
    expected = model(given)
    with fast_cpu(model):
        served = tf.function(model)
        np.testing.assert_allclose(served(given), expected, atol=1e-6)
    np.testing.assert_array_equal(model(given), expected)  # as before afterwards
