"""Calibration: figures by hand, none where scores come true, draws as by a loop."""

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.extra import numpy as arrays
from scipy.stats import binomtest
from sklearn import metrics as sklearn_metrics

from mmat.files import InputError
from mmat.metrics import calibration
from mmat.metrics.bootstrap import draw_counts
from mmat.metrics.calibration import (
    ECE,
    brier_score,
    calibration_differences,
    calibration_intervals,
    expected_calibration_error,
    log_loss,
    reliability_curve,
    winning_class,
)

SCORES = st.one_of(st.sampled_from([0.0, 0.25, 0.5, 1.0]), st.floats(0, 1, width=32))
CASES = st.tuples(st.integers(1, 12), st.integers(1, 3)).flatmap(
    lambda shape: st.tuples(
        arrays.arrays(bool, shape), arrays.arrays(np.float32, shape, elements=SCORES)
    )
)
BINS = st.tuples(st.integers(1, 6), st.booleans())
ERRORS = [expected_calibration_error, brier_score, log_loss]


def made_cases(n_clips=300, n_classes=4, sharper=1.0, seed=0):
    """Truth that comes true as often as the scores say, but for `sharper` logits."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(-1, 2, (n_clips, n_classes))
    truth = rng.random(logits.shape) < 1 / (1 + np.exp(-logits))
    return truth, 1 / (1 + np.exp(-sharper * logits))


def test_figures_are_those_computed_by_hand():
    truth = np.array([[1, 0], [0, 0], [1, 1]], bool)
    scores = np.array([[0.9, 0.1], [0.3, 0.2], [0.6, 0.8]])
    # Three bins of two cases: 0.1 and 0.2, none true; 0.3 and 0.6, one; 0.8 and 0.9, both.
    by_mass = (abs(0.15 - 0) + abs(0.45 - 0.5) + abs(0.85 - 1)) / 3
    assert expected_calibration_error(truth, scores, 3) == pytest.approx(by_mass)
    # Two halves of [0, 1]: 0.1, 0.2 and 0.3, none true; 0.6, 0.8 and 0.9, all.
    by_width = (abs(0.2 - 0) + abs(2.3 / 3 - 1)) / 2
    assert expected_calibration_error(truth, scores, 2, equal_width=True) == pytest.approx(by_width)
    squares = 0.01 + 0.01 + 0.09 + 0.04 + 0.16 + 0.04
    assert brier_score(truth, scores) == pytest.approx(squares / 6)
    entropies = -np.log([0.9, 0.9, 0.7, 0.8, 0.6, 0.8]).sum()
    assert log_loss(truth, scores) == pytest.approx(entropies / 6)


def test_of_one_class_a_clip_the_winning_one_is_measured():
    truth = np.eye(3, dtype=bool)[[0, 1, 2, 1]]
    scores = [[0.8, 0.1, 0.1], [0.6, 0.4, 0], [0.4, 0.2, 0.4], [0, 0, 0]]
    right, score = winning_class(truth, scores)
    assert right[:, 0].tolist() == [True, False, False, False]  # the first of equals; none
    assert score[:, 0].tolist() == pytest.approx([0.8, 0.6, 0.4, 0])
    assert expected_calibration_error(right, score, 1) == pytest.approx(1.8 / 4 - 1 / 4)
    # A first class without a score is no answer, even where it would be right.
    assert not winning_class(truth[:1], np.zeros((1, 3)))[0].any()
    with pytest.raises(InputError, match="every clip has one label"):
        winning_class([[1, 1]], [[0.5, 0.5]])


def test_a_calibrated_source_has_next_to_no_error_and_a_wrong_one_its_own():
    truth, scores = made_cases(50_000)
    for equal_width in (False, True):
        assert expected_calibration_error(truth, scores, equal_width=equal_width) < 0.005
    curve = reliability_curve(truth, scores)
    np.testing.assert_allclose(curve.rate, curve.mean_score, atol=0.02)
    shifted = np.clip(scores + 0.1, 0, 1)
    error = expected_calibration_error(truth, shifted)
    assert error == pytest.approx((shifted - scores).mean(), abs=0.005)
    assert expected_calibration_error(truth, 0.5 * np.ones_like(scores)) == pytest.approx(
        abs(truth.mean() - 0.5)
    )


@given(CASES, BINS)
def test_figures_lie_where_they_must_and_the_order_of_clips_is_ignored(cases, bins):
    truth, scores = cases
    found = expected_calibration_error(truth, scores, *bins)
    # Never below the distance of the means, which is that of a single bin, and never above 1.
    assert abs(scores.mean(dtype=float) - truth.mean()) - 1e-9 <= found <= 1
    assert found**2 <= brier_score(truth, scores) + 1e-9
    turned = np.argsort(scores[:, 0], kind="stable")
    assert expected_calibration_error(truth[turned], scores[turned], *bins) == pytest.approx(found)
    for error in ERRORS:
        assert error(truth, truth.astype(float)) <= 1.1e-6


@given(CASES)
def test_brier_score_and_log_loss_are_scikit_learn_s(cases):
    truth, scores = (each.ravel() for each in cases)
    squares = sklearn_metrics.brier_score_loss(truth, scores, pos_label=True)
    assert brier_score(*cases) == pytest.approx(squares, abs=1e-6)
    likely = np.clip(scores.astype(float), 1e-6, 1 - 1e-6)
    entropies = sklearn_metrics.log_loss(truth, likely, labels=[False, True])
    assert log_loss(*cases) == pytest.approx(entropies)


@given(CASES, BINS)
def test_the_curve_holds_every_case_once_and_its_error_is_the_figure(cases, bins):
    truth, scores = cases
    curve = reliability_curve(truth, scores, *bins)
    assert curve.n_cases.sum() == truth.size and (curve.n_cases > 0).all()
    assert (curve.low <= curve.rate).all() and (curve.rate <= curve.high).all()
    assert (curve.low >= 0).all() and (curve.high <= 1).all() and (curve.high > curve.low).all()
    assert (np.diff(curve.mean_score) > 0).all()
    assert (curve.rate * curve.n_cases).sum() == pytest.approx(truth.sum())
    error = (np.abs(curve.rate - curve.mean_score) * curve.n_cases).sum() / truth.size
    assert expected_calibration_error(truth, scores, *bins) == pytest.approx(error)


@given(st.integers(1, 5), st.integers(1, 40), st.randoms(use_true_random=False))
def test_bins_of_equal_mass_hold_the_same_number_of_distinct_scores(n_bins, n_each, random):
    scores = np.linspace(0, 1, n_bins * n_each)
    random.shuffle(scores)
    curve = reliability_curve(scores[:, None] > 0.5, scores[:, None], n_bins)
    assert curve.n_cases.tolist() == [n_each] * n_bins


def test_a_rate_s_interval_is_wilson_s_and_counts_clips_that_agree_once():
    truth, scores = np.arange(80)[:, None] % 4 == 0, np.full((80, 1), 0.25)
    sources = [f"source {i % 20}" for i in range(80)]
    for groups, n in ((None, 80), (sources, 20)):
        curve = reliability_curve(truth, scores, 1, groups=groups)
        expected = binomtest(n // 4, n).proportion_ci(method="wilson")
        assert (curve.low[0], curve.high[0]) == pytest.approx((expected.low, expected.high))
    # Where the clips of a source differ as others do, sources cost next to nothing.
    mixed = reliability_curve(truth, scores, 1, groups=[f"source {i % 19}" for i in range(80)])
    assert (mixed.low[0], mixed.high[0]) == pytest.approx((0.168, 0.355), abs=0.02)


def test_a_rate_has_an_interval_where_clips_have_several_sources():
    rng = np.random.default_rng(1)
    truth, scores = rng.random((60, 2)) < 0.4, np.full((60, 2), 0.4)
    first = [f"source {i % 12}" for i in range(60)]
    both = [(name, f"source {i % 7}") for i, name in enumerate(first)]
    one, more = (reliability_curve(truth, scores, 1, groups=groups) for groups in (first, both))
    assert more.rate == one.rate and more.n_cases == one.n_cases
    assert more.low[0] < one.rate[0] < more.high[0]
    # Named twice, or as a tuple of one, a source is the same source.
    again = reliability_curve(truth, scores, 1, groups=[(name, name, "") for name in first])
    assert all(np.array_equal(x, y) for x, y in zip(again, one, strict=True))


def test_a_rate_s_interval_holds_the_true_rate_about_as_often_as_it_says():
    """Fifteen sources of eight clips, each with rates of its own around a half."""
    held = 0
    for seed in range(300):
        rng = np.random.default_rng(seed)
        rates = np.repeat(rng.uniform(0.1, 0.9, 15), 8)[:, None]
        truth, sources = rng.random((120, 1)) < rates, np.repeat(np.arange(15), 8).astype(str)
        curve = reliability_curve(truth, np.full((120, 1), 0.5), 1, groups=sources)
        held += curve.low[0] <= 0.5 <= curve.high[0]
    assert 0.91 <= held / 300 <= 0.98


def test_the_draws_are_those_of_a_loop():
    truth, scores = made_cases(60)
    groups = [f"source {i % 9}" for i in range(60)]
    found = calibration_intervals(truth, scores, groups, resamples=80)
    counts = draw_counts(60, groups, resamples=80)
    drawn = [np.repeat(np.arange(60), times) for times in counts]
    for name, figure in (("brier_score", brier_score), ("log_loss", log_loss)):
        ends = np.quantile([figure(truth[own], scores[own]) for own in drawn], [0.025, 0.975])
        assert found[name] == pytest.approx((figure(truth, scores), *ends))
    # The bins of all clips are kept in every draw.
    starts = np.sort(scores.astype(np.float32), axis=None)[np.arange(1, 15) * scores.size // 15]
    bins = np.digitize(scores.astype(np.float32), starts)
    errors = [
        sum(abs((scores[own] - truth[own])[bins[own] == b].sum()) for b in range(15))
        / truth[own].size
        for own in drawn
    ]
    estimate = expected_calibration_error(truth, scores)
    low, high = 2 * estimate - np.quantile(errors, [0.975, 0.025])
    assert found[ECE] == pytest.approx((estimate, max(low, 0), high), abs=1e-6)


@settings(max_examples=20)
@given(CASES)
def test_intervals_lie_in_the_range_of_their_figures(cases):
    for low, high in (each[1:] for each in calibration_intervals(*cases, resamples=20).values()):
        assert 0 <= low <= high
    assert calibration_intervals(*cases, resamples=20)[ECE].high <= 1


def test_the_interval_of_the_error_holds_the_true_one_about_as_often_as_it_says():
    true_error = expected_calibration_error(*made_cases(100_000, sharper=1.5))
    held = 0
    for seed in range(100):
        found = calibration_intervals(
            *made_cases(150, sharper=1.5, seed=seed), resamples=200, seed=seed
        )[ECE]
        held += found.low <= true_error <= found.high
    assert 0.86 <= held / 100 <= 1


def test_clips_of_one_source_widen_the_interval():
    truth, scores = (np.repeat(x, 10, axis=0) for x in made_cases(40, sharper=2))
    groups = [f"video {i // 10}" for i in range(400)]
    for name in calibration.FIGURES:
        by_clip, by_group = (
            calibration_intervals(truth, scores, of, resamples=300)[name] for of in (None, groups)
        )
        assert by_group.high - by_group.low > 2 * (by_clip.high - by_clip.low)
        assert by_group.estimate == by_clip.estimate


def test_a_difference_is_paired_and_below_0_where_scores_mean_more():
    truth, scores = made_cases()
    sharper = made_cases(sharper=3)[1]
    gains = calibration_differences((truth, sharper), (truth, scores), resamples=300)
    for name, figure in zip(calibration.FIGURES, ERRORS, strict=True):
        estimate = figure(truth, scores) - figure(truth, sharper)
        assert gains[name].estimate == pytest.approx(estimate)
        assert gains[name].low <= estimate <= gains[name].high < 0
        assert gains[name].share_above_zero == 0
    same = calibration_differences((truth, scores), (truth, scores), resamples=20)
    assert set(same.values()) == {(0.0, 0.0, 0.0, 0.0)}


def test_perfect_scores_have_no_error():
    truth = np.eye(3, dtype=bool)
    for error in ERRORS:
        assert error(truth, truth.astype(float)) == pytest.approx(0, abs=1.1e-6)


def test_a_score_of_0_for_what_is_true_costs_much_and_not_all():
    assert log_loss([[1]], [[0.0]]) == pytest.approx(-np.log(1e-6))


@pytest.mark.parametrize("error", ERRORS)
def test_no_clips_warn_and_have_no_error(error):
    nothing = np.zeros((0, 3), bool), np.zeros((0, 3))
    with pytest.warns(UserWarning, match="the truth holds no clips"):
        assert error(*nothing) == 0
    with pytest.warns(UserWarning, match="the truth holds no clips"):
        assert not any(len(part) for part in reliability_curve(*nothing))
    with (
        pytest.warns(UserWarning, match="the truth holds no clips"),
        pytest.raises(InputError, match="no clips to draw from"),
    ):
        calibration_intervals(*nothing)
    assert [part.shape for part in winning_class(*nothing)] == [(0, 1), (0, 1)]


@pytest.mark.parametrize(
    "figure", [*ERRORS, reliability_curve, calibration_intervals, winning_class]
)
@pytest.mark.parametrize(
    ("truth", "scores", "reason"),
    [
        (np.eye(2) > 0, np.ones((3, 2)), "shape"),
        (np.ones(2) > 0, np.ones(2), "axes"),
        (np.eye(2) / 2, np.ones((2, 2)), "yes and no"),
        (np.eye(2) > 0, np.full((2, 2), np.nan), "finite numbers"),
        (np.eye(2) > 0, np.eye(2) * 1.5, "between 0 and 1"),
    ],
    ids=["shape", "axes", "halves", "nan", "logits"],
)
def test_malformed_input_is_refused_in_a_sentence(figure, truth, scores, reason):
    with pytest.raises(InputError, match=reason) as caught:
        figure(truth, scores)
    assert "\n" not in str(caught.value)


def test_wrong_options_are_refused():
    cases = made_cases(4)
    with pytest.raises(InputError, match="0 bins"):
        expected_calibration_error(*cases, 0)
    with pytest.raises(InputError, match="level of 95"):
        reliability_curve(*cases, level=95)
    with pytest.raises(InputError, match="2 groups for 4 clips"):
        reliability_curve(*cases, groups=["a", "b"])
    with pytest.raises(InputError, match="2 groups for 4 clips"):
        calibration_intervals(*cases, groups=["a", "b"])
