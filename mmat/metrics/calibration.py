"""Calibration: whether a score of 0.7 is right in 7 of 10 cases.

Conventions
-----------
Truth is bool, scores are probabilities in [0, 1], both `(clips, classes)`. All pairs of clip and
class are pooled: each is one case, and rare classes are among them as often as common ones. Where
classes exclude each other `winning_class` makes both `(clips, 1)` first: what is measured is then
how often the class with the highest score is the true one, against that score. Malformed input
raises InputError; no clips warns and returns 0. Less is better of every figure.

Cases are put in bins by their score. Bins of equal mass (the default) hold the same number of
cases each, equal scores together; bins of equal width are stretches of [0, 1] of one length.

Metrics
-------
- `expected_calibration_error`: the distance between mean score and rate of true cases, bin by bin,
  averaged over all cases. It is 0 of a calibrated source, but for noise, which adds to it.
- `brier_score`: the mean squared distance between score and truth.
- `log_loss`: the mean cross-entropy, in nats.
- `reliability_curve`: mean score and rate of each bin, with the interval of the rate. On made data
  of 12 to 100 groups with effects of their own, 95 % intervals held the true rate in 90 to 98 of
  100.
- `calibration_intervals`, `calibration_differences`: the first three with their bootstrap
  intervals, over clips or source groups, as `mmat.metrics.bootstrap` draws them. Draws keep the
  bins of all clips. Noise adds to the calibration error again in every draw, so of that figure the
  draws are mirrored at the estimate (the basic bootstrap): of 150 calibrated clips of 20 classes
  the percentile interval never held the true error of 0.001, the basic one in 60 of 100, and from
  an error of 0.02 on in 91 to 95.

References
----------
C. Guo, G. Pleiss, Y. Sun, K. Weinberger, "On Calibration of Modern Neural Networks", ICML 2017,
arXiv 1706.04599. J. Nixon et al., "Measuring Calibration in Deep Learning", CVPR Workshops 2019,
arXiv 1904.01685 (bins of equal mass). G. Brier, "Verification of Forecasts Expressed in Terms of
Probability", Monthly Weather Review 78(1), 1950. A. Davison, D. Hinkley, "Bootstrap Methods and
their Application", 1997 (basic bootstrap). E. Wilson, "Probable Inference, the Law of Succession,
and Statistical Inference", JASA 22, 1927. L. Kish, "Survey Sampling", 1965.
"""

import statistics
import warnings
from typing import NamedTuple

import numpy as np
import scipy.sparse

from mmat.files import InputError
from mmat.metrics import checks
from mmat.metrics.bootstrap import (
    LEVEL,
    RESAMPLES,
    Difference,
    Groups,
    Interval,
    check_level,
    difference_of,
    draw_counts,
    group_numbers,
    interval_of,
)

N_BINS = 15
SMALLEST_PROBABILITY = 1e-6  # in a cross-entropy
ECE = "expected_calibration_error"
FIGURES = (ECE, "brier_score", "log_loss")


class Reliability(NamedTuple):
    """The bins that hold a case, by score: float64 `(bins,)` each, n_cases int64.

    low, high: the ends of the interval of the rate.
    """

    mean_score: np.ndarray
    rate: np.ndarray
    low: np.ndarray
    high: np.ndarray
    n_cases: np.ndarray


def winning_class(truth, scores) -> tuple[np.ndarray, np.ndarray]:
    """Return whether each clip's highest score is that of its class, and that score.

    truth: bool `(clips, classes)`, one label in each row; scores: probabilities of that shape.
    Returns bool and float64, `(clips, 1)` each. Of equal scores the first wins; a clip whose
    scores are all 0 could not be judged and is wrong. Raises InputError if malformed.

    >>> right, score = winning_class([[1, 0], [1, 0]], [[0.75, 0.25], [0.375, 0.625]])
    >>> right[:, 0].tolist(), score[:, 0].tolist()
    ([True, False], [0.75, 0.625])
    """
    truth, scores = _checked(truth, scores)
    if (truth.sum(axis=1) != 1).any():
        raise InputError("truth: where classes exclude each other every clip has one label")
    if not truth.size:
        return np.zeros((0, 1), bool), np.zeros((0, 1))
    best = scores.argmax(axis=1)[:, np.newaxis]
    score = np.take_along_axis(scores, best, axis=1)
    return np.take_along_axis(truth, best, axis=1) & (score > 0), score


def expected_calibration_error(
    truth, scores, n_bins: int = N_BINS, equal_width: bool = False
) -> float:
    """Return the mean distance between score and rate over the cases, bin by bin, in [0, 1].

    truth: bool, scores: probabilities, both `(clips, classes)`. Raises InputError if malformed;
    warns and returns 0 without clips.

    >>> expected_calibration_error([[1], [0], [1], [1]], [[0.25], [0.25], [0.75], [0.75]], 2)
    0.25
    """
    truth, scores = _checked(truth, scores)
    _warn_if_empty(truth)
    gaps = _gaps(truth, scores, _bins(scores, n_bins, equal_width), n_bins)
    return float(np.abs(gaps.sum(axis=0)).sum() / max(1, truth.size))


def brier_score(truth, scores) -> float:
    """Return the mean squared distance between score and truth, in [0, 1].

    truth: bool, scores: probabilities, both `(clips, classes)`. Raises InputError if malformed;
    warns and returns 0 without clips.

    >>> brier_score([[1, 0]], [[0.5, 0.25]])
    0.15625
    """
    truth, scores = _checked(truth, scores)
    _warn_if_empty(truth)
    return float(((scores - truth) ** 2).sum() / max(1, truth.size))


def log_loss(truth, scores) -> float:
    """Return the mean cross-entropy in nats; a probability counts as at least 1e-6.

    truth: bool, scores: probabilities, both `(clips, classes)`. Raises InputError if malformed;
    warns and returns 0 without clips.

    >>> round(log_loss([[1, 0]], [[0.5, 0.5]]), 3)
    0.693
    """
    truth, scores = _checked(truth, scores)
    _warn_if_empty(truth)
    return float(cross_entropies(truth, scores).sum() / max(1, truth.size))


def cross_entropies(truth: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Return the cross-entropy of each score in nats, float64 of their shape.

    >>> cross_entropies(np.array([True, False]), np.array([0.5, 0.0])).round(3).tolist()
    [0.693, 0.0]
    """
    scores = np.clip(np.asarray(scores, np.float64), SMALLEST_PROBABILITY, 1 - SMALLEST_PROBABILITY)
    return -np.log(np.where(truth, scores, 1 - scores))


def reliability_curve(
    truth,
    scores,
    n_bins: int = N_BINS,
    equal_width: bool = False,
    groups: Groups | None = None,
    level: float = LEVEL,
) -> Reliability:
    """Return mean score, rate of true cases and number of cases of each bin that holds any.

    truth: bool, scores: probabilities, both `(clips, classes)`; groups: a name a clip. The interval
    of the rate is Wilson's, for as many independent cases as the bin's clips, or groups, are worth:
    those of one clip often agree. Unlike a bootstrap's it has a width where the rate is 0 or 1.
    Raises InputError if malformed; warns and has no bins without clips.

    >>> curve = reliability_curve([[1], [0], [1], [1]], [[0.25], [0.25], [0.75], [0.75]], 2)
    >>> curve.mean_score.tolist(), curve.rate.tolist(), curve.n_cases.tolist()
    ([0.25, 0.75], [0.5, 1.0], [2, 2])
    """
    check_level(level)
    truth, scores = _checked(truth, scores)
    _warn_if_empty(truth)
    bins = _bins(scores, n_bins, equal_width)
    cells = np.arange(len(truth))[:, np.newaxis] * n_bins + bins
    by_clip = [
        np.bincount(cells.ravel(), weights, len(truth) * n_bins).reshape(len(truth), n_bins)
        for weights in (np.ones(truth.size), truth.ravel(), scores.ravel())
    ]
    held = by_clip[0].any(axis=0)
    by_clip = [part[:, held] for part in by_clip]
    n_cases, n_true, total_score = (part.sum(axis=0) for part in by_clip)
    members = _memberships(group_numbers(groups, len(truth)))
    n_independent = _independent_cases(n_cases, n_true, *(members @ part for part in by_clip[:2]))
    rate = n_true / n_cases
    ends = _wilson(rate, n_independent, level)
    return Reliability(total_score / n_cases, rate, *ends, n_cases.astype(np.int64))


def calibration_intervals(
    truth,
    scores,
    groups: Groups | None = None,
    level: float = LEVEL,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> dict[str, Interval]:
    """Return calibration error, Brier score and log loss, by name, each with its interval.

    truth: bool, scores: probabilities, both `(clips, classes)`; groups: a name a clip. Bins have
    equal mass. Raises InputError if malformed, and without clips.

    >>> truth = np.eye(2, dtype=bool)
    >>> calibration_intervals(truth, truth)["expected_calibration_error"]
    Interval(estimate=0.0, low=0.0, high=0.0)
    """
    once, drawn = _figures(truth, scores, groups, level, resamples, seed)
    found = {name: interval_of(once[name][0], drawn[name], level) for name in FIGURES}
    found[ECE] = Interval(*np.clip(found[ECE], 0, 1).tolist())  # a mirrored draw may lie below 0
    return found


def calibration_differences(
    first: tuple,
    second: tuple,
    groups: Groups | None = None,
    level: float = LEVEL,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> dict[str, Difference]:
    """Return by how much each figure of the second system is above the first's, paired over clips.

    first, second: `(truth, scores)` of each, as `calibration_intervals` takes them, of the same
    clips in the same order. (Where classes exclude each other `winning_class` gives each system a
    truth of its own.) Less is better: a difference below 0 is a gain. Raises InputError if
    malformed, and without clips.

    >>> truth, unsure = np.eye(2, dtype=bool), np.full((2, 2), 0.5)
    >>> calibration_differences((truth, unsure), (truth, truth))["brier_score"].estimate
    -0.25
    """
    options = groups, level, resamples, seed
    first_once, first_drawn = _figures(*first, *options)
    once, drawn = _figures(*second, *options)
    return {
        name: difference_of(
            once[name][0] - first_once[name][0], drawn[name] - first_drawn[name], level
        )
        for name in FIGURES
    }


def _figures(truth, scores, groups, level, resamples, seed) -> list[dict[str, np.ndarray]]:
    """Return the figures on all clips, `(1,)`, and on every draw; those of the error mirrored."""
    check_level(level)
    truth, scores = _checked(truth, scores)
    _warn_if_empty(truth)
    draws = draw_counts(len(truth), groups, resamples, seed)
    by_clip = np.column_stack([
        _gaps(truth, scores, _bins(scores, N_BINS, False), N_BINS),
        ((scores - truth) ** 2).sum(axis=1),
        cross_entropies(truth, scores).sum(axis=1),
    ])  # fmt: skip
    found = []
    for weights in (np.ones((1, len(truth))), draws.astype(np.float64)):
        n_cases = weights.sum(axis=1) * truth.shape[1]
        *gaps, squares, entropies = (weights @ by_clip).T / n_cases
        error = np.abs(gaps).sum(axis=0)
        found.append(dict(zip(FIGURES, (error, squares, entropies), strict=True)))
    once, drawn = found
    drawn[ECE] = 2 * once[ECE] - drawn[ECE]
    return found


def _checked(truth, scores) -> tuple[np.ndarray, np.ndarray]:
    truth = checks.as_decisions(truth, "truth")
    return truth, checks.as_probabilities(scores, "scores", truth.shape).astype(np.float64)


def _warn_if_empty(truth: np.ndarray) -> None:
    if not truth.size:
        warnings.warn("the truth holds no clips; every figure is 0", stacklevel=3)


def _bins(scores: np.ndarray, n_bins: int, equal_width: bool) -> np.ndarray:
    """Return the bin of each score, from 0 for the lowest; int64 of their shape."""
    if n_bins < 1:
        raise InputError(f"calibration: {n_bins} bins; at least one is needed")
    if equal_width:
        return np.minimum((scores * n_bins).astype(np.int64), n_bins - 1)
    if not scores.size:
        return np.zeros(scores.shape, np.int64)
    starts = np.arange(1, n_bins) * scores.size // n_bins
    return np.searchsorted(np.sort(scores, axis=None)[starts], scores, side="right")


def _gaps(truth, scores, bins, n_bins: int) -> np.ndarray:
    """Return score less truth, summed over each clip's cases in each bin: `(clips, bins)`."""
    cells = np.arange(len(truth))[:, np.newaxis] * n_bins + bins
    gaps = np.bincount(cells.ravel(), (scores - truth).ravel(), len(truth) * n_bins)
    return gaps.reshape(len(truth), n_bins)


def _memberships(numbers: np.ndarray) -> scipy.sparse.csr_matrix:
    """Return which clips each group has, `(groups, clips)`, from `group_numbers`."""
    clips, columns = np.nonzero(numbers >= 0)
    shape = int(numbers.max(initial=-1)) + 1, len(numbers)
    return scipy.sparse.csr_matrix((np.ones(len(clips)), (numbers[clips, columns], clips)), shape)


def _independent_cases(n_cases, n_true, of_groups, true_of_groups) -> np.ndarray:
    """Return how many independent cases would tell each bin's rate as well as its groups do.

    n_cases, n_true: of each bin, `(bins,)`; of_groups, true_of_groups: those of each group,
    `(groups, bins)`. The variance of the rate is the jackknife's over groups. The answer is at most
    the number of cases, and at least Kish's number, which holds if all cases of a group agree; that
    is taken where nothing varies.
    """
    rate = n_true / n_cases
    if_all_agree = n_cases**2 / (of_groups**2).sum(axis=0)
    others = np.maximum(n_cases - of_groups, 1)
    moves = (true_of_groups - rate * of_groups) / others  # of the rate, where a group is left out
    n_held = (of_groups > 0).sum(axis=0)
    variance = (moves**2).sum(axis=0) * (n_held - 1) / n_held
    varies = (variance > 0) & (n_held > 1)
    found = np.where(varies, rate * (1 - rate) / np.where(varies, variance, 1), if_all_agree)
    return np.clip(found, np.maximum(if_all_agree, 1), n_cases)


def _wilson(rate: np.ndarray, n: np.ndarray, level: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the ends of Wilson's score interval; n need not be whole, as SciPy's must."""
    z = statistics.NormalDist().inv_cdf((1 + level) / 2)
    middle = (rate + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(rate * (1 - rate) / n + (z / (2 * n)) ** 2)
    return np.clip(middle - half, 0, rate), np.clip(middle + half, rate, 1)
