"""A TensorFlow Lite file of mmat, asked and measured."""

import dataclasses
import os
import pathlib
import statistics
import time
import warnings

import numpy as np
import tensorflow as tf

from mmat.data.media import SAMPLE_RATE_HZ
from mmat.models.bundle import Bundle
from mmat.serving.served import whole_length
from mmat.serving.tflite import audio_side


class TFLiteTagger:
    """Answers as a TensorFlow Lite file of `export_tflite` does.

    Call it with a waveform float32 `(1, samples, 1)`; it returns NumPy arrays by name. threads:
    how many processors it may use.
    """

    def __init__(self, path: str | os.PathLike, threads: int = 1):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that the interpreter will move to another package
            self.interpreter = tf.lite.Interpreter(str(path), num_threads=threads)
        self.interpreter.allocate_tensors()
        self._answer = self.interpreter.get_signature_runner()
        self.n_samples = int(self.interpreter.get_input_details()[0]["shape"][1])

    def __call__(self, waveform: np.ndarray) -> dict[str, np.ndarray]:
        return self._answer(waveform=waveform)


@dataclasses.dataclass(frozen=True)
class TFLiteFigures:
    """What a file is like: its size, its time for one clip, and how far it is from Keras."""

    megabytes: float
    clip_seconds: float
    milliseconds: float
    largest_deviation: float


def measure_tflite(path: str | os.PathLike, bundle: Bundle, rounds: int = 5) -> TFLiteFigures:
    """Measure a file on one thread, warm: the median of some rounds on a clip of rising noise.

    largest_deviation: of a score of the clip or a frame, from what the bundle's own model says.
    """
    tagger = TFLiteTagger(path)
    noise = np.random.default_rng(0).uniform(-1, 1, tagger.n_samples)
    rising = np.linspace(0, 0.5, tagger.n_samples) * noise
    waveform = np.float32(rising)[np.newaxis, :, np.newaxis]
    found, seconds = tagger(waveform), []
    for _ in range(rounds):
        begun = time.perf_counter()
        tagger(waveform)
        seconds.append(time.perf_counter() - begun)
    branch, given = audio_side(bundle.model), {"waveform": tf.constant(waveform)}
    expected = branch(given | whole_length(branch, given), training=False)
    deviations = [np.abs(found[name] - expected[name]).max() for name in ("clip", "frame")]
    return TFLiteFigures(
        megabytes=pathlib.Path(path).stat().st_size / 1e6,
        clip_seconds=tagger.n_samples / SAMPLE_RATE_HZ,
        milliseconds=statistics.median(seconds) * 1000,
        largest_deviation=float(max(deviations)),
    )
