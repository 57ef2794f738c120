"""Recurrent layers as they are served answer as Keras runs them, also where steps are masked."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from mmat.models.fast_cpu import fast_cpu


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
