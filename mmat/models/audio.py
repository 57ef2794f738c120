"""The audio branch: convolutions and a recurrent layer over log-mel, pooled over time."""

from collections.abc import Callable, Sequence

import keras
from keras import layers

from mmat.models.features import BandNormalization, MelParameters, log_mel
from mmat.models.pooling import MILPooling, attention, linear_softmax

# (filters, pool over time and frequency): the authors' three blocks of 5×5 convolutions.
BLOCKS = ((32, (1, 2)), (64, (2, 2)), (128, (2, 2)))
GRU_UNITS = 100
FRAME_HZ = 10.0


def audio_branch(
    n_classes: int,
    pooling: Callable = linear_softmax,
    mel: MelParameters = MelParameters(),
    augmentation: Sequence[layers.Layer] = (),
    dropout: float = 0.0,
    dtype: str = "float32",
) -> keras.Model:
    """Build the authors' CRNN: waveform in, clip and frame probabilities out.

    Input `waveform`: float32 `(batch, samples, 1)` at 16 kHz, of any length. Output: a dict of
    float32 probabilities, `clip` `(batch, classes)` and `frame` `(batch, time, classes)` at 10 Hz.

    pooling: a function of `mmat.models.pooling`. augmentation: layers on the normalised log-mel
    that act in training alone. dtype: the policy of convolutions and GRU (`mixed_bfloat16` is
    about twice as fast on a CPU that has it). Call `adapt_normalization` before training.
    936,041 trainable parameters with 17 classes, 939,458 with attention pooling.

    Source: Wang, Li and Metze, arXiv 1810.09050, and the authors' code of 2017.

    >>> model = audio_branch(n_classes=17)
    >>> {name: tuple(x.shape[1:]) for name, x in model.output.items()}
    {'clip': (17,), 'frame': (None, 17)}
    """
    waveform = keras.Input((None, 1), name="waveform")
    x = log_mel(waveform, mel)  # (batch, 400, 64, 1) for 10 s
    x = BandNormalization(name="band_normalization")(x)
    for layer in augmentation:
        x = layer(x)
    for filters, pool in BLOCKS:
        x = layers.Conv2D(filters, 5, padding="same", activation="relu", dtype=dtype)(x)
        x = layers.MaxPooling2D(pool, padding="same", dtype=dtype)(x)
    # (batch, 400, 32, 32), then (batch, 200, 16, 64), then (batch, 100, 8, 128)
    x = layers.Reshape((-1, x.shape[2] * x.shape[3]), dtype=dtype)(x)  # (batch, 100, 1024)
    x = layers.Dropout(dropout, dtype=dtype)(x)
    gru = layers.GRU(GRU_UNITS, return_sequences=True, dtype=dtype)
    x = layers.Bidirectional(gru, dtype=dtype, name="embedding")(x)  # (batch, 100, 200)
    x = layers.Dropout(dropout, dtype=dtype)(x)
    frame = layers.Dense(n_classes, activation="sigmoid", dtype="float32", name="frame")(x)
    pooled = frame
    if pooling is attention:
        pooled = [frame, layers.Dense(n_classes, dtype="float32", name="attention")(x)]
    clip = MILPooling(pooling, name="clip")(pooled)  # (batch, classes)
    return keras.Model({"waveform": waveform}, {"clip": clip, "frame": frame}, name="audio")


def adapt_normalization(model: keras.Model, waveforms) -> None:
    """Learn the mel bands' mean and deviation from an iterable of waveform batches."""
    normalization = model.get_layer("band_normalization")
    decibels = keras.Model(model.get_layer("waveform").output, normalization.input)
    normalization.adapt(decibels.predict_on_batch(batch) for batch in waveforms)
