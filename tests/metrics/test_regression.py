"""Figures of values: those of NumPy, SciPy and scikit-learn, and both conventions by hand."""

import math

import hypothesis.strategies as st
import numpy as np
import pytest
import scipy.stats
from hypothesis import assume, given, settings
from sklearn.metrics import accuracy_score, f1_score

from mmat.files import InputError
from mmat.metrics import regression
from mmat.metrics.regression import Binary

# Truth as annotators give it, values as a model does; both meet 0 and halves often.
TRUE = st.integers(-15, 15).map(lambda fifth: fifth / 5)
VALUE = st.one_of(st.floats(-4, 4, allow_subnormal=False), st.sampled_from([-0.5, 0.0, 0.5, 2.5]))
CLIPS = st.lists(st.tuples(TRUE, VALUE), min_size=1, max_size=40).map(
    lambda pairs: tuple(map(np.array, zip(*pairs, strict=True)))
)


@settings(deadline=None)
@given(CLIPS)
def test_they_are_those_of_the_packages(clips):
    truth, values = clips
    found = regression.regression_figures(truth, values)
    assert found.mae == pytest.approx(np.abs(truth - values).mean())
    assert found.accuracy_negative_or_not == accuracy_score(truth >= 0, values >= 0)
    assert found.f1_negative_or_not == pytest.approx(
        f1_score(truth >= 0, values >= 0, average="weighted")
    )
    rounded = [np.round(np.clip(side, -3, 3)) for side in clips]
    assert found.accuracy_rounded == np.mean(rounded[0] == rounded[1])
    kept = truth != 0
    if kept.any():
        true, said = truth[kept] > 0, values[kept] > 0
        assert found.accuracy_negative_or_positive == accuracy_score(true, said)
        expected = f1_score(true, said, average="weighted")
        assert found.f1_negative_or_positive == pytest.approx(expected)
    else:
        assert math.isnan(found.accuracy_negative_or_positive)
        assert math.isnan(found.f1_negative_or_positive)


@settings(deadline=None)
@given(CLIPS)
def test_the_correlation_is_scipys_where_there_is_one(clips):
    truth, values = clips
    assume(np.ptp(truth) > 1e-3 and np.ptp(values) > 1e-3)
    expected = scipy.stats.pearsonr(truth, values).statistic
    assert regression.pearson_correlation(truth, values) == pytest.approx(expected, abs=1e-6)


@given(st.floats(-3, 3), st.integers(1, 30))
def test_constant_values_have_no_correlation_however_they_round(constant, n_clips):
    truth, constants = np.arange(n_clips) / 7, np.full(n_clips, constant)
    assert math.isnan(regression.pearson_correlation(truth, constants))
    assert math.isnan(regression.pearson_correlation(constants, truth))


def test_the_smallest_differences_still_correlate():
    truth = np.array([0.0, 1.0, 2.0])
    assert regression.pearson_correlation(truth, truth * 1e-200) == pytest.approx(1)
    assert regression.pearson_correlation(truth, -truth * 1e200) == pytest.approx(-1)


def test_the_two_conventions_differ_in_what_0_is():
    truth, values = [-1.0, 0.0, 0.0, 2.0], [-1.0, -0.5, 0.0, 0.0]
    assert regression.negative_or_not(truth, values).accuracy == 0.75
    # Zeros of the truth are dropped, and a value of exactly 0 is not positive.
    assert regression.negative_or_positive(truth, values).accuracy == 0.5


def test_f1_weighs_by_the_truth_not_by_the_answers_as_published_code_does():
    truth, values = np.array([-1.0, -1, -1, 1]), np.array([-1.0, 1, 1, 1])
    ours = regression.negative_or_positive(truth, values)
    assert ours == Binary(0.5, pytest.approx(0.75 * 0.5 + 0.25 * 0.5))
    truth, values = np.array([-1.0, -1, -1, 1]), np.array([-1.0, -1, -1, -1])
    found = regression.negative_or_positive(truth, values).f1
    assert found == pytest.approx(f1_score(truth > 0, values > 0, average="weighted"))
    assert found != pytest.approx(f1_score(values > 0, truth > 0, average="weighted"))


def test_halves_go_to_the_even_neighbour_and_ends_are_clipped_first():
    assert regression.rounded_accuracy([0, 2, 2, -2], [0.5, 1.5, 2.5, -2.5]) == 1
    assert regression.rounded_accuracy([3, -3], [17.0, -3.4]) == 1
    assert regression.rounded_accuracy([5, 1], [9.0, 0.4], low=1, high=5) == 1
    with pytest.raises(InputError, match="no scale goes from 3 to 3"):
        regression.rounded_accuracy([0], [0], 3, 3)


def test_without_clips_every_figure_is_nan():
    assert all(map(math.isnan, regression.regression_figures([], [])))


@pytest.mark.parametrize(
    ("truth", "values", "reason"),
    [
        ([1.0], [1.0, 2.0], "values: the shape"),
        ([[1.0]], [[1.0]], "2 axes"),
        ([1.0, np.nan], [1.0, 2.0], "truth: only finite numbers"),
        ([1.0, 1.0], [1.0, np.inf], "values: only finite numbers"),
        (["good"], [1.0], "truth: only finite numbers"),
    ],
)
def test_what_is_no_value_is_refused_in_a_sentence(truth, values, reason):
    for figure in (
        regression.regression_figures,
        regression.mean_absolute_error,
        regression.pearson_correlation,
        regression.negative_or_not,
        regression.negative_or_positive,
        regression.rounded_accuracy,
    ):
        with pytest.raises(InputError, match=reason) as caught:
            figure(truth, values)
        assert "\n" not in str(caught.value)
