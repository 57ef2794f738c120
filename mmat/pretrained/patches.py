"""Waveforms padded to whole patches, as frozen audio networks are given them."""

import tensorflow as tf

from mmat.pretrained.registry import count_patches


def whole_patches(
    waveforms: tf.Tensor, window_samples: int, hop_samples: int
) -> tuple[tf.Tensor, int | tf.Tensor]:
    """Put zeros behind waveforms until the last patch is whole; return them and their patches.

    waveforms: `(batch, samples)`. window_samples: of a patch; hop_samples: from one to the next.
    The number of patches is an int where that of the samples is known, also in a graph.

    >>> padded, n_patches = whole_patches(tf.zeros((2, 15_601)), 15_600, 7_680)
    >>> padded.shape, n_patches
    (TensorShape([2, 23280]), 2)
    """
    n_samples = waveforms.shape[1]
    if n_samples is None:
        n_samples = tf.shape(waveforms)[1]
        n_patches = 1 + -(-tf.maximum(n_samples - window_samples, 0) // hop_samples)
    else:
        n_patches = count_patches(n_samples, window_samples, hop_samples)
    whole = window_samples + (n_patches - 1) * hop_samples
    return tf.pad(waveforms, [[0, 0], [0, whole - n_samples]]), n_patches
