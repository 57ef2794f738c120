"""The audio side of a bundle becomes one TensorFlow Lite file, for a phone or a small computer.

Signature `serving_default`, input `waveform` float32 `(1, samples, 1)`: one clip of the length
that the model was trained with, 16 kHz mono in [-1, 1]. Outputs: `clip` float32 and `fired` bool
`(1, classes)`, `frame` float32 `(1, time, classes)` at 10 Hz.

The file is a zip archive too, as TensorFlow's own metadata has it: `labels.csv` in it has the
labels and their thresholds, or their task if it has none; `README.md` is the model card.

TensorFlow's converter ends the process where it meets what it cannot convert. So it runs in a
process of its own, which this module is too:

    python -m mmat.export.litert SAVED_MODEL FILE [int8]
"""

import csv
import dataclasses
import io
import math
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
import zipfile

import kapre
import keras
import numpy as np
import tensorflow as tf

from mmat.export.card import model_card
from mmat.export.nonfinite import nan_in_nan_out
from mmat.export.savedmodel import decided, traced, whole_length
from mmat.files import InputError, atomic_path, one_line
from mmat.labels import MULTI_LABEL
from mmat.media.read import SAMPLE_RATE_HZ
from mmat.models.bundle import LABELS_FILE, Bundle
from mmat.pretrained.hub import HubAudioEncoder

SUFFIX, INT8 = ".tflite", "int8"
SOUND_INPUTS = {"waveform", "n_samples"}


def export_tflite(bundle: Bundle, path: str | os.PathLike, quantize: str = "") -> pathlib.Path:
    """Write a bundle's audio branch as a TensorFlow Lite file; return its path.

    Only operations that TensorFlow Lite has built in are used. quantize: `int8` for weights of
    8 bits, a quarter of the size; empty for float32. A model in mixed precision is computed in
    float32 there. Raises InputError for a model of pictures alone or with a frozen audio network,
    for a path that does not end in `.tflite`, and where the converter fails.

    >>> from mmat.labels import LabelSet
    >>> from mmat.models.audio import audio_branch
    >>> bundle = Bundle(audio_branch(2), LabelSet.of(["Dog", "Cat"]), [0.5, 0.5], clip_seconds=1.0)
    >>> path = export_tflite(bundle, tempfile.mkdtemp() + "/tagger.tflite")
    >>> zipfile.ZipFile(path).read("labels.csv").decode().split()
    ['index,mid,display_name,synonyms,threshold', '0,,Dog,,0.5', '1,,Cat,,0.5']
    """
    path = pathlib.Path(path)
    if path.suffix != SUFFIX or path.is_dir():
        raise InputError(f"{path}: no name of a TensorFlow Lite file; end it in {SUFFIX}")
    module = _audio_module(bundle)
    with atomic_path(path) as part, tempfile.TemporaryDirectory() as folder:
        tf.saved_model.save(module, folder, signatures=module.signature)
        _convert_apart(path, folder, part, quantize)
        with zipfile.ZipFile(part, "a") as archive:
            archive.writestr(LABELS_FILE, _labels_csv(bundle))
            archive.writestr("README.md", model_card(bundle))
    return path


class TFLiteTagger:
    """Runs a TensorFlow Lite file of `export_tflite`.

    Call it with a waveform float32 `(1, n_samples, 1)`, 16 kHz mono in [-1, 1]; it returns NumPy
    arrays by name. n_samples: how long the file's clips are; a clip of another length is cut, or
    zeros go behind it, by who calls. threads: how many processors it may use. Raises InputError
    for a file that is no such file, and for a waveform of another length, form or type.
    """

    def __init__(self, path: str | os.PathLike, threads: int = 1):
        self.path = path
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # that the interpreter will move to another package
                self.interpreter = tf.lite.Interpreter(str(path), num_threads=threads)
            self.interpreter.allocate_tensors()
            self._run = self.interpreter.get_signature_runner()
            (given,) = self.interpreter.get_input_details()
            _, self.n_samples, _ = map(int, given["shape"])
        except (ValueError, RuntimeError) as error:  # what the interpreter raises for any fault
            raise InputError(
                f"{path}: no TensorFlow Lite file of a tagger: {one_line(error, 200)}; "
                "export it again"
            ) from error

    def __call__(self, waveform: np.ndarray) -> dict[str, np.ndarray]:
        taken, given = (1, self.n_samples, 1), np.shape(waveform)
        if given != taken:
            raise InputError(
                f"{self.path}: takes a waveform {taken}, {self.n_samples / SAMPLE_RATE_HZ:g} s at "
                f"{SAMPLE_RATE_HZ} Hz, and was given {given}; cut it or put zeros behind it, or "
                "export a SavedModel, which takes any length"
            )
        if np.asarray(waveform).dtype != np.float32:
            kind = np.asarray(waveform).dtype
            raise InputError(f"{self.path}: takes float32 in [-1, 1], and was given {kind}")
        return self._run(waveform=waveform)


@dataclasses.dataclass(frozen=True)
class TFLiteFigures:
    """A file's size, its time for one clip, and the largest difference from Keras."""

    megabytes: float
    clip_seconds: float
    milliseconds: float
    largest_deviation: float


def measure_tflite(path: str | os.PathLike, bundle: Bundle, rounds: int = 5) -> TFLiteFigures:
    """Measure a file on one thread, warm: the median of some rounds on a clip of rising noise.

    largest_deviation: of a score of the clip or a frame, from the bundle's own model.
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


def tflite_log_mel(model: keras.Model, n_samples: int):
    """Return a function from a waveform `(1, n_samples, 1)` to a model's decibels.

    Kapre's transform, in float64, is no built-in operation of TensorFlow Lite; this one takes its
    parameters from the Kapre layers of `model`, an audio branch with a log-mel. The decibels are
    float32 `(1, frames, mel_bands, 1)`, those that enter the model's band normalization: equal to
    `mmat.models.features.log_mel`, except for what lies more than 55 dB under a pure tone, where
    float32 has no more digits.

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


def audio_side(model: keras.Model) -> keras.Model:
    """Return the part of a model that hears, with a log-mel; raises InputError without one."""
    hearing = [
        part
        for part in [model, *model.layers]
        if isinstance(part, keras.Model) and {"waveform"} <= set(part.input) <= SOUND_INPUTS
    ]
    if any(isinstance(layer, HubAudioEncoder) for layer in model._flatten_layers()):
        why = "its sound goes through a frozen network, for which TensorFlow Lite has no operations"
    elif not hearing:
        why = "it hears nothing, and the file is for sound alone"
    else:
        return hearing[0]
    raise InputError(f"export: this model cannot become a TensorFlow Lite file: {why}")


def _audio_module(bundle: Bundle) -> tf.Module:
    """Return a module whose `signature` predicts one clip, with the front end replaced."""
    branch = audio_side(bundle.model)
    normalization = branch.get_layer("band_normalization")
    outputs = {name: branch.output[name] for name in ("clip", "frame")}
    lengths = [x for name, x in branch.input.items() if name == "n_samples"]
    rest = _in_float32(keras.Model([normalization.input, *lengths], outputs))
    n_samples = round(bundle.clip_seconds * SAMPLE_RATE_HZ)
    log_mel = tflite_log_mel(branch, n_samples)

    def predict(waveform):
        lengths = whole_length(branch, {"waveform": waveform}).values()
        outputs = rest([log_mel(waveform), *lengths], training=False)
        fired = decided(bundle.labels.task, outputs["clip"], bundle.thresholds)
        return outputs | {"fired": fired}

    module = tf.Module()
    # The variables alone: given the Keras model, the converter does not find their values.
    module.tracked = [variable.value for variable in rest.variables]
    spec = tf.TensorSpec((1, n_samples, 1), tf.float32, "waveform")
    guarded = nan_in_nan_out(predict)
    module.signature = traced(rest, guarded, {"waveform": spec}, convolutions=False)
    return module


def _in_float32(model: keras.Model) -> keras.Model:
    """Rebuild a model of any precision to compute in float32, with the same weights."""

    def in_float32(config):
        if isinstance(config, list | tuple):
            return [in_float32(each) for each in config]
        if not isinstance(config, dict):
            return config
        if config.get("class_name") == "DTypePolicy":
            return "float32"
        return {key: in_float32(value) for key, value in config.items()}

    rebuilt = keras.Model.from_config(in_float32(model.get_config()))
    rebuilt.set_weights(model.get_weights())
    return rebuilt


def _own_frequencies(band: np.ndarray) -> tuple[int, int, np.ndarray]:
    """Return the first and behind the last frequency that a band reads, and their weights."""
    at = np.flatnonzero(band)
    first, last = (at[0], at[-1] + 1) if len(at) else (0, 1)
    return first, last, band[first:last]


def _only(model: keras.Model, kind: type):
    (layer,) = [layer for layer in model._flatten_layers() if isinstance(layer, kind)]
    return layer


def _labels_csv(bundle: Bundle) -> str:
    """Return the label set's file, in a multi-label task with one column more, `threshold`."""
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder) / LABELS_FILE
        bundle.labels.to_csv(file)
        plain = file.read_text(encoding="utf-8")
    if bundle.labels.task != MULTI_LABEL:
        return plain
    head, *rows = csv.reader(io.StringIO(plain))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*head, "threshold"])
    writer.writerows([*row, f"{t:.7g}"] for row, t in zip(rows, bundle.thresholds, strict=True))
    return text.getvalue()


def _convert_apart(path: pathlib.Path, folder: str, part: pathlib.Path, quantize: str) -> None:
    command = [sys.executable, "-m", "mmat.export.litert", folder, str(part), quantize]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or [f"status {done.returncode}"])[-1]
        raise InputError(
            f"{path}: TensorFlow Lite cannot hold this model: {reason[:200]}; export a SavedModel"
        )


def convert(folder: str, file: str, quantize: str = "") -> None:
    """Convert a SavedModel in this process; quantize as in `export_tflite`."""
    converter = tf.lite.TFLiteConverter.from_saved_model(folder)
    if quantize:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    pathlib.Path(file).write_bytes(converter.convert())


if __name__ == "__main__":
    convert(*sys.argv[1:])
