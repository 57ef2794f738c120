"""Tagging figures against scikit-learn and by brute force; the figures of each task."""

import itertools
import warnings

import hypothesis.strategies as st
import numpy as np
import pytest
import sklearn.metrics
from hypothesis import assume, given
from hypothesis.extra import numpy as arrays

from mmat.files import InputError
from mmat.labels import MULTI_CLASS, MULTI_LABEL
from mmat.labels import regression as regression_task
from mmat.metrics import multi_class, regression, tagging
from mmat.metrics.tagging import figures

SHAPES = st.tuples(st.integers(1, 12), st.integers(1, 4))
# A coarse grid of scores, so that ties are common.
SCORES = st.sampled_from([0.0, 0.125, 0.5, 0.75, 1.0])
RNG = np.random.default_rng(0)


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


def test_scores_that_are_no_numbers_are_refused():
    with pytest.raises(InputError, match="NaN"):
        tagging.average_precision([True, False], [np.nan, 0.5])


def test_tags_have_micro_figures_and_the_mean_average_precision():
    truth, scores = RNG.random((9, 3)) < 0.4, RNG.random((9, 3))
    found = figures(MULTI_LABEL, truth, scores >= 0.5, scores)
    ranked = found.pop("mean_average_precision")
    assert found == tagging.precision_recall_f1(truth, scores >= 0.5)._asdict()
    assert ranked == tagging.mean_average_precision(truth, scores)


def test_classes_have_average_recall_accuracy_and_macro_f1():
    truth, decided = (np.eye(3, dtype=bool)[RNG.integers(0, 3, 20)] for _ in range(2))
    assert figures(MULTI_CLASS, truth, decided, decided * 0.5) == {
        "uar": multi_class.unweighted_average_recall(truth, decided),
        "accuracy": multi_class.accuracy(truth, decided),
        "macro_f1": multi_class.macro_f1(truth, decided),
    }


def test_values_have_theirs_the_mean_over_quantities():
    truth, values = RNG.uniform(-3, 3, (12, 2)), RNG.uniform(-3, 3, (12, 2))
    found = figures(regression_task(-3, 3), truth, None, values)
    each = [regression.regression_figures(truth[:, c], values[:, c]) for c in range(2)]
    assert found == pytest.approx(dict(zip(each[0]._fields, np.mean(each, axis=0), strict=True)))
    one = figures(regression_task(-3, 3), truth[:, :1], None, values[:, :1])
    assert one == pytest.approx(each[0]._asdict())


def test_a_scale_without_a_zero_in_it_has_no_figures_of_the_sign():
    truth, values = RNG.uniform(1, 5, (12, 1)), RNG.uniform(1, 5, (12, 1))
    found = figures(regression_task(1, 5), truth, None, values)
    assert list(found) == ["mae", "pearson", "accuracy_rounded"]
    rounded = regression.rounded_accuracy(truth[:, 0], values[:, 0], 1, 5)
    assert found["accuracy_rounded"] == rounded


@pytest.mark.parametrize("shape", [(4,), (4, 0), (4, 1, 1)])
def test_values_of_another_shape_are_refused(shape):
    with pytest.raises(InputError, match="shape"):
        figures(regression_task(-3, 3), np.zeros(shape), None, np.zeros(shape))
