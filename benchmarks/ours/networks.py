"""mmat's networks: log-mel, scores by each way to serve them, and training steps."""

import pathlib
import tempfile
from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from benchmarks import counting
from benchmarks.waveforms import N_SAMPLES, labels, waveforms
from mmat.export.litert import TFLiteTagger, export_tflite
from mmat.export.savedmodel import export_saved_model
from mmat.labels import LabelSet
from mmat.models.audio import adapt_normalization, audio_branch, talnet
from mmat.models.bundle import Bundle, save_bundle
from mmat.models.features import log_mel, with_float32_mel
from mmat.training.step import training_step as step_of

NETS = {"crnn": (audio_branch, 17), "talnet": (talnet, 527)}
POLICIES = {"float32": "float32", "bfloat16": "mixed_bfloat16"}


def log_mel_graph(batch_size: int, in_float32: bool = False) -> Callable:
    waveform = keras.Input((None, 1))
    model, x = keras.Model(waveform, log_mel(waveform)), given(batch_size)
    if in_float32:
        model = with_float32_mel(model)
    graph = tf.function(lambda x: model(x, training=False))
    return lambda: graph(x).numpy()


def by_keras(batch_size: int, dtype: str, net: str = "crnn") -> Callable:
    model, x = made(net, dtype), {"waveform": given(batch_size)}
    graph = tf.function(lambda x: model(x, training=False))
    return lambda: graph(x)["clip"].numpy()


def by_saved_model(batch_size: int, dtype: str, net: str = "crnn") -> Callable:
    with tempfile.TemporaryDirectory() as folder:
        loaded = tf.saved_model.load(str(write_export(f"{folder}/export", dtype, net)))
    x = given(batch_size)
    # The loaded model is named here, since its signatures alone do not hold its variables.
    return lambda: loaded.signatures["audio_only"](waveform=x)["clip"].numpy()


def by_tflite(batch_size: int, threads: int) -> Callable:
    """TensorFlow Lite takes one clip at a time."""
    with tempfile.TemporaryDirectory() as folder:
        path = export_tflite(bundle("crnn", "float32"), f"{folder}/a.tflite")
        tagger = TFLiteTagger(path, threads)
    clips = [clip[np.newaxis, :, np.newaxis] for clip in waveforms(batch_size)]
    return lambda: [tagger(clip) for clip in clips]


def training_step(net: str, batch_size: int, dtype: str) -> Callable:
    model, x = made(net, dtype), {"waveform": given(batch_size)}
    adapt_normalization(model, [x])
    step = step_of(model, keras.optimizers.Adam(3e-4))
    truth = tf.constant(labels(batch_size, NETS[net][1]))
    return lambda: step(x, truth).numpy()


def write_export(folder: str, dtype: str = "float32", net: str = "crnn") -> str:
    """Write an untrained model as a SavedModel, and return its folder.

    The values of its weights cost nothing.
    """
    return str(export_saved_model(bundle(net, dtype), pathlib.Path(folder)))


def write_bundle(folder: str) -> str:
    """Write an untrained model as a bundle, and return its folder."""
    save_bundle(folder, bundle("crnn", "float32"))
    return folder


def costs(net: str, batch_size: int) -> dict[str, float]:
    """Return what a net needs at the least, for a batch of 10 s clips."""
    model = made(net, "float32")
    counted = counting.multiply_adds(model, N_SAMPLES)
    trained = counting.training_multiply_adds(model, N_SAMPLES)
    return {
        "log_mel": batch_size * sum(n for name, n in counted.items() if _is_mel(model, name)),
        "tagging": batch_size * sum(counted.values()),
        "training": batch_size * trained,
        "bytes": counting.moved_bytes(model, N_SAMPLES, batch_size),
    }


def _is_mel(model: keras.Model, name: str) -> bool:
    return not model.get_layer(name).trainable_weights


def bundle(net: str, dtype: str) -> Bundle:
    n_classes = NETS[net][1]
    names = LabelSet.of(f"class {number}" for number in range(n_classes))
    return Bundle(made(net, dtype), names, np.full(n_classes, 0.5, np.float32))


def made(net: str, dtype: str) -> keras.Model:
    keras.utils.set_random_seed(0)
    build, n_classes = NETS[net]
    return build(n_classes, dtype=POLICIES[dtype])


def given(batch_size: int) -> tf.Tensor:
    return tf.constant(waveforms(batch_size)[:, :, np.newaxis])
