"""WAV files as bytes, and their reader in a graph."""

import io

import numpy as np
import soundfile
import tensorflow as tf

from mmat.export.wav import decode_wav

RATE_HZ = 16000
decode = tf.function(decode_wav, input_signature=[tf.TensorSpec((), tf.string)])


def wav(samples, rate_hz=RATE_HZ, form="WAV", subtype="PCM_16") -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, rate_hz, format=form, subtype=subtype)
    return file.getvalue()


def samples(n=100, channels=1, seed=0) -> np.ndarray:
    return np.random.default_rng(seed).integers(-(2**15), 2**15, (n, channels), np.int16)
