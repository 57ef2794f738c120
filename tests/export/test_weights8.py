"""A LiteRT file with its large weights in 8 bits."""

import numpy as np
import tensorflow as tf
from tensorflow.lite.tools import flatbuffer_utils

from mmat.export.interpreters import open_interpreter
from mmat.export.weights8 import LEAST_ELEMENTS, with_8_bit_weights

LARGE, SMALL = (256, 160), (160, 3)


def share_buffers(content: bytes) -> bytes:
    """Let both signatures read the same weights, as those of larger models do."""
    model = flatbuffer_utils.convert_bytearray_to_object(bytearray(content))
    for tensors in zip(*(graph.tensors for graph in model.subgraphs), strict=False):
        data = [model.buffers[tensor.buffer].data for tensor in tensors]
        if all(each is not None for each in data) and np.array_equal(*data):
            tensors[1].buffer = tensors[0].buffer
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))


def test_large_weights_are_rounded_by_filter_and_small_ones_stay(tmp_path):
    rng = np.random.default_rng(0)
    # Filters of very different size, which one scale for all would round to nothing.
    large = rng.normal(0, 1, LARGE).astype(np.float32) * np.logspace(-3, 3, 160, dtype=np.float32)
    small = rng.normal(0, 1, SMALL).astype(np.float32)
    assert small.size < LEAST_ELEMENTS <= large.size

    @tf.function
    def function(x):
        hidden = tf.matmul(x, module.large)
        return {"hidden": hidden, "output": tf.matmul(tf.tanh(hidden), small)}

    module = tf.Module()
    module.large = tf.Variable(large)  # which both signatures share
    module.function, module.again = function, tf.function(lambda x: function(2 * x))
    signatures = {"first": module.function, "second": module.again}
    spec = tf.TensorSpec((2, 256), tf.float32, "x")
    signatures = {name: each.get_concrete_function(x=spec) for name, each in signatures.items()}
    tf.saved_model.save(module, tmp_path, signatures)
    whole = share_buffers(tf.lite.TFLiteConverter.from_saved_model(str(tmp_path)).convert())
    eighth = with_8_bit_weights(whole)
    assert len(eighth) < 0.3 * len(whole)
    x = rng.normal(0, 1, (2, 256)).astype(np.float32)
    scales = np.abs(large).max(axis=0) / 127
    rounded = np.round(large / scales) * scales
    hidden = x @ rounded
    expected = {"hidden": hidden, "output": np.tanh(hidden) @ small}
    interpreter = open_interpreter(1, eighth)
    for signature, given in (("first", x), ("second", x / 2)):
        found = interpreter.get_signature_runner(signature)(x=given)
        for name, value in expected.items():
            np.testing.assert_allclose(found[name], value, rtol=1e-3, atol=1e-4)
    assert np.abs(found["hidden"] - x @ large).max() > 0  # they are rounded
