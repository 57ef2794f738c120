"""Intervals of any figures: those of the draws, by clip and by group, and of differences."""

import functools
import math

import numpy as np
import pytest

from mmat.files import InputError
from mmat.labels import MULTI_CLASS, regression
from mmat.metrics import bootstrap
from mmat.metrics.bootstrap import figure_differences, figure_intervals
from mmat.metrics.multi_class import unweighted_average_recall
from mmat.metrics.tagging import figures

VALUES, CLASSES = (functools.partial(figures, task) for task in (regression(-3, 3), MULTI_CLASS))


def made_values(n_clips=200, noise=1.0, seed=0):
    """Truth, all that is decided of it, and values that are off by noise."""
    rng = np.random.default_rng(seed)
    truth = rng.uniform(-3, 3, (n_clips, 1))
    return truth, np.ones_like(truth, bool), truth + rng.normal(0, noise, truth.shape)


def made_classes(n_clips=120, wrong=0.3, seed=0):
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 3, n_clips)
    said = np.where(rng.random(n_clips) < wrong, rng.integers(0, 3, n_clips), truth)
    return tuple(np.eye(3, dtype=bool)[side] for side in (truth, said, said))


@pytest.mark.parametrize(("of", "made"), [(VALUES, made_values), (CLASSES, made_classes)])
def test_the_interval_holds_the_estimate_and_is_the_same_for_the_same_seed(of, made):
    found = figure_intervals(of, *made(), resamples=200)
    assert {name: each.estimate for name, each in found.items()} == of(*made())
    assert all(each.low < each.estimate < each.high for each in found.values())
    assert found == figure_intervals(of, *made(), resamples=200)
    assert found != figure_intervals(of, *made(), resamples=200, seed=1)


def test_the_draws_are_those_of_the_bootstrap():
    truth, said, _ = made_classes()
    groups = [f"speaker {i % 5}" for i in range(len(truth))]
    found = figure_intervals(CLASSES, truth, said, said, groups=groups, resamples=80)["uar"]
    counts = bootstrap.draw_counts(len(truth), groups, resamples=80)
    clips = np.arange(len(truth))
    drawn = [
        unweighted_average_recall(truth[own], said[own])
        for own in (np.repeat(clips, times) for times in counts)
    ]
    assert found[1:] == pytest.approx(tuple(np.quantile(drawn, [0.025, 0.975])))


def test_the_mean_absolute_error_is_covered_about_as_often_as_promised():
    true_error = math.sqrt(2 / math.pi)  # of noise of deviation 1
    covered = 0
    for seed in range(100):
        truth, _, values = made_values(60, seed=seed)
        found = figure_intervals(
            lambda t, v: {"mae": np.abs(t - v).mean()}, truth, values, resamples=200, seed=seed
        )["mae"]
        covered += found.low <= true_error <= found.high
    assert 0.86 <= covered / 100 <= 1


def test_values_of_one_speaker_widen_the_interval():
    truth, decided, values = (np.repeat(x, 10, axis=0) for x in made_values(30))
    speakers = np.repeat([f"speaker {i}" for i in range(30)], 10)
    by_clip, by_speaker = (
        figure_intervals(VALUES, truth, decided, values, groups=groups, resamples=200)["mae"]
        for groups in (None, speakers)
    )
    assert by_speaker.high - by_speaker.low > 2 * (by_clip.high - by_clip.low)
    assert by_speaker.estimate == by_clip.estimate


def test_a_difference_is_paired_and_has_its_sign():
    truth, decided, near = made_values(noise=0.5)
    far = near + 0.2 * np.sign(near - truth)  # always a little further off
    gain = figure_differences(VALUES, truth, (decided, far), (decided, near), resamples=200)
    assert gain["mae"].estimate == pytest.approx(-0.2)
    assert gain["mae"][1:3] == pytest.approx((-0.2, -0.2))  # of every draw the same
    assert gain["mae"].share_above_zero == 0 and gain["pearson"].share_above_zero == 1
    same = figure_differences(VALUES, truth, (decided, near), (decided, near), resamples=20)
    assert set(same.values()) == {(0.0, 0.0, 0.0, 0.0)}


def test_draws_without_a_figure_are_left_out():
    truth, values = np.array([[1.0], [2.0]]), np.array([[1.5], [2.0]])
    found = figure_intervals(VALUES, truth, truth > 0, values, resamples=50)["pearson"]
    assert found == pytest.approx((1, 1, 1))  # half of the draws hold one clip twice
    constant = figure_intervals(VALUES, truth, truth > 0, values * 0, resamples=50)["pearson"]
    assert all(map(math.isnan, constant))
    gain = figure_differences(
        VALUES, truth, (truth > 0, values * 0), (truth > 0, values), resamples=50
    )["pearson"]
    assert all(map(math.isnan, gain))


def test_wrong_arrays_and_options_are_refused():
    truth, decided, values = made_values(4)
    with pytest.raises(InputError, match=r"\[3, 4\] clips"):
        figure_intervals(VALUES, truth, decided, values[:3])
    with pytest.raises(InputError, match=r"\[0\] clips"):
        figure_intervals(VALUES, truth[:0], decided[:0], values[:0])
    with pytest.raises(InputError, match="2 groups for 4 clips"):
        figure_intervals(VALUES, truth, decided, values, groups=["a", "b"])
    with pytest.raises(InputError, match="level of 95"):
        figure_differences(VALUES, truth, (decided, values), (decided, values), level=95)
