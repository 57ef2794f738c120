import numpy as np
import pytest
import tensorflow as tf

from mmat.pretrained.patches import whole_patches

WINDOW, HOP = 10, 4


def in_graph(waveforms):
    """Of a length that the graph does not know."""
    signature = [tf.TensorSpec((None, None), tf.float32)]
    padded, n_patches = tf.function(
        lambda x: whole_patches(x, WINDOW, HOP), input_signature=signature
    )(waveforms)
    return padded, int(n_patches)


@pytest.mark.parametrize("pad", [lambda x: whole_patches(x, WINDOW, HOP), in_graph])
@pytest.mark.parametrize(
    ("n_samples", "expected"), [(1, 1), (9, 1), (10, 1), (11, 2), (14, 2), (15, 3), (18, 3)]
)
def test_each_sample_lies_in_a_whole_patch_and_zeros_follow(pad, n_samples, expected):
    waveforms = np.random.default_rng(0).uniform(0.5, 1, (2, n_samples)).astype(np.float32)
    padded, n_patches = pad(waveforms)
    assert n_patches == expected
    assert padded.shape == (2, WINDOW + (expected - 1) * HOP)
    np.testing.assert_array_equal(padded[:, :n_samples], waveforms)
    assert not padded[:, n_samples:].numpy().any()


def test_a_graph_knows_the_length_of_what_has_one():
    """So that LiteRT, which fixes all shapes, can hold it."""
    signature = [tf.TensorSpec((1, 15), tf.float32)]
    pad = tf.function(lambda x: whole_patches(x, WINDOW, HOP)[0], input_signature=signature)
    assert pad.get_concrete_function().output_shapes == (1, 18)
