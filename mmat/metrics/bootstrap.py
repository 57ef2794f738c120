"""How far figures may move with the choice of test clips: percentile bootstrap intervals.

Conventions
-----------
Clips are drawn with replacement, as many as there are. With `groups`, one name a clip, whole groups
are drawn with all their clips, for clips that share a source are no independent evidence; a clip
with an empty name is a group of its own. A clip of several sources, given as a tuple of names,
counts as often as the product of how often each of them was drawn. To take clips that are linked by
a source as one group would leave a single one of the mini corpus, whose clips mix recordings. On
made figures of its test clips, 95 % intervals by the product held the true mean in 93 to 100 of
100; those over each clip's first recording in 75 to 90, over clips in 24 to 95. The same seed gives
the same draws: figures of two systems on the same clips are compared in pairs.

A draw is held as how often it has each clip. The headline figures of all draws are computed at
once: every one is what `mmat.metrics.tagging` and `mmat.metrics.ranking` give for the drawn clips
laid side by side (the tests hold them to that), but sums over clips become products of matrices,
and each class is ranked only once. Other figures take a loop over the draws. A draw in which a
figure is nan, such as the correlation of equal values, is ignored; where all are, so are the ends.

Metrics
-------
- `headline_intervals`: the headline figures of one system, each with its interval.
- `paired_difference`: how much more one system reaches than another, with its interval and the
  share of draws in which it is more.
- `mean_intervals`, `mean_difference`: the same of means over several trainings.
- `figure_intervals`, `figure_differences`: the same of any function from arrays to figures by
  name, such as `mmat.metrics.tagging.figures` of a task.

Reference
---------
B. Efron, R. Tibshirani, "An Introduction to the Bootstrap", 1993. A. Owen, D. Eckles,
"Bootstrapping data arrays of arbitrary order", Annals of Applied Statistics 6(3), 2012, for the
product.
"""

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import scipy.sparse

from mmat.files import InputError
from mmat.metrics import checks

Figures = Callable[..., Mapping[str, float]]
Groups = Sequence[str | tuple[str, ...]]  # of each clip
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


def headline_intervals(
    truth,
    fired,
    scores,
    groups: Groups | None = None,
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
    groups: Groups | None = None,
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
    groups: Groups | None = None,
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
    groups: Groups | None = None,
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


def figure_intervals(
    figures: Figures,
    *arrays,
    groups: Groups | None = None,
    level: float = LEVEL,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> dict[str, Interval]:
    """Return `figures(*arrays)`, each with its interval over clips, or over groups of them.

    arrays: any number of arrays with the clips on the first axis. groups: a name a clip. Raises
    InputError where the arrays' lengths differ, and without clips.

    >>> figure_intervals(lambda x: {"mean": x.mean()}, np.ones(20))
    {'mean': Interval(estimate=1.0, low=1.0, high=1.0)}
    """
    arrays = _same_length(arrays)
    drawn = _drawn(lambda clips: figures(*(array[clips] for array in arrays)), len(arrays[0]),
                   groups, level, resamples, seed)  # fmt: skip
    once = figures(*arrays)
    return {name: interval_of(figure, drawn[name], level) for name, figure in once.items()}


def figure_differences(
    figures: Figures,
    truth,
    first: Sequence,
    second: Sequence,
    groups: Groups | None = None,
    level: float = LEVEL,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> dict[str, Difference]:
    """Return by how much each of the second system's figures is above the first's.

    first, second: what each system predicts of the same clips in the same order, the arrays that
    `figures` takes after the truth. Both are measured on the same draws. Of an error such as `mae`
    less is better, and a difference below 0 a gain.

    >>> truth, near, far = np.zeros(9), np.ones(9), np.full(9, 3.0)
    >>> def error(truth, values):
    ...     return {"mae": np.abs(truth - values).mean()}
    >>> figure_differences(error, truth, [far], [near])["mae"].estimate
    -2.0
    """
    truth, *both = _same_length([truth, *first, *second])
    sides = both[: len(first)], both[len(first) :]

    def gains(clips) -> dict[str, float]:
        one, other = (figures(truth[clips], *(x[clips] for x in side)) for side in sides)
        return {name: other[name] - one[name] for name in one}

    drawn = _drawn(gains, len(truth), groups, level, resamples, seed)
    return {
        name: difference_of(gain, drawn[name], level) for name, gain in gains(slice(None)).items()
    }


def draw_counts(
    n_clips: int, groups: Groups | None = None, resamples: int = RESAMPLES, seed: int = 0
) -> np.ndarray:
    """Return how often each of `resamples` draws has each clip: uint16 `(draws, clips)`.

    Draws that hold no clip, which a few clips of several groups may give, are left out. Raises
    InputError without clips, for another number of groups than clips, or too few draws.

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
    members = group_numbers(groups, n_clips)
    n_groups = int(members.max()) + 1
    rng = np.random.default_rng(seed)
    draws = rng.multinomial(n_groups, np.full(n_groups, 1 / n_groups), size=resamples)
    draws = np.column_stack([draws, np.ones(resamples)]).astype(np.uint16)  # the last for the -1
    counts = draws[:, members[:, 0]]
    for column in members.T[1:]:
        counts *= draws[:, column]
    counts = counts[counts.any(axis=1)]
    if not len(counts):
        raise InputError(f"bootstrap: none of {resamples} draws holds all groups of any clip")
    return counts


def group_numbers(groups: Groups | None, n_clips: int) -> np.ndarray:
    """Return the numbers of each clip's groups, from 0, int64 `(clips, most groups of a clip)`.

    Where a clip has fewer, the last are -1. Without groups every clip has its own. Raises
    InputError for another number of groups than clips.

    >>> group_numbers(["b", ("a", "b"), ""], 3).tolist(), group_numbers(None, 2).tolist()
    ([[2, -1], [1, 2], [0, -1]], [[0], [1]])
    """
    if groups is None:
        return np.arange(n_clips)[:, np.newaxis]
    if len(groups) != n_clips:
        raise InputError(f"bootstrap: {len(groups)} groups for {n_clips} clips")
    named = [
        list(dict.fromkeys(name for name in _names(group) if name)) or [f"\0{i}"]
        for i, group in enumerate(groups)
    ]
    lengths = np.array([len(names) for names in named], np.int64)
    numbers = np.unique([name for names in named for name in names], return_inverse=True)[1]
    members = np.full((n_clips, lengths.max(initial=1)), -1)
    members[np.arange(members.shape[1]) < lengths[:, np.newaxis]] = numbers
    return members


def _names(group) -> Sequence[str]:
    return group if isinstance(group, tuple) else (str(group),)


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


def weighted_figures(truth, fired, scores, counts) -> dict[str, np.ndarray]:
    """Return the headline figures by name, float64 `(draws,)` each.

    truth, fired: bool, scores: finite numbers, all `(clips, classes)`; counts: how often each draw
    has each clip, whole numbers `(draws, clips)`. What cannot be computed in a draw is 0.

    >>> weighted_figures(np.eye(2) > 0, np.eye(2) > 0, np.eye(2), np.array([[1, 1], [2, 0]]))["f1"]
    array([1., 1.])
    """
    weights = counts.astype(np.float32)  # whole numbers: sums below 2^24 are exact
    hits, n_fired, n_true = (
        (weights @ part.astype(np.float32)).astype(np.float64)
        for part in (truth & fired, fired, truth)
    )
    micro = _weighted_prf(*(part.sum(axis=1) for part in (hits, n_fired, n_true)))
    present = n_true > 0
    macro = [_mean_over_classes(figure, present) for figure in _weighted_prf(hits, n_fired, n_true)]
    average_precision, auc = _ranking_figures(truth, scores, weights)
    rankable = present & (n_true < weights.sum(axis=1, dtype=np.float64)[:, np.newaxis])
    names = ("precision", "recall", "f1")
    return {
        **dict(zip(names, micro, strict=True)),
        **dict(zip((f"macro_{name}" for name in names), macro, strict=True)),
        "mean_average_precision": _mean_over_classes(average_precision, present),
        "mean_roc_auc": _mean_over_classes(auc, rankable),
    }


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


def _same_length(arrays: Sequence) -> list[np.ndarray]:
    arrays = [np.asarray(array) for array in arrays]
    lengths = sorted({len(array) for array in arrays})
    if len(lengths) != 1 or lengths[0] == 0:
        raise InputError(f"bootstrap: the arrays hold {lengths} clips; give at least one of each")
    return arrays


def _drawn(figures_of: Callable, n_clips: int, groups, level, resamples, seed) -> dict:
    """Return the figures of every draw by name, float64 `(draws,)`."""
    check_level(level)
    clips = np.arange(n_clips)
    with warnings.catch_warnings():
        # A draw may miss every labelled clip: then 0 is its figure, and no news.
        warnings.simplefilter("ignore", UserWarning)
        found = [
            figures_of(np.repeat(clips, times))
            for times in draw_counts(n_clips, groups, resamples, seed)
        ]
    return {name: np.array([each[name] for each in found], np.float64) for name in found[0]}


def _weighted_prf(hits, n_fired, n_true) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    # Counts: where a denominator is 0 the numerator is 0 too.
    parts = (hits, n_fired), (hits, n_true), (2 * hits, n_fired + n_true)
    precision, recall, f1 = (above / np.maximum(below, 1) for above, below in parts)
    return precision, recall, f1


def _mean_over_classes(figures: np.ndarray, counted: np.ndarray) -> np.ndarray:
    """Return the mean over classes of `(draws, classes)`, of those that count; else 0."""
    return (figures * counted).sum(axis=1) / np.maximum(counted.sum(axis=1), 1)


class _Ranked(NamedTuple):
    """One class's positives and all its clips, in stretches down the ranking, for every draw."""

    positives: np.ndarray  # (stretches, draws)
    clips: np.ndarray


def _ranking_figures(truth, scores, weights) -> tuple[np.ndarray, np.ndarray]:
    """Return average precision and ROC AUC, `(draws, classes)` each."""
    by_clip = np.ascontiguousarray(weights.T)
    average_precision, auc = np.zeros((2, len(weights), truth.shape[1]))
    for c in np.flatnonzero(truth.any(axis=0)):
        stretches = _stretches(truth[:, c], scores[:, c], by_clip)
        average_precision[:, c] = _average_precision(stretches)
        auc[:, c] = _auc(stretches)
    return average_precision, auc


def _stretches(truth, scores, by_clip) -> _Ranked:
    """Cut one class's ranking where it matters: around each tie that holds a positive.

    Clips between two such ties act alike, whatever their order, so they are one stretch. A class
    with few positives has few stretches, however many clips there are.
    """
    order = np.argsort(-scores.astype(np.float64), kind="stable")
    truth, ranked = truth[order], scores[order]
    starts = np.flatnonzero(np.append(True, ranked[1:] != ranked[:-1]))
    holds = np.add.reduceat(truth.astype(np.int64), starts) > 0
    starts = starts[holds | np.append(True, holds[:-1])]
    ends = np.append(starts, len(order))
    # A sparse product sums the rows of each stretch in a seventh of the time of `reduceat`.
    return _Ranked(
        *(
            (scipy.sparse.csr_matrix((part, order, ends), (len(starts), len(order))) @ by_clip)
            for part in (truth.astype(np.float32), np.ones(len(order), np.float32))
        )
    )


def _average_precision(ranked: _Ranked) -> np.ndarray:
    hits, clips = (np.cumsum(part, axis=0, dtype=np.float64) for part in ranked)
    precision = hits / np.maximum(clips, 1)
    return (precision * ranked.positives).sum(axis=0) / np.maximum(hits[-1], 1)


def _auc(ranked: _Ranked) -> np.ndarray:
    negatives = (ranked.clips - ranked.positives).astype(np.float64)
    below = negatives.sum(axis=0) - np.cumsum(negatives, axis=0)
    above = (ranked.positives * (below + negatives / 2)).sum(axis=0)
    return above / np.maximum(ranked.positives.sum(axis=0) * negatives.sum(axis=0), 1)
