"""Tagging figures: against scikit-learn, by brute force, and on empty, wrong and perfect input."""

import itertools
import warnings

import hypothesis.strategies as st
import numpy as np
import pytest
import sklearn.metrics
from hypothesis import assume, given, settings
from hypothesis.extra import numpy as arrays

from mmat.errors import InputError
from mmat.metrics import tagging

SHAPES = st.tuples(st.integers(1, 12), st.integers(1, 4))
# A coarse grid of scores, so that ties are common.
SCORES = st.sampled_from([0.0, 0.125, 0.5, 0.75, 1.0])


def boolean_pairs():
    return SHAPES.flatmap(lambda s: st.tuples(arrays.arrays(bool, s), arrays.arrays(bool, s)))


def scored_pairs():
    return SHAPES.flatmap(
        lambda s: st.tuples(arrays.arrays(bool, s), arrays.arrays(np.float32, s, elements=SCORES))
    )


def reference_prf(truth, fired, average):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return sklearn.metrics.precision_recall_fscore_support(
            truth, fired, average=average, zero_division=0
        )[:3]


@pytest.mark.filterwarnings("ignore:no clip of the truth")
@given(boolean_pairs())
def test_micro_and_per_class_equal_scikit_learn(pair):
    truth, fired = pair
    # A second, silent column makes single-class input multilabel for scikit-learn.
    silent = np.zeros((len(truth), 1), dtype=bool)
    wide = np.hstack([truth, silent]), np.hstack([fired, silent])
    assert tagging.precision_recall_f1(*pair) == pytest.approx(reference_prf(*wide, "micro"))
    by_class = np.array(reference_prf(*wide, None)).T[:-1]
    assert np.allclose(tagging.per_class(*pair), by_class)
    present = truth.any(axis=0)
    if present.any():
        assert np.allclose(tagging.macro(*pair), by_class[present].mean(axis=0))


@pytest.mark.filterwarnings("ignore:no clip of the truth")
@given(scored_pairs())
def test_average_precision_equals_scikit_learn_with_ties(pair):
    truth, scores = pair
    expected = [
        sklearn.metrics.average_precision_score(truth[:, c], scores[:, c])
        for c in np.flatnonzero(truth.any(axis=0))
    ]
    assert tagging.mean_average_precision(*pair) == pytest.approx(np.mean(expected or [0.0]))


@given(scored_pairs(), st.randoms(use_true_random=False))
def test_the_order_of_clips_changes_no_figure(pair, random):
    truth, scores = pair
    assume(truth.any())
    order = list(range(len(truth)))
    random.shuffle(order)
    shuffled = tagging.mean_average_precision(truth[order], scores[order])
    assert shuffled == pytest.approx(tagging.mean_average_precision(truth, scores), abs=1e-12)


@pytest.mark.filterwarnings("ignore:no clip of the truth")
@given(boolean_pairs())
def test_best_constant_is_the_best_of_all_subsets(pair):
    validation, test = pair
    answer = tagging.best_constant(validation, test)
    subsets = itertools.product([False, True], repeat=validation.shape[1])
    best = max(
        tagging.precision_recall_f1(validation, np.tile(subset, (len(validation), 1))).f1
        for subset in subsets
    )
    assert answer.validation.f1 == best
    assert answer.test == tagging.precision_recall_f1(test, np.tile(answer.fired, (len(test), 1)))


def test_all_classes_on_every_clip_of_a_long_tailed_set():
    truth = np.zeros((488, 17), dtype=bool)
    truth[np.arange(606) % 488, np.arange(606) * 7 % 17] = True
    figures = tagging.precision_recall_f1(truth, np.ones_like(truth))
    assert figures.recall == 1
    assert figures.precision == truth.sum() / truth.size


def test_the_interval_covers_the_true_figure_about_as_often_as_it_says():
    rng = np.random.default_rng(5)
    share = 0.3  # of clips that are right: accuracy as a figure whose true value is known
    covered = 0
    for seed in range(200):
        right = rng.random(80) < share
        _, low, high = tagging.bootstrap_interval(np.mean, right, resamples=300, seed=seed)
        covered += low <= share <= high
    assert 0.90 <= covered / 200 <= 0.99


def test_a_paired_interval_is_narrower_and_sees_a_small_gain():
    rng = np.random.default_rng(3)
    truth = rng.random((300, 4)) < 0.3
    audio = truth ^ (rng.random(truth.shape) < 0.2)
    fused = np.where(rng.random(truth.shape) < 0.15, truth, audio)

    def f1(truth, fired):
        return tagging.precision_recall_f1(truth, fired).f1

    single = tagging.bootstrap_interval(f1, truth, audio)
    gain = tagging.bootstrap_interval(lambda t, a, b: f1(t, b) - f1(t, a), truth, audio, fused)
    assert single.low < single.estimate < single.high
    assert 0 < gain.low < gain.estimate < gain.high
    assert gain.high - gain.low < single.high - single.low
    assert tagging.bootstrap_interval(f1, truth, audio) == single


METRICS = {
    "micro": lambda truth, scores: tagging.precision_recall_f1(truth, np.asarray(scores) > 0.5).f1,
    "macro": lambda truth, scores: tagging.macro(truth, np.asarray(scores) > 0.5).f1,
    "map": tagging.mean_average_precision,
}


@pytest.mark.parametrize("metric", METRICS.values(), ids=METRICS)
def test_perfect_empty_and_malformed_input(metric):
    truth = np.eye(3, dtype=bool)
    assert metric(truth, truth.astype(float)) == 1
    with pytest.warns(UserWarning, match="the truth holds no clips"):
        assert metric(np.zeros((0, 3), bool), np.zeros((0, 3))) == 0
    with pytest.warns(UserWarning, match="no clip of the truth has a label"):
        assert metric(np.zeros((2, 3), bool), np.ones((2, 3))) == 0
    with pytest.raises(InputError, match="shape"):
        metric(truth, np.ones((3, 2)))
    with pytest.raises(InputError, match="axes"):
        metric(truth[0], np.ones(3))
    with pytest.raises(InputError, match="yes and no"):
        metric(truth * 0.5, np.ones((3, 3)))


def test_scores_that_are_no_numbers_are_refused():
    with pytest.raises(InputError, match="NaN"):
        tagging.average_precision([True, False], [np.nan, 0.5])


@settings(max_examples=20)
@given(st.integers(1, 5))
def test_bootstrap_refuses_arrays_of_different_length(extra):
    with pytest.raises(InputError, match="clips"):
        tagging.bootstrap_interval(np.mean, np.zeros(3), np.zeros(3 + extra))
