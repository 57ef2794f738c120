"""Mel magnitudes by products are those of NumPy's transform."""

import numpy as np
import pytest
import tensorflow as tf

from mmat.export.lite_mel import mel_magnitudes


@pytest.mark.parametrize(
    ("fft_samples", "window_samples", "hop_samples"),
    [(4096, 1024, 400), (512, 400, 160), (512, 500, 320), (8192, 2048, 441), (24, 24, 5)],
)
def test_they_are_those_of_a_transform_in_float64(fft_samples, window_samples, hop_samples):
    rng = np.random.default_rng(0)
    samples = rng.normal(0, 0.1, 4 * window_samples + 7).astype(np.float32)
    bank = rng.uniform(0, 1, (fft_samples // 2 + 1, 9)).astype(np.float32)
    starts = range(0, len(samples) - window_samples + 1, hop_samples)
    frames = np.stack([samples[start : start + window_samples] for start in starts])
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window_samples) / window_samples)
    expected = np.abs(np.fft.rfft(np.float64(frames) * window, fft_samples)) @ bank
    found = mel_magnitudes(
        tf.constant(samples), fft_samples, window_samples, hop_samples, bank
    ).numpy()
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=1e-5)
