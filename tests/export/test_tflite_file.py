"""A LiteRT file in the place of a SavedModel: the same tags, at any length, without TensorFlow."""

import concurrent.futures
import os
import subprocess
import sys
import zipfile

import keras
import numpy as np
import pytest

from mmat.cli import main
from mmat.export.archive import FACTS_FILE, members_of
from mmat.export.interpreters import open_interpreter
from mmat.export.tflite_file import TFLiteTagger, squares
from mmat.files import InputError
from mmat.labels import LabelSet
from mmat.models.audio import audio_branch
from mmat.models.bundle import Bundle, load_bundle
from mmat.models.learnt import learnt_models
from mmat.models.ragged import ragged_form
from mmat.tagging.tagger import Tagger
from tests.export.converting import export_tflite_here

pytest_plugins = ["tests.export.tiny", "tests.models.tiny_encoder"]

LABELS = LabelSet.of(["Dog", "Cat, kitten"])


@pytest.fixture(scope="module")
def fused_file(bundles, tmp_path_factory):
    """The LiteRT file of a model of both senses."""
    path = tmp_path_factory.mktemp("a") / "a.tflite"
    return export_tflite_here(load_bundle(bundles["fused"]), path)


@pytest.mark.parametrize("name", ["both.mp4", "sound.mp4", "pictures.mp4", "sound.wav"])
def test_it_tags_as_the_savedmodel_does(fused_file, exports, clips, name):
    lite, graph = Tagger(fused_file), Tagger(exports["fused"])
    assert (lite.inputs, lite.labels, lite.n_frames) == (graph.inputs, graph.labels, 2)
    found, expected = (tagger.tag(clips / name) for tagger in (lite, graph))
    # The sound is a pure tone: what lies far under it is rounding noise in float32.
    np.testing.assert_allclose(found.clip_scores, expected.clip_scores, atol=1e-3)
    np.testing.assert_allclose(found.frame_scores, expected.frame_scores, atol=1e-3)
    assert found.fired.tolist() == expected.fired.tolist()
    assert len(found.pictures) == len(expected.pictures)
    assert (found.has_audio, found.has_video) == (expected.has_audio, expected.has_video)


def test_no_tensorflow_is_imported_where_litert_runs(fused_file, clips):
    pytest.importorskip("ai_edge_litert")
    command = [sys.executable, "tests/programs/tagging_lite.py", fused_file, clips / "both.mp4"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    scores, heavy = done.stdout.split("\n")[:2]
    assert scores.startswith("True True") and heavy == ""
    expected = [f"{tag.score:.5f}" for tag in Tagger(fused_file).tag(clips / "both.mp4").tags]
    assert scores.split()[2:] == expected


def test_tensorflow_runs_the_file_where_litert_is_missing(fused_file, monkeypatch):
    waveform = np.random.default_rng(0).normal(0, 0.1, (1, 30_000, 1)).astype(np.float32)
    expected = TFLiteTagger(fused_file)(waveform)
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
    interpreter = open_interpreter(1, fused_file.read_bytes())
    assert type(interpreter).__module__.startswith("tensorflow")
    tagger = TFLiteTagger(fused_file)
    np.testing.assert_allclose(tagger(waveform)["frame"], expected["frame"], atol=1e-6)


def test_the_command_takes_the_file(fused_file, clips, capsys):
    assert main(["tag", str(clips / "sound.wav"), "--model", str(fused_file)]) == 0
    assert "Dog" in capsys.readouterr().out


@pytest.mark.parametrize("kind", ["head", "learnt"])
def test_models_on_a_frozen_network_are_equal_at_any_length(tiny_encoder, tmp_path, kind):
    if kind == "head":
        model = audio_branch(LABELS, encoder=tiny_encoder)
    else:
        model = learnt_models(LABELS, tiny_encoder).tagger
    bundle = Bundle(model, LABELS, np.float32([0.5, 0.5]), clip_seconds=1.0)
    tagger = TFLiteTagger(export_tflite_here(bundle, tmp_path / "a.tflite"))
    noise = np.random.default_rng(1).normal(0, 0.1, (1, 16_000, 1)).astype(np.float32)
    for n_samples in (1, 1201, 5000, 16_000):
        waveform = noise[:, :n_samples]
        expected = model({"waveform": keras.ops.convert_to_tensor(waveform)})
        found = tagger(waveform)
        for output in ("clip", "frame"):
            assert found[output].shape == expected[output].shape
            np.testing.assert_allclose(found[output], expected[output], atol=1e-5)


def test_a_model_of_another_make_has_no_ragged_form():
    waveform = keras.Input((None, 1), name="waveform")
    mean = keras.layers.GlobalAveragePooling1D()(waveform)
    model = keras.Model({"waveform": waveform}, {"clip": mean, "frame": waveform}, name="audio")
    assert ragged_form(Bundle(model, LabelSet.of(["Dog"]), [0.5])) is None


def test_pictures_of_any_size_are_squeezed_to_squares():
    wide = np.repeat(np.arange(8, dtype=np.uint8), 2)[None, None, :, None] * np.ones((1, 4, 1, 3))
    found = squares(wide.astype(np.uint8), 4)
    assert found.shape == (1, 4, 4, 3) and (np.diff(found[0, 0, :, 0].astype(int)) > 0).all()


def test_another_number_of_pictures_is_one_line(fused_file):
    tagger = TFLiteTagger(fused_file)
    yes, waveform = np.array([True]), np.zeros((1, 1600, 1), np.float32)
    frames = np.zeros((1, 3, 8, 8, 3), np.uint8)
    with pytest.raises(InputError, match=r"takes image_probabilities \(1, 2, 1000\)") as error:
        tagger.serve(waveform=waveform, frames=frames, has_audio=yes, has_video=yes)
    assert "\n" not in str(error.value)


def test_damage_of_any_part_that_is_read_is_one_line(fused_file, clips, tmp_path, capsys):
    content, path = fused_file.read_bytes(), tmp_path / "a.tflite"
    with members_of(content) as archive:
        members = archive.infolist()
    n_network = min(member.header_offset for member in members)
    in_network = range(0, n_network - 64, n_network // 8)  # none reaches into the members
    in_members = [
        each.header_offset + 30 + len(each.filename) + each.compress_size // 2
        for each in members
        if each.filename not in ("README.md", "labels.csv")  # which are for people
    ]
    for at in [*in_network, *in_members]:
        damaged = bytearray(content)
        damaged[at : at + 64] = (byte ^ 255 for byte in damaged[at : at + 64])
        path.write_bytes(damaged)
        with pytest.raises(InputError, match="copy or export it again") as error:
            TFLiteTagger(path)
        assert "\n" not in str(error.value)
        assert ("its network is damaged" in str(error.value)) == (at in in_network)
    path.write_bytes(content[:1000] + bytes(1000) + content[2000:])
    assert main(["tag", str(clips / "sound.wav"), "--model", str(path)]) == 2
    said = capsys.readouterr().err
    assert "a.tflite: " in said and "its network is damaged" in said and said.count("\n") == 1


@pytest.mark.parametrize("facts", ["5", "[]", '{"format": []}', '{"format": 1, "labels": 5}'])
def test_facts_of_another_kind_are_one_line(fused_file, tmp_path, facts):
    content, path = fused_file.read_bytes(), tmp_path / "a.tflite"
    with members_of(content) as archive:
        n_network = min(member.header_offset for member in archive.infolist())
    path.write_bytes(content[:n_network])
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(FACTS_FILE, facts)
    with pytest.raises(InputError, match="no TensorFlow Lite file of a tagger: "):
        TFLiteTagger(path)


def test_every_part_of_a_file_is_of_one_reading(fused_file, clips):
    reading, writing = os.pipe()  # which gives what is in it but once
    with concurrent.futures.ThreadPoolExecutor(1) as threads, open(reading, "rb"):
        threads.submit(write_and_close, writing, fused_file.read_bytes())
        taggers = Tagger(fused_file), Tagger.asking(TFLiteTagger(f"/dev/fd/{reading}"))
    expected, found = (tagger.tag(clips / "both.mp4") for tagger in taggers)
    np.testing.assert_allclose(found.frame_scores, expected.frame_scores, atol=1e-5)
    assert found.labels == expected.labels and len(found.pictures) == len(expected.pictures) > 0


def write_and_close(file: int, content: bytes) -> None:
    with open(file, "wb") as pipe:
        pipe.write(content)


def test_a_file_that_changes_or_goes_is_still_answered_from(fused_file, tmp_path):
    path = tmp_path / "a.tflite"
    path.write_bytes(fused_file.read_bytes())
    tagger = TFLiteTagger(path, threads=2)
    waveform = np.random.default_rng(0).normal(0, 0.1, (1, 30_000, 1)).astype(np.float32)
    expected = tagger(waveform)["clip"]
    path.unlink()
    with concurrent.futures.ThreadPoolExecutor(4) as threads:
        found = list(threads.map(lambda _: tagger(waveform)["clip"], range(16)))
    assert all((each == expected).all() for each in found)
