"""The log-mel of one clip by operations that TensorFlow Lite has built in.

Kapre's transform, in float64, has none there. This one reads its parameters from Kapre's layers in
a model and gives the same decibels.
"""

import math

import kapre
import keras
import numpy as np
import tensorflow as tf


def tflite_log_mel(model: keras.Model, n_samples: int):
    """Return a function from a waveform `(1, n_samples, 1)` to a model's decibels.

    They are float32 `(1, frames, mel_bands, 1)`, those that enter the model's band normalization:
    equal to `mmat.models.features.log_mel`, but for what lies more than 55 dB under a pure
    tone, where float32 has no more digits. `model` is an audio branch with a log-mel.

    >>> from mmat.models.audio import audio_branch
    >>> decibels = tflite_log_mel(audio_branch(2), n_samples=16000)
    >>> decibels(tf.zeros((1, 16000, 1))).shape
    TensorShape([1, 40, 64, 1])
    """
    kinds = (
        keras.layers.ZeroPadding1D,
        kapre.STFT,
        kapre.ApplyFilterbank,
        kapre.MagnitudeToDecibel,
    )
    padding, stft, bank, decibel = (_only(model, kind) for kind in kinds)
    window = stft.window_fn(stft.win_length, dtype=tf.float32)
    n_frames = -(-n_samples // stft.hop_length)
    filters = [_own_frequencies(band) for band in np.asarray(bank.filterbank, np.float32).T]

    def log_mel(waveform):
        samples = tf.pad(tf.reshape(waveform, (n_samples,)), [padding.padding])
        frames = tf.signal.frame(samples, stft.win_length, stft.hop_length) * window
        magnitudes = tf.abs(tf.signal.rfft(frames, [stft.n_fft]))  # (frames, n_fft / 2 + 1)
        # One product with all frequencies would be a layer of weights to the converter, which it
        # brings to 8 bits, too few for decibels.
        bands = [
            tf.reduce_sum(magnitudes[:, first:last] * weights, axis=1)
            for first, last, weights in filters
        ]
        mel = tf.maximum(tf.stack(bands, axis=1), decibel.amin)
        decibels = 10 / math.log(10) * tf.math.log(mel)
        decibels = tf.maximum(decibels, tf.reduce_max(decibels) - decibel.dynamic_range)
        return decibels[tf.newaxis, :n_frames, :, tf.newaxis]

    return log_mel


def _own_frequencies(band: np.ndarray) -> tuple[int, int, np.ndarray]:
    """Return the first and behind the last frequency that a band reads, and their weights."""
    at = np.flatnonzero(band)
    first, last = (at[0], at[-1] + 1) if len(at) else (0, 1)
    return first, last, band[first:last]


def _only(model: keras.Model, kind: type):
    (layer,) = [layer for layer in model._flatten_layers() if isinstance(layer, kind)]
    return layer
