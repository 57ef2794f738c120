"""The mel magnitudes of one waveform as a few matrix products, for LiteRT.

LiteRT's own transform takes each frame alone, in float64, and three times as long. Here the
discrete Fourier transform goes in two steps, as Cooley and Tukey's does, each of them a product for
all frames at once: frequency `k1 + n1·k2` of sample `columns·a + b` is

    sum over b of exp(-2πi b (k1 + n1·k2) / n) · (sum over a of exp(-2πi a·k1 / n1) · x)

with `n = n1 · columns`. Rows of samples that are all zero are left out.

Source: Cooley and Tukey, Mathematics of Computation 19 (1965), 297-301.
"""

import math

import numpy as np
import tensorflow as tf

from mmat.export.weights8 import LEAST_ELEMENTS

LEAST_COLUMNS = 16  # about as many operations in the second step as in the first


def mel_magnitudes(
    waveform, fft_samples: int, window_samples: int, hop_samples: int, bank: np.ndarray
):
    """Return the mel magnitudes of a waveform `(samples,)`: float32 `(frames, bands)`.

    Frame i begins at sample `i·hop_samples`, under a periodic Hann window. bank: the weights of the
    magnitudes in the bands, `(fft_samples / 2 + 1, bands)`.

    >>> mel_magnitudes(tf.ones(6), 4, 4, 2, np.eye(3, dtype=np.float32)).numpy().round(3).tolist()
    [[2.0, 1.0, 0.0], [2.0, 1.0, 0.0]]
    """
    columns = _columns(fft_samples, window_samples)
    n_rows = -(-window_samples // columns)
    window = np.hanning(window_samples + 1)[:-1].astype(np.float32)
    frames = tf.signal.frame(waveform, window_samples, hop_samples) * window
    frames = tf.pad(frames, [[0, 0], [0, n_rows * columns - window_samples]])
    frames = tf.reshape(frames, (-1, n_rows, columns))
    first, second = _steps(fft_samples, n_rows, columns)
    half = first.shape[1] // 2
    x = tf.matmul(tf.reshape(tf.transpose(frames, (0, 2, 1)), (-1, n_rows)), first)
    x = tf.transpose(tf.reshape(x, (-1, columns, 2, half)), (3, 0, 2, 1))
    x = tf.matmul(tf.reshape(x, (half, -1, 2 * columns)), second)  # (k1, frames, 2 · k2)
    power = tf.square(x[:, :, :columns]) + tf.square(x[:, :, columns:])
    magnitudes = tf.transpose(tf.sqrt(power), (2, 1, 0))  # (k2, frames, k1)
    return _in_bands(magnitudes, bank, _frequencies(fft_samples, columns))


def _columns(fft_samples: int, window_samples: int) -> int:
    """Return how many columns make the first step's weights so few that they stay in float32."""
    columns = LEAST_COLUMNS
    while fft_samples * window_samples >= LEAST_ELEMENTS * columns**2:
        columns *= 2
    return math.gcd(columns, fft_samples)


def _steps(fft_samples: int, n_rows: int, columns: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the matrices of both steps, real and imaginary parts one behind the other.

    Of the first `(rows, 2 · k1)`, of the second for each k1 `(2 · columns, 2 · k2)`.
    """
    n1, k2 = fft_samples // columns, np.arange(columns)
    k1 = np.arange(n1 // 2 + 1)
    first = np.exp(-2j * np.pi / n1 * np.outer(np.arange(n_rows), k1))
    frequencies = k1[:, np.newaxis, np.newaxis] + n1 * k2
    second = np.exp(-2j * np.pi / fft_samples * np.arange(columns)[:, np.newaxis] * frequencies)
    real = np.block([[second.real, second.imag], [-second.imag, second.real]])
    return np.float32(np.concatenate([first.real, first.imag], axis=1)), np.float32(real)


def _frequencies(fft_samples: int, columns: int) -> np.ndarray:
    """Return the frequency of each product `(k1, k2)`, -1 where another one has it already.

    Those above the half mirror those below, of real samples.
    """
    n1 = fft_samples // columns
    k = np.arange(n1 // 2 + 1)[:, np.newaxis] + n1 * np.arange(columns)
    k = np.minimum(k, fft_samples - k)
    once = np.full(k.size, -1)
    found, first = np.unique(k, return_index=True)
    once[first] = found
    return once.reshape(k.shape)


def _in_bands(magnitudes, bank: np.ndarray, frequencies: np.ndarray):
    """Sum magnitudes `(k2, frames, k1)` into bands, with those alone that each k2 has a part in."""
    parts, bands = [], []
    for own, each in zip(frequencies.T, tf.unstack(magnitudes), strict=True):
        weights = np.where(own[:, np.newaxis] < 0, 0, bank[own]).astype(np.float32)
        read = np.flatnonzero(weights.any(axis=0))
        if len(read):
            parts.append(tf.matmul(each, weights[:, read]))
            bands += list(read)
    # A product again: padding and adding the parts takes five times as long.
    return tf.matmul(tf.concat(parts, axis=1), np.eye(bank.shape[1], dtype=np.float32)[bands])
