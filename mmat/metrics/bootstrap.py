"""How far figures may move with the choice of test clips: percentile bootstrap intervals.

Conventions
-----------
Clips are drawn with replacement, as many as there are. With `groups`, one name a clip, whole
groups are drawn with all their clips, for clips that share a source are no independent evidence; a
clip with an empty name is a group of its own. A draw is held as how often it has each clip, so all
draws of a figure are computed at once. The same seed gives the same draws: figures of two systems
on the same clips are compared in pairs.

Metrics
-------
- `headline_intervals`: the headline figures of one system, each with its interval.
- `paired_difference`: how much more one system reaches than another, with its interval and the
  share of draws in which it is more.
- `mean_intervals`, `mean_difference`: the same of means over several trainings.

For figures of another task, or of your own, see `mmat.metrics.intervals`.

Reference
---------
B. Efron, R. Tibshirani, "An Introduction to the Bootstrap", 1993.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from mmat.errors import InputError
from mmat.metrics import checks
from mmat.metrics.weighted import weighted_figures

LEVEL, RESAMPLES = 0.95, 1000


class Interval(NamedTuple):
    """A figure on the clips as they are, and the two ends of its confidence interval."""

    estimate: float
    low: float
    high: float


class Difference(NamedTuple):
    """Second system less first, its confidence interval, and the share of draws above 0."""

    estimate: float
    low: float
    high: float
    share_above_zero: float


class System(NamedTuple):
    """What one system predicts of the clips: `fired` bool and `scores`, both `(clips, classes)`."""

    fired: np.ndarray
    scores: np.ndarray


def draw_counts(
    n_clips: int, groups: Sequence[str] | None = None, resamples: int = RESAMPLES, seed: int = 0
) -> np.ndarray:
    """Return how often each of `resamples` draws has each clip: uint16 `(resamples, clips)`.

    Raises InputError without clips, for another number of groups than clips, or too few draws.

    >>> draw_counts(4, resamples=2).sum(axis=1).tolist()
    [4, 4]
    >>> counts = draw_counts(3, groups=["a", "a", "b"], resamples=9)
    >>> bool((counts[:, 0] == counts[:, 1]).all())
    True
    """
    if n_clips < 1:
        raise InputError("bootstrap: there are no clips to draw from; give at least one")
    if resamples < 1:
        raise InputError(f"bootstrap: {resamples} resamples; at least one is needed")
    members = np.arange(n_clips)
    if groups is not None:
        if len(groups) != n_clips:
            raise InputError(f"bootstrap: {len(groups)} groups for {n_clips} clips")
        named = [str(group) or f"\0{i}" for i, group in enumerate(groups)]
        members = np.unique(named, return_inverse=True)[1]
    n_groups = int(members.max()) + 1
    rng = np.random.default_rng(seed)
    draws = rng.multinomial(n_groups, np.full(n_groups, 1 / n_groups), size=resamples)
    return draws.astype(np.uint16)[:, members]


def headline_intervals(
    truth,
    fired,
    scores,
    groups: Sequence[str] | None = None,
    level: float = LEVEL,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> dict[str, Interval]:
    """Return the headline figures of a system, by name, each with its bootstrap interval.

    truth, fired: bool, scores: finite numbers, all `(clips, classes)`. Names: micro `precision`,
    `recall`, `f1`; `macro_precision`, `macro_recall`, `macro_f1`; `mean_average_precision`,
    `mean_roc_auc`. Raises InputError for malformed input.

    >>> truth = np.eye(2, dtype=bool)[[0, 1, 0, 1]]
    >>> headline_intervals(truth, truth, truth)["f1"]
    Interval(estimate=1.0, low=1.0, high=1.0)
    """
    return mean_intervals(truth, [(fired, scores)], groups, level, resamples, seed)


def mean_intervals(
    truth,
    trainings: Sequence[tuple],
    groups: Sequence[str] | None = None,
    level: float = LEVEL,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> dict[str, Interval]:
    """Return the mean of each headline figure over several trainings of a system, with interval.

    trainings: `(fired, scores)` of each on the same clips. The clips are drawn, the trainings are
    those that there are: the interval is of the mean over them. Names as in `headline_intervals`.
    Raises InputError if malformed, or without a training.

    >>> truth = np.eye(2, dtype=bool)[[0, 1, 0, 1]]
    >>> mean_intervals(truth, [(truth, truth), (~truth, ~truth)])["f1"]
    Interval(estimate=0.5, low=0.5, high=0.5)
    """
    once, drawn = _mean_figures(*_checked(truth, trainings), groups, level, resamples, seed)
    return {name: interval_of(once[name][0], values, level) for name, values in drawn.items()}


def paired_difference(
    truth,
    first: tuple,
    second: tuple,
    groups: Sequence[str] | None = None,
    level: float = LEVEL,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> dict[str, Difference]:
    """Return by how much the second system is above the first, for every headline figure.

    truth: bool `(clips, classes)`; first, second: `(fired, scores)` of each system on the same
    clips in the same order. Names as in `headline_intervals`. Raises InputError if malformed.

    >>> truth = np.eye(2, dtype=bool)[[0, 1, 0, 1]]
    >>> paired_difference(truth, (~truth, ~truth), (truth, truth))["f1"]
    Difference(estimate=1.0, low=1.0, high=1.0, share_above_zero=1.0)
    """
    return mean_difference(truth, [first], [second], groups, level, resamples, seed)


def mean_difference(
    truth,
    firsts: Sequence[tuple],
    seconds: Sequence[tuple],
    groups: Sequence[str] | None = None,
    level: float = LEVEL,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> dict[str, Difference]:
    """Return by how much the mean over trainings of one system is above that of another.

    firsts, seconds: `(fired, scores)` of each training, all on the same clips, which are drawn as
    in `mean_intervals`.

    >>> truth = np.eye(2, dtype=bool)[[0, 1, 0, 1]]
    >>> right, wrong = (truth, truth), (~truth, ~truth)
    >>> mean_difference(truth, [wrong, wrong], [right, wrong])["f1"].estimate
    0.5
    """
    options = groups, level, resamples, seed
    truth, systems = _checked(truth, [*firsts, *seconds])
    first_once, first_drawn = _mean_figures(truth, systems[: len(firsts)], *options)
    once, drawn = _mean_figures(truth, systems[len(firsts) :], *options)
    differences = {}
    for name in drawn:
        estimate = once[name][0] - first_once[name][0]
        differences[name] = difference_of(estimate, drawn[name] - first_drawn[name], level)
    return differences


def _checked(truth, systems) -> tuple[np.ndarray, list[System]]:
    truth = checks.as_decisions(truth, "truth")
    checks.warn_if_empty(truth)
    checked = []
    for fired, scores in systems:
        _, fired = checks.as_decision_pair(truth, fired)
        checked.append(System(fired, checks.as_scores(scores, "scores", truth.shape)))
    return truth, checked


def _mean_figures(truth, systems: list[System], groups, level, resamples, seed):
    """Return the systems' mean figures on all clips, and on every draw."""
    if not systems:
        raise InputError("bootstrap: there is no training to take the mean of; give at least one")
    check_level(level)
    means = []
    every = np.ones((1, len(truth)), np.uint16)
    for weights in (every, draw_counts(len(truth), groups, resamples, seed)):
        figures = [weighted_figures(truth, *system, weights) for system in systems]
        means.append({x: np.mean([own[x] for own in figures], axis=0) for x in figures[0]})
    return means


def interval_of(estimate: float, drawn: np.ndarray, level: float) -> Interval:
    """Return a figure with the ends of the interval that holds this share of its draws.

    Draws in which it is nan are ignored; where all are, so are the ends.
    """
    drawn = drawn[~np.isnan(drawn)]
    shares = (1 - level) / 2, (1 + level) / 2
    low, high = np.quantile(drawn, shares) if len(drawn) else (np.nan, np.nan)
    return Interval(float(estimate), float(low), float(high))


def difference_of(estimate: float, drawn: np.ndarray, level: float) -> Difference:
    """Return a difference of two figures as `interval_of` does, with the share of draws above 0."""
    drawn = drawn[~np.isnan(drawn)]
    share = np.mean(drawn > 0) if len(drawn) else np.nan
    return Difference(*interval_of(estimate, drawn, level), float(share))


def check_level(level: float) -> None:
    """Raise InputError for a level that is no fraction."""
    if not 0 < level < 1:
        raise InputError(f"bootstrap: a level of {level} is no fraction between 0 and 1")
