"""ONNX files: the SavedModel's answers without TensorFlow, what lies in them, what is refused."""

import dataclasses
import json
import pathlib
import re
import subprocess
import sys

import keras
import numpy as np
import onnxruntime
import pytest
import tensorflow as tf

from mmat.cli import main
from mmat.export.onnx import OPSET, export_onnx, measure_onnx
from mmat.export.savedmodel import serve
from mmat.files import InputError
from mmat.labels import MULTI_CLASS, MULTI_LABEL, LabelSet, regression
from mmat.metrics.thresholds import NEVER_FIRES
from mmat.models.audio import SPEECH_BLOCKS, audio_branch
from mmat.models.bundle import Bundle, load_bundle
from mmat.models.features import SPEECH_MEL
from mmat.models.learnt import learnt_models
from mmat.models.names import zero_shot_bundle
from mmat.pretrained.registry import yamnet
from tests.export.converting import export_onnx_here
from tests.processes import mmat_command, run_process, user_environment

pytest_plugins = ["tests.export.tiny", "tests.models.tiny_encoder"]

LABELS = LabelSet.of(["Dog", "Cat, kitten"])
KINDS = ["crnn", "fused", "head", "learnt", "names", "classes", "values"]
UNTRAINED = ["Dog", "Siren", "Quarterly tax return"]
N_SAMPLES = (1, 400, 5000, 16_000, 40_000)  # a patch of YAMNet's has 15,600


def waveforms() -> dict[str, np.ndarray]:
    noise = np.random.default_rng(1).normal(0, 0.1, (1, max(N_SAMPLES), 1)).astype(np.float32)
    broken = noise[:, :16_000].copy()
    broken[0, 100] = np.nan
    return {str(n): noise[:, :n] for n in N_SAMPLES} | {"broken": broken}


def bundle_of(kind: str, bundles, tiny_encoder) -> Bundle:
    if kind in ("crnn", "fused"):
        return load_bundle(bundles["audio" if kind == "crnn" else kind])
    if kind == "names":
        return zero_shot_bundle(LabelSet.of(UNTRAINED))
    labels, how = LABELS, {}
    if kind == "classes":
        labels = LabelSet(LABELS.names, task=MULTI_CLASS)
        how = {"mel": SPEECH_MEL, "blocks": SPEECH_BLOCKS, "ragged": True}
    if kind == "values":
        labels = LabelSet(LABELS.names, task=regression(-3, 3))
    if kind == "head":
        how = {"encoder": yamnet}
    if kind == "learnt":
        model = learnt_models(labels, tiny_encoder).tagger
    else:
        model = audio_branch(labels, **how)
    return Bundle(model, labels, np.float32([0.0, 1.0]), clip_seconds=1.0)


@pytest.fixture(scope="module")
def by_command(bundles, tmp_path_factory) -> tuple[pathlib.Path, str, str]:
    """The command's file of a model of sound, what was printed, and what on standard error."""
    file = tmp_path_factory.mktemp("command") / "a.onnx"
    command = mmat_command("export", bundles["audio"], "--out", file, "--format", "onnx")
    done = run_process(command, user_environment())
    assert done.returncode == 0, done.stderr
    return file, done.stdout, done.stderr


@pytest.fixture(scope="module")
def made(bundles, tiny_encoder, by_command, tmp_path_factory) -> dict[str, tuple]:
    """By kind: the bundle, its file, and what another process found of `waveforms`."""
    folder = tmp_path_factory.mktemp("onnx")
    np.savez(folder / "waveforms.npz", **waveforms())
    made = {kind: bundle_of(kind, bundles, tiny_encoder) for kind in KINDS}
    files = {"crnn": by_command[0]}
    for kind in KINDS[1:]:
        files[kind] = folder / f"{kind}.onnx"
        if kind != "names":
            export_onnx_here(made[kind], files[kind])
    argv = ["export", "--labels", ";".join(UNTRAINED), "--out", str(files["names"])]
    assert main([*argv, "--format", "onnx"]) == 0
    words = [(files[kind], folder / "waveforms.npz", folder / f"{kind}.npz") for kind in KINDS]
    command = [sys.executable, "tests/programs/tagging_onnx.py", *sum(words, ())]
    subprocess.run(command, check=True, timeout=300)
    return {
        kind: (made[kind], files[kind], dict(np.load(folder / f"{kind}.npz"))) for kind in KINDS
    }


@pytest.mark.parametrize("kind", KINDS)
def test_onnx_runtime_answers_as_the_savedmodel_does(made, kind):
    bundle, _, found = made[kind]
    served = serve(bundle)
    for n in N_SAMPLES:
        expected = served.signatures["audio_only"](waveform=tf.constant(waveforms()[str(n)]))
        kept = {name: x for name, x in expected.items() if name != "image_probabilities"}
        assert {key.split()[1] for key in found if key.startswith(f"{n} ")} == set(kept)
        for name, x in kept.items():
            there = found[f"{n} {name}"]
            assert there.shape == x.shape and there.dtype == x.dtype.as_numpy_dtype
            np.testing.assert_allclose(there, x, atol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_a_sample_that_is_no_number_makes_every_score_none(made, kind):
    found = made[kind][2]
    for name in ("clip", "frame"):
        assert np.isnan(found[f"broken {name}"]).all() and np.isfinite(found[f"5000 {name}"]).all()
    assert not found["broken fired"].any()


def test_pictures_are_taken_as_keras_takes_them(made):
    bundle, file, _ = made["fused"]
    given = {
        "waveform": waveforms()["16000"],
        "image_probabilities": np.random.default_rng(0).dirichlet(np.ones(1000), (1, 3)),
        "has_audio": np.array([True]),
        "has_video": np.array([True]),
    }
    given["image_probabilities"] = given["image_probabilities"].astype(np.float32)
    names = ["clip", "frame", "video", "video_frame"]
    found = onnxruntime.InferenceSession(file).run(names, given)
    expected = bundle.model.predict(given, verbose=0)
    assert expected["video"].any()
    for name, x in zip(names, found, strict=True):
        np.testing.assert_allclose(x, expected[name], atol=1e-4)


def test_what_belongs_to_a_model_lies_in_its_metadata(made):
    facts = {kind: json.loads(found["facts"].item()) for kind, (_, _, found) in made.items()}
    said = {key: json.loads(x) for key, x in facts["names"].items() if key != "card"}
    assert said == {
        "labels": ["Dog", "Siren", "Quarterly tax return"],
        "thresholds": [*map(float, made["names"][0].thresholds[:2]), float(NEVER_FIRES)],
        "task": str(MULTI_LABEL),
        "clip_seconds": 10.0,
        "sample_rate_hz": 16_000,
        "frame_hz": 10,
    }
    assert [json.loads(facts[kind]["task"]) for kind in ("classes", "values")] == [
        "multi-class",
        "regression -3 3",
    ]
    card = facts["head"]["card"]
    assert "ONNX file" in card and "YAMNet" in card and "LiteRT" not in card


def test_the_command_prints_path_size_opset_and_parity(by_command):
    file, printed, said = by_command
    path, figures = printed.splitlines()
    megabytes, opset, of_keras = re.fullmatch(
        r"(\S+) MB, opset (\d+), scores within (\S+) of Keras", figures
    ).groups()
    assert (path, int(opset)) == (str(file), OPSET) and 0 < float(of_keras) < 1e-4
    assert abs(float(megabytes) - file.stat().st_size / 1e6) < 0.06
    assert said == ""  # of TensorFlow's own lines as well


def test_another_model_is_far_from_it(made, tmp_path):
    _, file, _ = made["values"]
    other = made["classes"][0]
    assert measure_onnx(file, other).largest_deviation > 0.01


def test_what_cannot_be_made_is_one_line(bundles, tmp_path):
    for kind, name, reason in [
        ("video", "a.onnx", "hears nothing"),
        ("audio", "a.tflite", "end it in .onnx"),
    ]:
        with pytest.raises(InputError, match=reason) as error:
            export_onnx(load_bundle(bundles[kind]), tmp_path / name)
        assert "\n" not in str(error.value)
    assert not list(tmp_path.iterdir())


def test_a_model_that_onnx_cannot_hold_is_one_line(bundles, tmp_path):
    bundle = load_bundle(bundles["audio"])
    waveform = bundle.model.input["waveform"]
    words = keras.layers.Lambda(lambda x: tf.strings.length(tf.strings.as_string(x[:, :2, 0])))
    clip = keras.ops.cast(words(waveform), "float32")
    model = keras.Model(
        {"waveform": waveform}, bundle.model({"waveform": waveform}) | {"clip": clip}
    )
    with pytest.raises(
        InputError, match=r"a\.onnx: ONNX cannot hold this model: .+; export a "
    ) as e:
        export_onnx(dataclasses.replace(bundle, model=model), tmp_path / "a.onnx")
    assert "\n" not in str(e.value) and not list(tmp_path.iterdir())


@pytest.mark.parametrize("package", ["tf2onnx", "onnx"])
def test_a_missing_package_is_one_line(bundles, tmp_path, monkeypatch, capsys, package):
    monkeypatch.setitem(sys.modules, package, None)
    argv = ["export", bundles["audio"], "--out", tmp_path / "a.onnx", "--format", "onnx"]
    assert main([str(each) for each in argv]) == 2
    said = capsys.readouterr().err
    assert "pip install 'mmat[onnx]'" in said and said.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_a_missing_runtime_is_one_line(made, monkeypatch):
    bundle, file, _ = made["values"]
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(InputError, match=r"pip install 'mmat\[onnx\]'"):
        measure_onnx(file, bundle)
