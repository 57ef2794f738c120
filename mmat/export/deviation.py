"""How far the scores of an exported file are from those of the Keras model, on sound alone."""

from collections.abc import Mapping

import keras
import numpy as np
import tensorflow as tf

from mmat.export.savedmodel import no_pictures, whole_length

COMPARED = ("clip", "frame")  # outputs


def rising_noise(n_samples: int) -> np.ndarray:
    """Return noise that rises from silence to half of full scale, float32 `(1, n_samples, 1)`.

    >>> noise = rising_noise(16_000)
    >>> noise.shape, bool(abs(noise[0, :1600]).max() < 0.05 < abs(noise).max() <= 0.5)
    ((1, 16000, 1), True)
    """
    noise = np.random.default_rng(0).uniform(-1, 1, n_samples)
    return np.float32(np.linspace(0, 0.5, n_samples) * noise)[np.newaxis, :, np.newaxis]


def largest_deviation(
    model: keras.Model, waveform: np.ndarray, found: Mapping[str, np.ndarray]
) -> float:
    """Return by how much a file's scores of a clip differ from the model's at most.

    waveform: `(1, samples, 1)`. found: what the file says of it without pictures, `clip` and
    `frame`.

    >>> from mmat.models.audio import audio_branch
    >>> branch, noise = audio_branch(2), rising_noise(16_000)
    >>> largest_deviation(branch, noise, branch({"waveform": noise}))
    0.0
    """
    given = {"waveform": tf.constant(waveform)} | no_pictures(model)
    expected = model(given | whole_length(model, given), training=False)
    return float(max(np.abs(found[name] - expected[name]).max() for name in COMPARED))
