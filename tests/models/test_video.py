import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmat.models.evidence import Sharpened, Thresholded, similarity_weighted, top_label
from mmat.models.pooling import max_pooling, mean_pooling
from mmat.models.video import Calibration, HoldFrames, LabelMap, video_branch
from tests.compiling import compile_for_clips
from tests.models.layer_checks import check_layer

SIMILARITIES = np.random.default_rng(1).uniform(-0.2, 1, (6, 3)).astype("float32")
WAYS = [top_label, similarity_weighted, Sharpened(4.0), Thresholded(0.3)]


def some_probabilities(n_clips, n_frames, n_labels=6, seed=0):
    rng = np.random.default_rng(seed)
    return rng.dirichlet(np.ones(n_labels), (n_clips, n_frames)).astype("float32")


def scores_of(model, probabilities):
    answer = model({"image_probabilities": probabilities}, training=False)
    return {name: value.numpy() for name, value in answer.items()}


@pytest.mark.parametrize("evidence", WAYS)
def test_label_map_layer(evidence):
    kwargs = {"similarities": SIMILARITIES, "evidence": evidence}
    check_layer(LabelMap, kwargs, some_probabilities(2, 4))


def test_calibration_layer():
    check_layer(Calibration, {}, some_probabilities(2, 4))


def test_hold_frames_layer():
    frames = some_probabilities(2, 4)
    check_layer(HoldFrames, {"n_steps": 10}, frames)
    check_layer(HoldFrames, {}, [frames, np.zeros((2, 9, 7), "float32")])


@settings(max_examples=40, deadline=None)
@given(n_frames=st.integers(1, 12), n_steps=st.integers(1, 60))
def test_hold_frames_equals_a_loop(n_frames, n_steps):
    frames = some_probabilities(2, n_frames)
    expected = np.zeros((2, n_steps, 6), "float32")
    for step in range(n_steps):
        time = (
            step / n_steps
        )  # where the step starts, in the clip; frame i holds from i/n to (i+1)/n
        shown = next(i for i in range(n_frames) if step * n_frames < (i + 1) * n_steps)
        assert shown / n_frames <= time + 1e-9
        expected[:, step] = frames[:, shown]
    np.testing.assert_array_equal(HoldFrames(n_steps)(frames), expected)
    reference = np.zeros((2, n_steps, 1), "float32")
    np.testing.assert_array_equal(HoldFrames()([frames, reference]), expected)


@pytest.mark.parametrize("slope", [0.3, 1.0, 2.5])
def test_calibration_rises_with_the_evidence(slope):
    layer = Calibration()
    layer.build((None, 1))
    layer.set_weights([np.float32([slope]), np.float32([0.7])])
    evidence = np.linspace(0, 1, 200, dtype="float32")[:, None]
    scores = np.asarray(layer(evidence))[:, 0]
    assert (np.diff(scores) > 0).all() and (scores > 0).all() and (scores < 1).all()
    expected = 1 / (1 + np.exp(-(slope * np.log(evidence[:, 0].astype("float64") + 1e-3) + 0.7)))
    np.testing.assert_allclose(scores, expected, rtol=1e-4)


def test_the_map_is_no_parameter():
    model = video_branch(3, similarities=SIMILARITIES)
    assert not model.get_layer("label_map").trainable_variables
    assert sum(np.prod(variable.shape) for variable in model.trainable_variables) == 2 * 3


@pytest.mark.parametrize("evidence", WAYS)
def test_without_training_the_score_is_the_evidence(evidence):
    model = video_branch(3, similarities=SIMILARITIES, evidence=evidence, calibrated=False)
    assert not model.trainable_variables
    probabilities = some_probabilities(3, 8)
    expected = np.asarray(evidence(probabilities, SIMILARITIES))
    scores = scores_of(model, probabilities)
    np.testing.assert_allclose(scores["clip"], expected.mean(axis=1), atol=1e-6)
    assert scores["frame"].shape == (3, 100, 3)
    np.testing.assert_allclose(scores["frame"][:, ::25], expected[:, ::2], atol=1e-6)


@pytest.mark.parametrize("pooling", [max_pooling, mean_pooling])
@pytest.mark.parametrize("n_frames", [1, 3, 8])
def test_any_number_of_frames_pooled_as_asked(pooling, n_frames):
    model = video_branch(3, similarities=SIMILARITIES, pooling=pooling, clip_seconds=4.8)
    scores = scores_of(model, some_probabilities(2, n_frames))
    assert scores["frame"].shape == (2, 48, 3)
    inputs = {"image_probabilities": some_probabilities(2, n_frames)}
    frames = keras.Model(model.input, model.get_layer("calibration").output)(inputs).numpy()
    best = frames.max(axis=1) if pooling is max_pooling else frames.mean(axis=1)
    np.testing.assert_allclose(scores["clip"], best, atol=1e-6)


def test_learns_offset_and_slope_from_weak_labels_and_leaves_the_map_alone():
    keras.utils.set_random_seed(0)
    model = video_branch(2, similarities=np.eye(4, 2), evidence=Sharpened(1.0))
    probabilities = some_probabilities(256, 4, n_labels=4)
    truth = (probabilities[..., :2].mean(axis=1) > 0.3).astype("float32")
    compile_for_clips(model, keras.optimizers.Adam(0.1))
    inputs, targets = {"image_probabilities": probabilities}, {"clip": truth}
    before = model.evaluate(inputs, targets, verbose=0)
    model.fit(inputs, targets, epochs=15, verbose=0)
    after = model.evaluate(inputs, targets, verbose=0)
    assert np.ravel(after)[0] < 0.8 * np.ravel(before)[0]
    np.testing.assert_array_equal(model.get_layer("label_map").map, np.eye(4, 2))
