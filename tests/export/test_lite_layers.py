"""The fast forms of layers compute what Keras's own do."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from mmat.export.lite_layers import (
    LiteBidirectional,
    LiteConv2D,
    LiteMaskPadding,
    LiteZeroPadding1D,
    minimal_conv2d,
)
from mmat.models.masking import MaskPadding, ValidSteps


def noise(*shape: int) -> tf.Tensor:
    return tf.constant(np.random.default_rng(0).normal(0, 1, shape), tf.float32)


@pytest.mark.parametrize("n_own", [None, 1, 13, 37], ids=str)
def test_both_directions_are_those_of_keras(n_own):
    keras.utils.set_random_seed(0)
    gru = keras.layers.GRU(6, return_sequences=True)
    plain = keras.layers.Bidirectional(gru)
    x = noise(1, 37, 5)
    plain(x)
    plain.set_weights([noise(*w.shape) for w in plain.get_weights()])
    lite = LiteBidirectional.from_config(plain.get_config())
    lite(x)
    lite.set_weights(plain.get_weights())
    mask = None if n_own is None else ValidSteps(1)([x, tf.constant([n_own])])
    found, expected = lite(x, mask=mask).numpy(), plain(x, mask=mask).numpy()
    n_own = n_own or 37
    np.testing.assert_allclose(found[:, :n_own], expected[:, :n_own], atol=1e-5)
    assert not found[:, n_own:].any()


@pytest.mark.parametrize("n_samples", [0, 1, 1600, 1601, 10**6])
@pytest.mark.parametrize("shape", [(1, 800, 2, 3), (1, 7, 1)], ids=str)
def test_the_padding_is_set_to_zero(n_samples, shape):
    given = [noise(*shape), tf.constant([n_samples])]
    np.testing.assert_array_equal(LiteMaskPadding(4)(given), MaskPadding(4)(given))


@pytest.mark.parametrize("size", [3, 5])
@pytest.mark.parametrize("n_steps", [4, 13])
def test_a_convolution_is_that_of_keras(size, n_steps):
    x = noise(1, n_steps, 6, 16)
    layer = LiteConv2D(17, size, padding="same")
    found = layer(x).numpy()
    direct = tf.nn.conv2d(x, layer.kernel, 1, "SAME").numpy() + layer.bias.numpy()
    assert np.abs(found - direct).max() < 1e-4
    np.testing.assert_array_equal(found, minimal_conv2d(x, layer.kernel.value) + layer.bias.value)


def test_zeros_around_a_clip_are_those_of_keras():
    x = noise(1, 9, 1)
    np.testing.assert_array_equal(
        LiteZeroPadding1D((2, 3))(x), keras.layers.ZeroPadding1D((2, 3))(x)
    )
