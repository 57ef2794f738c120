"""The clips that ours and peers alike are given: 10 s of noise, and a label each."""

import numpy as np

RATE_HZ, SECONDS = 16_000, 10
N_SAMPLES = RATE_HZ * SECONDS


def waveforms(batch_size: int) -> np.ndarray:
    """Return float32 `(batch, samples)`."""
    noise = np.random.default_rng(0).normal(0, 0.1, (batch_size, N_SAMPLES))
    return noise.astype(np.float32)


def labels(batch_size: int, n_classes: int) -> np.ndarray:
    """Return weak labels, float32 `(batch, classes)`."""
    return np.eye(n_classes, dtype=np.float32)[np.arange(batch_size) % n_classes]
