"""Thresholds: every step against a plain loop, the end against every single shared threshold."""

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis.extra import numpy as arrays

from mmat.files import InputError
from mmat.metrics import tagging, thresholds

# Few values, so that ties are common; neighbouring floats, between which there is no middle.
VALUES = [0.0, 0.125, 0.25, 0.5, float(np.nextafter(np.float32(0.5), np.float32(1))), 0.75, 1.0]

pytestmark = pytest.mark.filterwarnings("ignore:no clip of the truth")


def clips(max_clips=10, max_classes=4):
    shapes = st.tuples(st.integers(1, max_clips), st.integers(1, max_classes))
    elements = st.one_of(st.sampled_from(VALUES), st.floats(0, 1, width=32))
    return shapes.flatmap(
        lambda s: st.tuples(arrays.arrays(bool, s), arrays.arrays(np.float32, s, elements=elements))
    )


def micro_f1(truth, fired):
    return tagging.precision_recall_f1(truth, fired).f1


def plain_decisions(scores):
    """Every way a threshold can cut the scores of one class, the fewest fired first."""
    levels = sorted(set(scores.ravel().tolist()), reverse=True)
    return [np.zeros(scores.shape, bool), *(scores >= level for level in levels)]


def plain_ascent(truth, scores, fired):
    """Coordinate ascent as a plain loop over all candidates; returns the decisions."""
    best = micro_f1(truth, fired)
    moved = True
    while moved:
        moved = False
        for c in range(truth.shape[1]):
            for decision in plain_decisions(scores[:, c]):
                trial = fired.copy()
                trial[:, c] = decision
                if micro_f1(truth, trial) > best:
                    fired, best, moved = trial, micro_f1(truth, trial), True
    return fired


@given(clips())
@example((np.array([[True], [False]]), np.array([[1.0], [1.0]], np.float32)))
def test_the_ascent_equals_a_plain_loop_over_all_candidates(pair):
    truth, scores = pair
    none = np.zeros_like(truth)
    shared = max(plain_decisions(scores), key=lambda fired: micro_f1(truth, fired))
    ends = [plain_ascent(truth, scores, start) for start in (none, shared)]
    expected = max(ends, key=lambda fired: micro_f1(truth, fired))
    tuned = thresholds.tune_thresholds(truth, scores)
    assert tuned.dtype == np.float32 and tuned.shape == (truth.shape[1],)
    assert np.array_equal(thresholds.fire(scores, tuned), expected)


@given(clips())
def test_the_single_threshold_is_the_best_of_all_and_never_above_the_tuned(pair):
    truth, scores = pair
    best = max(micro_f1(truth, fired) for fired in plain_decisions(scores))
    single = thresholds.best_single_threshold(truth, scores)
    assert micro_f1(truth, thresholds.fire(scores, single)) == best
    tuned = thresholds.tune_thresholds(truth, scores)
    assert micro_f1(truth, thresholds.fire(scores, tuned)) >= best


@given(clips(max_classes=3))
def test_no_single_class_can_better_the_end(pair):
    truth, scores = pair
    fired = thresholds.fire(scores, thresholds.tune_thresholds(truth, scores))
    best = micro_f1(truth, fired)
    for c in range(truth.shape[1]):
        for decision in plain_decisions(scores[:, c]):
            trial = fired.copy()
            trial[:, c] = decision
            assert micro_f1(truth, trial) <= best


def test_a_class_without_positives_never_fires_even_at_a_score_of_one():
    truth = np.array([[True, False], [False, False]])
    scores = np.array([[0.9, 1.0], [0.1, 1.0]], np.float32)
    tuned = thresholds.tune_thresholds(truth, scores)
    assert tuned.tolist() == [0.5, float(thresholds.NEVER_FIRES)]
    assert np.isfinite(tuned).all()
    assert thresholds.fire(scores, tuned).tolist() == [[True, False], [False, False]]


def test_thresholds_stand_midway_between_scores():
    truth, scores = np.array([[True], [True], [False]]), np.array([[0.875], [0.75], [0.25]])
    assert thresholds.tune_thresholds(truth, scores).tolist() == [0.5]
    assert thresholds.tune_thresholds(truth[:2], scores[:2]).tolist() == [0.0]


def test_many_classes_are_tuned_above_the_single_threshold():
    rng = np.random.default_rng(0)
    n_clips, n_classes = 2_000, 100
    truth = rng.random((n_clips, n_classes), np.float32) < rng.uniform(0.0005, 0.02, n_classes)
    noise = rng.standard_normal(truth.shape, np.float32)
    scores = 1 / (1 + np.exp(3 - 2 * truth - noise))
    tuned = thresholds.tune_thresholds(truth, scores)
    single = thresholds.best_single_threshold(truth, scores)
    assert micro_f1(truth, scores >= tuned) > micro_f1(truth, scores >= single)


def test_empty_and_malformed_input():
    with pytest.warns(UserWarning, match="holds no clips"):
        tuned = thresholds.tune_thresholds(np.zeros((0, 2), bool), np.zeros((0, 2)))
    assert (tuned == thresholds.NEVER_FIRES).all()
    truth = np.eye(2, dtype=bool)
    for scores, reason in [
        (np.full((2, 2), np.nan), "NaN"),
        (np.full((2, 2), 1.5), "sigmoid"),
        (np.zeros((3, 2)), "shape"),
    ]:
        with pytest.raises(InputError, match=reason):
            thresholds.tune_thresholds(truth, scores)
    with pytest.raises(InputError, match="max_passes"):
        thresholds.tune_thresholds(truth, truth, max_passes=0)
