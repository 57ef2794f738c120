"""Ranking figures: against scikit-learn with ties, and d' by its definition."""

import math

import hypothesis.strategies as st
import numpy as np
import pytest
import sklearn.metrics
from hypothesis import assume, given
from hypothesis.extra import numpy as arrays

from mmat.metrics import ranking, tagging

SCORES = st.sampled_from([0.0, 0.125, 0.5, 0.75, 1.0])  # a coarse grid: ties are common
RANKINGS = st.integers(2, 14).flatmap(
    lambda n: st.tuples(arrays.arrays(bool, n), arrays.arrays(np.float32, n, elements=SCORES))
)


@given(RANKINGS)
def test_roc_auc_equals_scikit_learn(pair):
    truth, scores = pair
    assume(truth.any() and not truth.all())
    expected = sklearn.metrics.roc_auc_score(truth, scores)
    assert ranking.roc_auc(truth, scores) == pytest.approx(expected)
    assert ranking.roc_auc(truth, -scores) == pytest.approx(1 - expected)


@given(RANKINGS)
def test_the_curve_equals_scikit_learn_and_holds_the_average_precision(pair):
    truth, scores = pair
    assume(truth.any())
    precision, recall = ranking.precision_recall_curve(truth, scores)
    expected = sklearn.metrics.precision_recall_curve(truth, scores)
    assert precision == pytest.approx(expected[0][-2::-1])
    assert recall == pytest.approx(expected[1][-2::-1])
    area = (np.diff(recall, prepend=0) * precision).sum()
    assert area == pytest.approx(tagging.average_precision(truth, scores))


def test_the_mean_leaves_out_classes_that_cannot_be_ranked():
    truth = np.array([[1, 0, 1], [0, 0, 1], [1, 0, 1]]) > 0
    scores = np.array([[0.9, 0.5, 0.5], [0.5, 0.5, 0.1], [0.5, 0.1, 0.2]])
    assert ranking.mean_roc_auc(truth, scores) == 0.75
    expected = sklearn.metrics.roc_auc_score(truth[:, 0], scores[:, 0])
    assert expected == 0.75


@given(st.floats(0.01, 0.99))
def test_d_prime_is_the_distance_of_two_normal_distributions(auc):
    # Two unit normal distributions d' apart have the area Φ(d'/√2).
    distance = ranking.d_prime(auc)
    assert 0.5 * math.erfc(-distance / 2) == pytest.approx(auc)
    assert distance == pytest.approx(-ranking.d_prime(1 - auc), abs=1e-9)
