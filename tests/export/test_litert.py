"""The TensorFlow Lite file: its own log-mel, what lies in it, what is refused, the command."""

import contextlib
import csv
import io
import pathlib
import re
import zipfile

import numpy as np
import pytest
import tensorflow as tf

from mmat.cli import main
from mmat.export.interpreters import open_interpreter
from mmat.export.litert import INT8, _converted, export_tflite, measure_tflite
from mmat.export.savedmodel import Served
from mmat.export.tflite_file import TFLiteTagger
from mmat.files import InputError
from mmat.labels import MULTI_CLASS, MULTI_LABEL, LabelSet, regression
from mmat.metrics.decisions import decide
from mmat.models.audio import SPEECH_BLOCKS, audio_branch
from mmat.models.bundle import Bundle, load_bundle, save_bundle
from mmat.models.features import SPEECH_MEL
from tests.export.converting import export_tflite_here
from tests.models.test_features import SIGNALS
from tests.tagging.levels import CLASSES, VALUES

pytest_plugins = ["tests.export.tiny", "tests.models.tiny_encoder"]

LABELS = LabelSet(("Dog", "Cat, kitten"), ("/m/0bt9lr", ""), (("hound",), ()))


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> tuple[Bundle, pathlib.Path, str]:
    """A model that computes in low precision, the command's file of it, and what was printed."""
    folder = tmp_path_factory.mktemp("made")
    model = audio_branch(len(LABELS), dtype="mixed_bfloat16")
    bundle = Bundle(model, LABELS, np.float32([0.0, 1.0]), clip_seconds=1.0)
    save_bundle(folder / "bundle", bundle)
    file = folder / "tagger.tflite"
    argv = ["export", folder / "bundle", "--out", file, "--format", "tflite"]
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        assert main([str(each) for each in argv]) == 0
    return bundle, file, printed.getvalue()


def test_it_predicts_and_uses_nothing_but_built_in_operations(made):
    bundle, file, _ = made
    tagger = TFLiteTagger(file)
    ops = open_interpreter(1, file.read_bytes())._get_ops_details()
    assert not [x for x in ops if x["op_name"].startswith("Flex")]
    waveform = SIGNALS["noise"][:16000].astype(np.float32)[None, :, None]
    found, expected = tagger(waveform), bundle.model.predict({"waveform": waveform}, verbose=0)
    assert found["fired"].tolist() == [[True, False]]
    for name in ("clip", "frame"):
        assert found[name].shape == expected[name].shape
        np.testing.assert_allclose(found[name], expected[name], atol=2e-2)  # of bfloat16


def test_the_command_prints_path_size_time_and_parity(made):
    _, file, printed = made
    path, figures = printed.splitlines()
    megabytes, of_keras = re.fullmatch(
        r"(\S+) MB, \d+ ms for 1 s on one thread, scores within (\S+) of Keras", figures
    ).groups()
    assert path == str(file) and float(of_keras) < 2e-2
    assert abs(float(megabytes) - file.stat().st_size / 1e6) < 0.06


def test_labels_thresholds_and_card_lie_inside(made):
    with zipfile.ZipFile(made[1]) as archive:
        rows = list(csv.DictReader(io.StringIO(archive.read("labels.csv").decode())))
        card = archive.read("README.md").decode()
    assert [(row["display_name"], float(row["threshold"])) for row in rows] == [
        ("Dog", 0.0),
        ("Cat, kitten", 1.0),
    ]
    assert rows[0]["mid"] == "/m/0bt9lr" and rows[0]["synonyms"] == "hound"
    assert "(1, 16000, 1)" in card and "## Intended use" in card and "image network" not in card


@pytest.mark.parametrize(
    ("labels", "how"),
    [
        (CLASSES, {"mel": SPEECH_MEL, "blocks": SPEECH_BLOCKS, "ragged": True}),
        (VALUES, {}),
    ],
    ids=["classes of speech, ragged", "values"],
)
def test_other_tasks_are_predicted_as_keras_does(labels, how, tmp_path):
    model = audio_branch(len(labels), task=labels.task, **how)
    bundle = Bundle(model, labels, np.ones(len(labels), np.float32), clip_seconds=1.0)
    file = export_tflite_here(bundle, tmp_path / "a.tflite")
    assert measure_tflite(file, bundle, rounds=1).largest_deviation < 1e-5
    waveform = SIGNALS["noise"][:16000].astype(np.float32)[None, :, None]
    found = TFLiteTagger(file)(waveform)
    decided = decide(labels.task, found["clip"], bundle.thresholds)
    np.testing.assert_array_equal(found["fired"], decided)
    with zipfile.ZipFile(file) as archive:
        archive.extract("labels.csv", tmp_path)
        card = archive.read("README.md").decode()
    assert LabelSet.from_csv(tmp_path / "labels.csv") == labels
    assert "thresholds and" not in card and f"- {labels.names[0]}\n" in card


def test_what_cannot_be_made_is_one_line(bundles, tmp_path):
    with pytest.raises(InputError, match="it hears nothing") as error:
        export_tflite(load_bundle(bundles["video"]), tmp_path / "x.tflite")
    assert "\n" not in str(error.value)
    with pytest.raises(InputError, match="end it in .tflite"):
        export_tflite(load_bundle(bundles["audio"]), tmp_path / "folder")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("shape", [(1, 0, 1), (1, 32000, 1), (16000,), (2, 16000, 1)], ids=str)
def test_a_waveform_of_another_length_or_form_is_one_line(made, shape):
    tagger = TFLiteTagger(made[1])
    reason = r"takes a waveform \(1, 16000, 1\), up to 1 s at 16000 Hz, and was given .*windows"
    with pytest.raises(InputError, match=reason) as error:
        tagger(np.zeros(shape, np.float32))
    assert str(made[1]) in str(error.value) and "\n" not in str(error.value)
    assert tagger(np.zeros((1, 16000, 1), np.float32))["clip"].shape == (1, 2)


def test_a_waveform_of_another_type_is_one_line(made):
    with pytest.raises(InputError, match=r"takes float32 in \[-1, 1\], and was given int16"):
        TFLiteTagger(made[1])(np.zeros((1, 16000, 1), np.int16))


@pytest.mark.parametrize("content", [b"", b"no such file at all", None])
def test_what_is_no_such_file_is_one_line(tmp_path, content):
    path = tmp_path / "a.tflite"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match="a.tflite: no TensorFlow Lite file of a tagger") as error:
        TFLiteTagger(path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("task", "quantize", "largest"),
    [(MULTI_LABEL, INT8, 2e-2), (MULTI_CLASS, "", 1e-5), (regression(-3, 3), "", 1e-5)],
    ids=str,
)
def test_a_model_of_one_class_becomes_a_file_too(task, quantize, largest, tmp_path):
    labels = LabelSet(("Dog",), task=task)
    bundle = Bundle(audio_branch(labels), labels, np.float32([0.5]), clip_seconds=1.0)
    file = export_tflite_here(bundle, tmp_path / "a.tflite", quantize)
    assert measure_tflite(file, bundle, rounds=1).largest_deviation < largest
    found = TFLiteTagger(file)(np.zeros((1, 16000, 1), np.float32))
    assert found["clip"].shape == found["fired"].shape == (1, 1)


def test_quantize_is_for_tflite_alone(bundles, tmp_path, capsys):
    argv = ["export", str(bundles["audio"]), "--out", str(tmp_path / "x"), "--quantize", "int8"]
    assert main(argv) == 2
    assert "needs --format tflite" in capsys.readouterr().err


def test_a_converter_that_fails_is_one_line(tmp_path):
    module = tf.Module()
    spec = tf.TensorSpec((4, 4), tf.complex64)
    module.f = tf.function(tf.signal.ifft2d, input_signature=[spec])
    served = Served({"serving_default": module.f}, module)
    with pytest.raises(InputError, match="cannot hold this model") as error:
        _converted(tmp_path / "x.tflite", [served], "")
    assert "\n" not in str(error.value) and not list(tmp_path.iterdir())
