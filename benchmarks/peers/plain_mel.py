"""The authors' log-mel by librosa, and by the plain graph of TensorFlow."""

from collections.abc import Callable

import numpy as np

from benchmarks.waveforms import RATE_HZ, waveforms


def by_librosa(batch_size: int) -> Callable:
    clips = waveforms(batch_size)
    librosa_log_mel(clips[:1])  # in a new environment its first call compiles for half a minute
    return lambda: librosa_log_mel(clips)


def librosa_log_mel(clips: np.ndarray) -> np.ndarray:
    """Return decibels `(batch, frames, 64)` of clips `(batch, samples)`, one after the other."""
    import librosa

    frames = -(-clips.shape[1] // 400)
    batch = []
    for clip in clips:
        mel = librosa.feature.melspectrogram(
            y=clip,
            sr=RATE_HZ,
            n_fft=4096,
            win_length=1024,
            hop_length=400,
            n_mels=64,
            power=1,
            pad_mode="constant",
        )
        decibels = librosa.power_to_db(mel, amin=1e-10, top_db=80.0)
        batch.append(decibels.T[:frames])
    return np.stack(batch)


def by_tensorflow(batch_size: int) -> Callable:
    import tensorflow as tf

    clips, graph = tf.constant(waveforms(batch_size)), tensorflow_log_mel()
    return lambda: graph(clips).numpy()


def tensorflow_log_mel() -> Callable:
    """Return a graph of `tf.signal` alone: clips `(batch, samples)` to `(batch, frames, 64)`."""
    import librosa
    import tensorflow as tf

    mel = librosa.filters.mel(sr=RATE_HZ, n_fft=4096, n_mels=64, fmin=0, fmax=8000).T

    @tf.function
    def log_mel(clips):
        padded = tf.pad(clips, [[0, 0], [512, 512]])
        spectrum = tf.signal.stft(padded, frame_length=1024, frame_step=400, fft_length=4096)
        magnitude = tf.abs(spectrum)[:, : -(-clips.shape[1] // 400)]
        decibels = tf.math.log(tf.maximum(magnitude @ mel, 1e-10)) * (10 / np.log(10))
        return tf.maximum(decibels, tf.reduce_max(decibels, [1, 2], keepdims=True) - 80.0)

    return log_mel
