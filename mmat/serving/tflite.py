"""The audio side of a bundle becomes one TensorFlow Lite file, for a phone or a small computer.

Signature `serving_default`, input `waveform` float32 `(1, samples, 1)`: one clip of the length
that the model was trained with, 16 kHz mono in [-1, 1]. Outputs: `clip` float32 and `fired` bool
`(1, classes)`, `frame` float32 `(1, time, classes)` at 10 Hz.

The file is a zip archive too, as TensorFlow's own metadata has it: `labels.csv` in it has the
labels and their thresholds, or their task if it has none; `README.md` is the model card.
"""

import csv
import io
import os
import pathlib
import subprocess
import sys
import tempfile
import zipfile

import keras
import tensorflow as tf

from mmat.data.media import SAMPLE_RATE_HZ
from mmat.errors import InputError, atomic_path
from mmat.models.bundle import LABELS_FILE, Bundle
from mmat.models.pretrained.audio_hub import HubAudioEncoder
from mmat.serving.card import model_card
from mmat.serving.served import traced, whole_length
from mmat.serving.served_decision import decided
from mmat.serving.tflite_mel import tflite_log_mel
from mmat.tasks import MULTI_LABEL

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
    answer = _audio_answer(bundle)
    with atomic_path(path) as part, tempfile.TemporaryDirectory() as folder:
        tf.saved_model.save(answer, folder, signatures=answer.signature)
        _convert(path, folder, part, quantize)
        with zipfile.ZipFile(part, "a") as archive:
            archive.writestr(LABELS_FILE, _labels_csv(bundle))
            archive.writestr("README.md", model_card(bundle))
    return path


def _audio_answer(bundle: Bundle) -> tf.Module:
    """Return a module whose `signature` answers for one clip, with the front end replaced."""
    branch = audio_side(bundle.model)
    normalization = branch.get_layer("band_normalization")
    outputs = {name: branch.output[name] for name in ("clip", "frame")}
    lengths = [x for name, x in branch.input.items() if name == "n_samples"]
    rest = _in_float32(keras.Model([normalization.input, *lengths], outputs))
    n_samples = round(bundle.clip_seconds * SAMPLE_RATE_HZ)
    log_mel = tflite_log_mel(branch, n_samples)

    def answer(waveform):
        lengths = whole_length(branch, {"waveform": waveform}).values()
        outputs = rest([log_mel(waveform), *lengths], training=False)
        fired = decided(bundle.labels.task, outputs["clip"], bundle.thresholds)
        return outputs | {"fired": fired}

    module = tf.Module()
    # The variables alone: given the Keras model, the converter does not find their values.
    module.tracked = [variable.value for variable in rest.variables]
    spec = tf.TensorSpec((1, n_samples, 1), tf.float32, "waveform")
    module.signature = traced(rest, answer, {"waveform": spec}, convolutions=False)
    return module


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


def _convert(path: pathlib.Path, folder: str, part: pathlib.Path, quantize: str) -> None:
    command = [sys.executable, "-m", "mmat.serving.tflite_convert", folder, str(part), quantize]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or [f"status {done.returncode}"])[-1]
        raise InputError(
            f"{path}: TensorFlow Lite cannot hold this model: {reason[:200]}; export a SavedModel"
        )


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
