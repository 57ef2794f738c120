"""A model on the fast CPU path answers and learns as Keras computes it."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from mmat.models.audio import audio_branch, talnet
from mmat.models.fast_cpu import fast_cpu
from mmat.training.step import clip_loss

N_CLASSES = 3


@pytest.fixture(scope="module", params=[audio_branch, talnet])
def model(request):
    keras.utils.set_random_seed(0)
    return request.param(N_CLASSES)


def given():
    noise = np.random.default_rng(0).normal(0, 0.1, (2, 9_900, 1))
    return {"waveform": noise.astype(np.float32)}


def operations(graph) -> list[str]:
    return [op.type for op in graph.get_operations()]


def test_answers_are_the_same_but_for_rounding(model):
    expected = model(given())
    with fast_cpu(model):
        found = model(given())
    for name, scores in expected.items():
        np.testing.assert_allclose(found[name], scores, atol=1e-5)
    again = model(given())
    np.testing.assert_array_equal(again["clip"], expected["clip"])


def test_gradients_are_the_same_but_for_rounding(model):
    truth = np.eye(N_CLASSES, dtype=np.float32)[:2]

    def gradients():
        with tf.GradientTape() as tape:
            loss = clip_loss(model(given()), truth)
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
            graph = tf.function(model).get_concrete_function(given()).graph
        kinds[convolutions] = operations(graph).count("Conv2D")
    n_own = sum(isinstance(layer, keras.layers.Conv2D) for layer in model.layers)
    assert kinds[False] == n_own < kinds[True]


def test_a_context_within_another_leaves_it_as_it_was(model):
    with fast_cpu(model, training=True):
        with fast_cpu(model):
            pass
        graph = tf.function(model).get_concrete_function(given()).graph
    n_own = sum(isinstance(layer, keras.layers.Conv2D) for layer in model.layers)
    assert operations(graph).count("Conv2D") > n_own
