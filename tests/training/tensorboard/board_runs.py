"""A small model, clips for it, and what TensorBoard's own reader finds in a log folder."""

import io
import wave

import keras
import numpy as np
import tensorflow as tf
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from mmat.labels import LabelSet
from mmat.training.tensorboard.clips import FixedClips
from tests.compiling import compile_for_clips

LABELS = LabelSet.of(["Dog", "Fire engine, fire truck (siren)", "Train horn"])
N_CLIPS, N_SAMPLES, BATCH, STEPS = 12, 16_000, 4, 3


def clips(seed=0):
    """Waveforms of a second and weak labels, of which the loudness says something."""
    rng = np.random.default_rng(seed)
    weak_labels = (rng.random((N_CLIPS, len(LABELS))) < 0.4).astype(np.float32)
    waveforms = (
        rng.uniform(-1, 1, (N_CLIPS, N_SAMPLES, 1))
        * (0.1 + 0.3 * weak_labels.sum(1))[:, None, None]
    )
    return np.clip(waveforms, -1, 1).astype(np.float32), weak_labels


def small_model(dropout=0.0):
    """A tagger with the outputs of the audio branch, of a few hundred weights."""
    keras.utils.set_random_seed(3)
    waveform = keras.Input((None, 1), name="waveform")
    x = keras.layers.Conv1D(4, 1600, strides=1600, activation="relu", name="steps")(waveform)
    x = keras.layers.Dropout(dropout)(x)
    frame = keras.layers.Dense(len(LABELS), "sigmoid", name="frame")(x)
    clip = keras.layers.GlobalMaxPooling1D(name="clip")(frame)
    model = keras.Model({"waveform": waveform}, {"clip": clip, "frame": frame})
    compile_for_clips(model, keras.optimizers.Adam(0.01))
    return model


def fit(model, callbacks, epochs=2, **options):
    waveforms, weak_labels = clips()
    return model.fit(
        {"waveform": waveforms},
        {"clip": weak_labels},
        batch_size=BATCH,
        epochs=epochs,
        verbose=0,
        callbacks=callbacks,
        **options,
    )


def fixed_clips(n=2):
    waveforms, weak_labels = clips()
    ids = [f"clip {i}" for i in range(n)]
    return FixedClips(ids, waveforms[:n], None, weak_labels[:n], [[(0, 0.1, 0.5)]] * n)


def read(folder) -> EventAccumulator:
    """Read a log folder as TensorBoard does, every record of it."""
    events = EventAccumulator(str(folder), {"tensors": 0})
    events.Reload()
    return events


def series(events: EventAccumulator, tag: str) -> dict[int, np.ndarray]:
    """Return the value at each step; no step may be there twice."""
    found = events.Tensors(tag)
    values = {event.step: tf.make_ndarray(event.tensor_proto) for event in found}
    assert len(values) == len(found)
    return values


def plugin_of(events: EventAccumulator, tag: str) -> str:
    return events.SummaryMetadata(tag).plugin_data.plugin_name


def decode_wav(encoded: bytes) -> tuple[np.ndarray, int]:
    """Return int16 samples and their rate, by a reader that is not TensorFlow's."""
    with wave.open(io.BytesIO(encoded)) as file:
        return np.frombuffer(file.readframes(file.getnframes()), "<i2"), file.getframerate()
