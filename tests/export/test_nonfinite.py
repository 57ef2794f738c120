"""Clips that hold NaN or an infinity, among others."""

import numpy as np
import pytest
import tensorflow as tf

from mmat.export.litert import TFLiteTagger
from mmat.export.nonfinite import nan_in_nan_out
from mmat.export.savedmodel import export_saved_model, serve
from mmat.labels import MULTI_CLASS, MULTI_LABEL, LabelSet, regression
from mmat.models.audio import audio_branch
from mmat.models.bundle import Bundle, load_bundle
from tests.export.converting import export_tflite_here

pytest_plugins = ["tests.export.tiny"]

BAD = [np.nan, np.inf, -np.inf]
TASKS = [MULTI_LABEL, MULTI_CLASS, regression(-3, 3)]


def bundle_of(task, **how) -> Bundle:
    labels = LabelSet(("Dog", "Cat"), task=task)
    return Bundle(audio_branch(labels, **how), labels, np.float32([0.0, 0.5]), clip_seconds=1.0)


def noise(n_clips: int) -> np.ndarray:
    return np.random.default_rng(0).normal(0, 0.1, (n_clips, 16000, 1)).astype(np.float32)


def check(found, expected, bad) -> None:
    """Bad clips have NaN and fire nothing, the others what they have without them."""
    good = [i for i in range(len(expected["clip"])) if i not in bad]
    assert good
    for name, output in expected.items():
        output = output.numpy()
        np.testing.assert_array_equal(found[name].numpy()[good], output[good], err_msg=name)
        wrong = found[name].numpy()[bad]
        assert wrong.size and (~wrong if output.dtype == bool else np.isnan(wrong)).all(), name


@pytest.mark.parametrize("task", TASKS, ids=str)
def test_such_a_clip_gets_nan_and_its_neighbours_what_they_get_without_it(task):
    predict = serve(bundle_of(task)).signatures["audio_only"]
    waveform = noise(4)
    expected = predict(waveform=tf.constant(waveform))
    assert all(np.isfinite(expected[name]).all() for name in ("clip", "frame"))
    for bad in BAD:
        spoilt = waveform.copy()
        spoilt[1, 7], spoilt[3, -1] = bad, bad
        check(predict(waveform=tf.constant(spoilt)), expected, [1, 3])


def test_an_export_does_so_too(tmp_path):
    folder = export_saved_model(bundle_of(MULTI_LABEL, dtype="mixed_bfloat16"), tmp_path / "a")
    model = tf.saved_model.load(str(folder))  # without it its signature has no variables
    predict, spoilt = model.signatures["serving_default"], noise(3)
    expected = predict(waveform=tf.constant(spoilt))
    spoilt[0] = np.nan
    check(predict(waveform=tf.constant(spoilt)), expected, [0])
    card = " ".join((folder / "README.md").read_text().split())
    assert "NaN or infinite gets NaN for every number, and nothing fires" in card


def test_what_a_clip_has_not_may_hold_anything(bundles):
    predict = serve(load_bundle(bundles["fused"])).signatures["serving_default"]
    inputs = {
        "waveform": noise(3),
        "frames": np.random.default_rng(1).integers(0, 256, (3, 1, 9, 9, 3), np.uint8),
        "has_audio": np.array([True, False, True]),
        "has_video": np.array([True, True, False]),
    }

    def found(**changed):
        return predict(**{name: tf.constant(x) for name, x in (inputs | changed).items()})

    spoilt = inputs["waveform"].copy()
    spoilt[1:, 100] = np.nan
    check(found(waveform=spoilt), found(), [2])


def test_probabilities_of_pictures_are_watched_too():
    scores = nan_in_nan_out(lambda image_probabilities, has_video: {"clip": image_probabilities})
    given = np.float32([[[0.5, 0.5]], [[np.nan, 0.5]], [[np.inf, 0.0]]])
    found = scores(
        image_probabilities=tf.constant(given), has_video=tf.constant([True, True, False])
    )["clip"].numpy()
    assert found[0].tolist() == [[0.5, 0.5]] and np.isnan(found[1]).all()
    assert found[2].tolist() == [[0.0, 0.0]]


def test_a_tensorflow_lite_file_does_so_too(tmp_path):
    file = export_tflite_here(bundle_of(regression(-3, 3)), tmp_path / "a.tflite")
    tagger = TFLiteTagger(file)
    good = tagger(noise(1))
    assert np.isfinite(good["clip"]).all() and good["fired"].all()
    for bad in BAD:
        spoilt = noise(1)
        spoilt[0, 100] = bad
        found = tagger(spoilt)
        assert np.isnan(found["clip"]).all() and np.isnan(found["frame"]).all()
        assert not found["fired"].any()
    np.testing.assert_array_equal(tagger(noise(1))["clip"], good["clip"])
