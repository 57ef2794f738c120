"""Intervals: draws at once equal draws one by one, cover what they promise, and see small gains."""

import functools
import math

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.extra import numpy as arrays

from mmat.files import InputError
from mmat.labels import MULTI_CLASS, regression
from mmat.metrics import bootstrap, ranking, tagging
from mmat.metrics.bootstrap import figure_differences, figure_intervals, weighted_figures
from mmat.metrics.multi_class import unweighted_average_recall
from mmat.metrics.tagging import figures

SCORES = st.sampled_from([0.0, 0.125, 0.5, 0.75, 1.0])  # a coarse grid: ties are common
SYSTEMS = st.tuples(st.integers(1, 8), st.integers(1, 3)).flatmap(
    lambda shape: st.tuples(
        arrays.arrays(bool, shape),
        arrays.arrays(bool, shape),
        arrays.arrays(np.float32, shape, elements=SCORES),
        arrays.arrays(np.uint16, (3, shape[0]), elements=st.integers(0, 3)),
    )
)
VALUES, CLASSES = (functools.partial(figures, task) for task in (regression(-3, 3), MULTI_CLASS))


@pytest.mark.filterwarnings("ignore:no c", "ignore:the truth holds no clips")
@settings(max_examples=60, deadline=None)
@given(SYSTEMS)
def test_draws_at_once_equal_the_drawn_clips_laid_side_by_side(system):
    truth, fired, scores, counts = system
    found = weighted_figures(truth, fired, scores, counts)
    for i, times in enumerate(counts):
        drawn = np.repeat(np.arange(len(truth)), times)
        true, says = truth[drawn], fired[drawn]
        micro, macro = tagging.precision_recall_f1(true, says), tagging.macro(true, says)
        rankable = (true.any(axis=0) & ~true.all(axis=0)).any()
        expected = {
            **micro._asdict(),
            **{f"macro_{name}": value for name, value in macro._asdict().items()},
            "mean_average_precision": tagging.mean_average_precision(true, scores[drawn]),
            "mean_roc_auc": ranking.mean_roc_auc(true, scores[drawn]) if rankable else 0.0,
        }
        assert {name: values[i] for name, values in found.items()} == pytest.approx(expected)


def made_system(n_clips=300, n_classes=4, wrong=0.2, seed=3):
    rng = np.random.default_rng(seed)
    truth = rng.random((n_clips, n_classes)) < 0.3
    fired = truth ^ (rng.random(truth.shape) < wrong)
    return truth, fired, fired + rng.random(truth.shape)


def test_the_interval_holds_the_estimate_and_is_the_same_for_the_same_seed():
    truth, fired, scores = made_system()
    found = bootstrap.headline_intervals(truth, fired, scores)
    assert found["f1"].estimate == pytest.approx(tagging.precision_recall_f1(truth, fired).f1)
    assert all(each.low < each.estimate < each.high for each in found.values())
    assert found == bootstrap.headline_intervals(truth, fired, scores)
    assert found != bootstrap.headline_intervals(truth, fired, scores, seed=1)


def test_the_vectorised_interval_is_that_of_the_loop():
    truth, fired, scores = made_system()
    loop = bootstrap.figure_intervals(
        lambda t, f: tagging.precision_recall_f1(t, f)._asdict(), truth, fired
    )
    found = bootstrap.headline_intervals(truth, fired, scores)
    for name, interval in loop.items():
        assert found[name] == pytest.approx(interval)


def test_the_interval_covers_the_true_figure_about_as_often_as_it_says():
    rng = np.random.default_rng(5)
    share = 0.3  # of fired labels that are right: precision, whose true value is known
    covered = 0
    fired = np.ones((80, 1), bool)
    for seed in range(200):
        right = rng.random((80, 1)) < share
        found = bootstrap.headline_intervals(right, fired, fired, resamples=300, seed=seed)
        covered += found["precision"].low <= share <= found["precision"].high
    assert 0.90 <= covered / 200 <= 0.99


def test_groups_are_drawn_whole_and_nameless_clips_one_by_one():
    groups = ["a", "b", "a", "", "", "b", "a"]
    counts = bootstrap.draw_counts(7, groups, resamples=400)
    assert (counts[:, 0] == counts[:, 2]).all() and (counts[:, 0] == counts[:, 6]).all()
    assert (counts[:, 1] == counts[:, 5]).all()
    assert (counts[:, 3] != counts[:, 4]).any()
    n_groups = counts[:, 0] + counts[:, 1] + counts[:, 3] + counts[:, 4]
    assert (n_groups == 4).all()


@given(
    st.lists(st.lists(st.sampled_from("abcd"), max_size=3).map(tuple), min_size=1, max_size=6),
    st.integers(0, 5),
)
def test_a_clip_of_several_groups_counts_as_their_product(groups, seed):
    numbers = bootstrap.group_numbers(groups, len(groups))
    n_groups = numbers.max() + 1
    nameless = sum(not names for names in groups)
    assert n_groups == len({name for names in groups for name in names}) + nameless
    rng = np.random.default_rng(seed)
    draws = rng.multinomial(n_groups, np.full(n_groups, 1 / n_groups), size=50)
    expected = [
        [math.prod(int(draw[number]) for number in own if number >= 0) for own in numbers]
        for draw in draws
    ]
    expected = [counts for counts in expected if any(counts)]
    assert bootstrap.draw_counts(len(groups), groups, 50, seed).tolist() == expected


def test_a_clip_of_too_many_groups_is_refused():
    groups = [tuple(f"source {i}" for i in range(40))]
    with pytest.raises(InputError, match="none of 9 draws holds all groups"):
        bootstrap.draw_counts(1, groups, resamples=9)


def test_means_of_mixed_sources_are_covered_where_those_over_clips_are_not():
    """Each clip mixes two of twenty sources, each with an effect of its own; the true mean is 0."""
    rng = np.random.default_rng(7)
    covered = {"clips": 0, "sources": 0}
    for seed in range(100):
        sources = np.array([rng.choice(20, 2, replace=False) for _ in range(100)])
        values = rng.normal(size=20)[sources].mean(axis=1) + 0.5 * rng.normal(size=100)
        groups = [tuple(map(str, pair)) for pair in sources]
        for name, of in (("clips", None), ("sources", groups)):
            found = figure_intervals(
                lambda x: {"mean": x.mean()}, values, groups=of, resamples=200, seed=seed
            )["mean"]
            covered[name] += found.low <= 0 <= found.high
    assert covered["clips"] < 70 and covered["sources"] >= 88


def test_clips_of_one_source_widen_the_interval():
    truth, fired, scores = (np.repeat(x, 10, axis=0) for x in made_system(40))
    by_clip = bootstrap.headline_intervals(truth, fired, scores)["f1"]
    groups = np.repeat([f"video {i}" for i in range(40)], 10)
    by_group = bootstrap.headline_intervals(truth, fired, scores, groups)["f1"]
    assert by_group.high - by_group.low > 2 * (by_clip.high - by_clip.low)
    assert by_group.estimate == by_clip.estimate


def test_a_paired_difference_is_narrower_and_sees_a_small_gain():
    truth, fired, scores = made_system()
    better = np.where(np.random.default_rng(4).random(truth.shape) < 0.15, truth, fired)
    gain = bootstrap.paired_difference(truth, (fired, scores), (better, scores))["f1"]
    single = bootstrap.headline_intervals(truth, fired, scores)["f1"]
    assert 0 < gain.low < gain.estimate < gain.high
    assert gain.high - gain.low < single.high - single.low
    assert gain.share_above_zero > 0.99
    back = bootstrap.paired_difference(truth, (better, scores), (fired, scores))["f1"]
    assert back.share_above_zero < 0.01
    assert back.estimate == -gain.estimate


def test_a_system_is_not_above_itself():
    truth, fired, scores = made_system()
    same = bootstrap.paired_difference(truth, (fired, scores), (fired, scores))
    assert set(same.values()) == {(0.0, 0.0, 0.0, 0.0)}


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"groups": ["a"]}, "1 groups for 300 clips"),
        ({"level": 1.0}, "level of 1.0"),
        ({"resamples": 0}, "0 resamples"),
    ],
)
def test_wrong_options_are_refused(options, reason):
    with pytest.raises(InputError, match=reason):
        bootstrap.headline_intervals(*made_system(), **options)


def test_no_clips_are_refused():
    none = np.zeros((0, 2), bool)
    with pytest.warns(UserWarning), pytest.raises(InputError, match="no clips"):
        bootstrap.headline_intervals(none, none, none)


def test_the_mean_over_trainings_is_drawn_together():
    """Equal to a plain loop: in each draw the figures of all trainings, then their mean."""
    truth, fired, scores = made_system(n_clips=80)
    _, other, other_scores = made_system(n_clips=80, wrong=0.4, seed=5)
    trainings = [(fired, scores), (other, other_scores)]
    found = bootstrap.mean_intervals(truth, trainings, resamples=50)["f1"]
    counts = bootstrap.draw_counts(80, resamples=50)

    def mean_f1(clips):
        own = [tagging.precision_recall_f1(truth[clips], x[clips]).f1 for x in (fired, other)]
        return sum(own) / 2

    drawn = [mean_f1(np.repeat(np.arange(80), draw)) for draw in counts]
    assert found.estimate == pytest.approx(mean_f1(np.arange(80)))
    assert found[1:] == pytest.approx(tuple(np.quantile(drawn, [0.025, 0.975])))
    gain = bootstrap.mean_difference(truth, [trainings[1]] * 2, trainings, resamples=50)["f1"]
    single = bootstrap.paired_difference(truth, trainings[1], trainings[0], resamples=50)["f1"]
    assert gain[:3] == pytest.approx(tuple(x / 2 for x in single[:3]))


def test_no_training_is_said():
    with pytest.raises(InputError, match="no training"):
        bootstrap.mean_intervals(np.eye(2, dtype=bool), [])


def made_values(n_clips=200, noise=1.0, seed=0):
    """Truth, all that is decided of it, and values that are off by noise."""
    rng = np.random.default_rng(seed)
    truth = rng.uniform(-3, 3, (n_clips, 1))
    return truth, np.ones_like(truth, bool), truth + rng.normal(0, noise, truth.shape)


def made_classes(n_clips=120, wrong=0.3, seed=0):
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 3, n_clips)
    decided = np.where(rng.random(n_clips) < wrong, rng.integers(0, 3, n_clips), truth)
    return tuple(np.eye(3, dtype=bool)[side] for side in (truth, decided, decided))


@pytest.mark.parametrize(("of", "made"), [(VALUES, made_values), (CLASSES, made_classes)])
def test_any_interval_holds_the_estimate_and_is_the_same_for_the_same_seed(of, made):
    found = figure_intervals(of, *made(), resamples=200)
    assert {name: each.estimate for name, each in found.items()} == of(*made())
    assert all(each.low < each.estimate < each.high for each in found.values())
    assert found == figure_intervals(of, *made(), resamples=200)
    assert found != figure_intervals(of, *made(), resamples=200, seed=1)


def test_the_draws_are_those_of_the_bootstrap():
    truth, decided, _ = made_classes()
    groups = [f"speaker {i % 5}" for i in range(len(truth))]
    found = figure_intervals(CLASSES, truth, decided, decided, groups=groups, resamples=80)["uar"]
    counts = bootstrap.draw_counts(len(truth), groups, resamples=80)
    clips = np.arange(len(truth))
    drawn = [
        unweighted_average_recall(truth[own], decided[own])
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
