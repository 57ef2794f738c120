"""A LiteRT file as a Keras model, so that it is measured as any other."""

import pathlib

import keras
import numpy as np
import tensorflow as tf

from mmat.export.tflite_file import TFLiteTagger
from mmat.files import InputError
from mmat.media.sound import FRAME_SAMPLES, SAMPLE_RATE_HZ
from mmat.models.bundle import Bundle


def bundle_of_file(path: pathlib.Path, clip_seconds: float | None) -> Bundle:
    """Return a file of `mmat.export.litert.export_tflite` as a bundle.

    clip_seconds: how long the clips are that it will be asked of, None for lengths of their own.
    Raises InputError for a damaged file, for clips that it does not take, and for one of before
    that sees, and does not say through which network.
    """
    tagger = TFLiteTagger(path, threads=None)
    longest = tagger.n_samples / SAMPLE_RATE_HZ
    if clip_seconds is None:
        fits = False
    else:
        fits = clip_seconds <= longest if tagger.any_length else clip_seconds == longest
    if not fits:
        told = "lengths of their own" if clip_seconds is None else f"{clip_seconds:g} s"
        raise InputError(
            f"{path}: takes clips of {longest:g} s, and these have {told}; prepare others, or name "
            "the folder of the trained model that it came from"
        )
    kinds = {"has_audio": "bool", "has_video": "bool"}
    inputs = {
        name: keras.Input(
            (None, 1) if name == "waveform" else shape[1:], dtype=kinds.get(name), name=name
        )
        for name, shape in tagger.taken.items()
        if name != "n_samples"
    }
    facts = tagger.facts
    if "image_probabilities" in inputs and not facts.image_network:
        raise InputError(
            f"{path}: does not say which image network it looks through, as files of before did "
            "not; export it again, or name the folder of the trained model that it came from"
        )
    model = keras.Model(inputs, AskedClipByClip(tagger)(inputs))
    return Bundle(
        model,
        facts.labels,
        facts.thresholds,
        facts.image_network,
        facts.n_frames,
        facts.clip_seconds,
    )


class AskedClipByClip(keras.layers.Layer):
    """Asks a file about each clip of a batch: inputs by name, outputs `clip` and `frame`."""

    def __init__(self, tagger: TFLiteTagger):
        super().__init__(dtype="float32")
        self.tagger = tagger

    def call(self, inputs):
        names = list(inputs)

        def ask(*clips):
            given = (dict(zip(names, clip, strict=True)) for clip in zip(*clips, strict=True))
            found = [
                self.tagger.predict(**{name: x[np.newaxis] for name, x in clip.items()})
                for clip in given
            ]
            return [np.concatenate([each[name] for each in found]) for name in ("clip", "frame")]

        clip, frame = tf.numpy_function(ask, list(inputs.values()), [tf.float32, tf.float32])
        n_classes = len(self.tagger.facts.labels)
        return {
            "clip": tf.ensure_shape(clip, (None, n_classes)),
            "frame": tf.ensure_shape(frame, (None, None, n_classes)),
        }

    def compute_output_spec(self, inputs):
        batch, n_samples, _ = inputs["waveform"].shape
        n_classes = len(self.tagger.facts.labels)
        time = n_samples and -(-n_samples // FRAME_SAMPLES)
        shapes = {"clip": (batch, n_classes), "frame": (batch, time, n_classes)}
        return {name: keras.KerasTensor(shape) for name, shape in shapes.items()}
