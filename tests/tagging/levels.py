"""Models whose outputs are known: they read the level of the sound, ten times a second.

Of the level `x`, in [-1, 1], the classes high, low and still have the logits 8x, -8x and 1; the
quantity mood has the value 3x on the scale from -3 to 3.
"""

import numpy as np

from mmat.labels import MULTI_CLASS, LabelSet, regression

CLASSES = LabelSet(("high", "low", "still"), task=MULTI_CLASS)
VALUES = LabelSet(("mood",), task=regression(-3, 3))
CLIP_SECONDS, RATE_HZ = 4.0, 16000


def level_bundle(labels: LabelSet):
    """Return the untrained bundle of a model of the sound's level."""
    import keras

    from mmat.models.bundle import Bundle
    from mmat.models.outputs import to_output

    waveform = keras.Input((None, 1), name="waveform")
    levels = keras.layers.AveragePooling1D(RATE_HZ // 10, padding="same")(waveform)
    multi_class = labels.task.is_multi_class
    layer = keras.layers.Dense(len(labels), activation="softmax" if multi_class else "linear")
    scores = layer(levels)
    layer.set_weights(
        [np.float32([[8, -8, 0]]), np.float32([0, 0, 1])]
        if multi_class
        else [np.float32([[0.5]]), np.float32([0.5])]
    )
    clip = keras.layers.GlobalAveragePooling1D()(scores)
    outputs = {"clip": to_output(clip, labels.task), "frame": to_output(scores, labels.task)}
    model = keras.Model({"waveform": waveform}, outputs)
    thresholds = np.ones(len(labels), np.float32)  # ignored
    return Bundle(model, labels, thresholds, clip_seconds=CLIP_SECONDS)


def sound(*levels_seconds: tuple[float, float]) -> np.ndarray:
    """Return a waveform of levels, each of which lasts its seconds."""
    return np.concatenate(
        [np.full(round(seconds * RATE_HZ), level, np.float32) for level, seconds in levels_seconds]
    )


def shares(level: float) -> np.ndarray:
    """Return the model's outputs for a level: the shares of the classes."""
    odds = np.exp([8 * level, -8 * level, 1.0])
    return odds / odds.sum()


def set_last_layer(model, biases: list[float]) -> None:
    """Let an audio branch predict the same for every frame: what the biases make of it."""
    layer = model.get_layer("frame")
    kernel, _ = layer.get_weights()
    layer.set_weights([np.zeros_like(kernel), np.float32(biases)])
