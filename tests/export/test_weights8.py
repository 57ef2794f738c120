"""A LiteRT file with its large weights in 8 bits."""

import numpy as np
import tensorflow as tf

from mmat.export.tflite_file import open_interpreter
from mmat.export.weights8 import LEAST_ELEMENTS, with_8_bit_weights

LARGE, SMALL = (256, 160), (160, 3)


def test_large_weights_are_rounded_by_filter_and_small_ones_stay():
    rng = np.random.default_rng(0)
    # Filters of very different size, which one scale for all would round to nothing.
    large = rng.normal(0, 1, LARGE).astype(np.float32) * np.logspace(-3, 3, 160, dtype=np.float32)
    small = rng.normal(0, 1, SMALL).astype(np.float32)
    assert small.size < LEAST_ELEMENTS <= large.size

    @tf.function(input_signature=[tf.TensorSpec((2, 256), tf.float32)])
    def function(x):
        hidden = tf.matmul(x, large)
        return {"hidden": hidden, "output": tf.matmul(tf.tanh(hidden), small)}

    module = tf.Module()
    module.function = function
    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [function.get_concrete_function()], module
    )
    whole = converter.convert()
    eighth = with_8_bit_weights(whole)
    assert 4 * large.size > len(whole) - len(eighth) > 2.8 * large.size
    x = rng.normal(0, 1, (2, 256)).astype(np.float32)
    scales = np.abs(large).max(axis=0) / 127
    rounded = np.round(large / scales) * scales
    hidden = x @ rounded
    expected = {"hidden": hidden, "output": np.tanh(hidden) @ small}
    found = open_interpreter(1, model_content=eighth).get_signature_runner()(x=x)
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-3, atol=1e-4)
    assert np.abs(found["hidden"] - x @ large).max() > 0  # they are rounded
