import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmat.models.fusion import (
    LATE_WEIGHTS,
    Corrected,
    Fallback,
    L2Toward,
    LateFusion,
    ModalityDropout,
    WherePresent,
    log_odds,
)
from tests.models.layer_checks import check_layer

RNG = np.random.default_rng(0)
CLIPS = [RNG.uniform(0.05, 0.95, (3, 2)).astype("float32") for _ in range(3)]
FRAMES = [RNG.uniform(0.05, 0.95, (3, 5, 2)).astype("float32") for _ in range(3)]
KEEP = np.float32([[1, 1], [1, 0], [0, 1]])
HAS_AUDIO, HAS_VIDEO = np.array([True, True, False]), np.array([True, False, True])


@pytest.mark.parametrize("scores", [CLIPS, FRAMES], ids=["clip", "frame"])
def test_layers(scores):
    check_layer(LateFusion, {"label_rates": [0.1, 0.4]}, [*scores[:2], KEEP])
    check_layer(Corrected, {}, [scores[0], CLIPS[0]])
    check_layer(Fallback, {}, [*scores, HAS_AUDIO, HAS_VIDEO])
    check_layer(ModalityDropout, {"rate": 0.3, "seed": 1}, scores[:2])


def test_where_present_layer():
    check_layer(WherePresent, {}, [CLIPS[0], HAS_AUDIO])


def test_log_odds_are_those_of_the_probability_and_finite_at_the_ends():
    p = np.float32([0.001, 0.25, 0.5, 0.9])
    np.testing.assert_allclose(log_odds(p), np.log(p / (1 - p)), rtol=1e-4)
    ends = np.asarray(log_odds(np.float32([0.0, 1.0])))
    assert np.isfinite(ends).all() and ends[0] < -13 and ends[1] > 13


def fuse(layer, audio, video, keep=(1, 1)):
    inputs = [np.float32([[audio]]), np.float32([[video]]), np.float32([keep])]
    return float(layer(inputs)[0, 0])


def plain(rate):
    """A late fusion in which each branch weighs 1."""
    layer = LateFusion([rate])
    layer.build([(None, 1), (None, 1), (None, 2)])
    layer.set_weights([np.float32([1]), np.float32([1])])
    return layer


@settings(max_examples=30, deadline=None)
@given(
    rate=st.floats(0.05, 0.9),
    heard=st.tuples(st.floats(0.05, 0.95), st.floats(0.05, 0.95)),
    seen=st.tuples(st.floats(0.05, 0.95), st.floats(0.05, 0.95)),
)
def test_the_label_rate_is_counted_once_as_bayes_would(rate, heard, seen):
    """Two independent clues, each told with the rate in it: the joint answer holds it once.

    heard, seen: how likely the clue is with the event and without it.
    """

    def posterior(with_event, without):
        return rate * with_event / (rate * with_event + (1 - rate) * without)

    expected = posterior(heard[0] * seen[0], heard[1] * seen[1])
    assert fuse(plain(rate), posterior(*heard), posterior(*seen)) == pytest.approx(
        expected, abs=1e-3
    )


@pytest.mark.parametrize("rate", [0.01, 0.2, 0.5, 0.9])
def test_two_branches_that_know_the_rate_alone_say_the_rate(rate):
    assert fuse(plain(rate), rate, rate) == pytest.approx(rate, abs=1e-4)


def test_weights_start_where_the_module_says_and_are_one_a_class():
    layer = LateFusion([0.5] * 3)
    layer.build([(None, 3), (None, 3), (None, 2)])
    for weight, start in zip(layer.get_weights(), LATE_WEIGHTS, strict=True):
        np.testing.assert_array_equal(weight, np.float32([start] * 3))
    layer([np.zeros((1, 3), "float32"), np.zeros((1, 3), "float32"), np.ones((1, 2), "float32")])
    assert [float(loss) for loss in layer.losses] == [0, 0]


def test_more_evidence_never_lowers_the_score():
    layer = LateFusion([0.3])
    steps = np.linspace(0.01, 0.99, 25)
    assert (np.diff([fuse(layer, p, 0.4) for p in steps]) > 0).all()
    assert (np.diff([fuse(layer, 0.4, p) for p in steps]) > 0).all()


def test_what_is_not_kept_has_no_say():
    layer = LateFusion([0.3])
    assert len({fuse(layer, p, 0.4, keep=(0, 1)) for p in (0.0, 0.3, 1.0)}) == 1
    assert len({fuse(layer, 0.4, p, keep=(1, 0)) for p in (0.0, 0.3, 1.0)}) == 1
    assert fuse(layer, 0.9, 0.9, keep=(0, 0)) == 0.5


def test_learns_to_trust_the_branch_that_knows():
    rng = np.random.default_rng(1)
    truth = rng.integers(0, 2, (400, 2)).astype("float32")
    guesses = rng.uniform(0.1, 0.9, (400, 2)).astype("float32")
    knowledge = np.where(truth, 0.7, 0.3).astype("float32")
    inputs = [keras.Input((2,)) for _ in range(3)]
    layer = LateFusion([0.5, 0.5], pull=0.01)
    model = keras.Model(inputs, layer(inputs))
    model.compile(keras.optimizers.Adam(0.1), "binary_crossentropy")
    model.fit([guesses, knowledge, np.ones((400, 2))], truth, epochs=10, verbose=0)
    audio_weight, video_weight = layer.get_weights()
    assert (video_weight > 1.5).all() and (abs(audio_weight) < 0.5).all()


def test_pull_is_half_the_mean_squared_distance():
    weights = np.float32([1.0, 3.0])
    assert float(L2Toward(1.0, 0.3)(weights)) == pytest.approx(0.5 * 0.3 * 2.0)
    twin = L2Toward.from_config(L2Toward(1.0, 0.3).get_config())
    assert float(twin(weights)) == pytest.approx(0.3)


def test_no_correction_changes_nothing_and_a_positive_one_raises():
    same = Corrected()([FRAMES[0], np.zeros((3, 2), "float32")])
    np.testing.assert_allclose(same, FRAMES[0], rtol=1e-5)
    raised = Corrected()([FRAMES[0], np.float32([[1, 0]] * 3)])
    assert (np.asarray(raised)[..., 0] > FRAMES[0][..., 0]).all()
    np.testing.assert_allclose(np.asarray(raised)[..., 1], FRAMES[0][..., 1], rtol=1e-5)


@pytest.mark.parametrize("scores", [CLIPS, FRAMES], ids=["clip", "frame"])
def test_fallback_is_exact(scores):
    fused, audio, video = scores
    for has_audio in (True, False):
        for has_video in (True, False):
            flags = [np.full(3, has_audio), np.full(3, has_video)]
            got = np.asarray(Fallback()([fused, audio, video, *flags]))
            expected = {
                (True, True): fused,
                (True, False): audio,
                (False, True): video,
                (False, False): np.zeros_like(fused),
            }[has_audio, has_video]
            np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("rate", [0.0, 0.2, 0.7, 1.0])
def test_modality_dropout_silences_one_as_often_as_asked_and_never_both(rate):
    n_clips = 5000
    scores = np.zeros((n_clips, 2), "float32")
    keep = ModalityDropout(rate, seed=0)([scores, scores], training=True).numpy()
    assert (keep.sum(axis=1) >= 1).all() and set(np.unique(keep)) <= {0.0, 1.0}
    for silenced in (1 - keep).sum(axis=0):
        spread = np.sqrt(n_clips * rate / 2 * (1 - rate / 2))
        assert abs(silenced - n_clips * rate / 2) <= 4 * spread + 1


def test_modality_dropout_keeps_all_outside_of_training():
    scores = np.zeros((50, 2), "float32")
    assert keras.ops.all(ModalityDropout(1.0)([scores, scores]) == 1)
