"""The figures of an evaluation, as `report.json` holds them: mostly fractions, with intervals."""

import functools
import math
from collections.abc import Sequence

import numpy as np

from mmat.labels import MULTI_LABEL, Task
from mmat.metrics import tagging
from mmat.metrics.bootstrap import (
    Groups,
    figure_differences,
    figure_intervals,
    headline_intervals,
    paired_difference,
)
from mmat.metrics.calibration import (
    calibration_differences,
    calibration_intervals,
    reliability_curve,
    winning_class,
)
from mmat.metrics.decisions import decide
from mmat.metrics.events import segment_f1
from mmat.metrics.multi_class import confusion_matrix
from mmat.metrics.psds import REACT_FAST, TELL_APART, psds, segment_curves
from mmat.metrics.ranking import d_prime, mean_roc_auc, roc_auc

RANKING_FIGURES = ("mean_average_precision", "mean_roc_auc")
DRAWN_BINS = 10  # of equal width: those of equal mass would crowd at 0, where most scores are


def whole(task: Task, truth, fired, scores, groups: Groups | None, resamples: int) -> dict:
    """Return the figures of a model as a whole, whatever its task.

    Multi-label: `headline`. Multi-class: that too, for the decisions are tags as well, and
    `of_task`, whose macro F1 it is; `confusion`, clips by class (rows) and decision. Regression:
    `of_task`.
    """
    measured = truth, fired, scores, groups, resamples
    if task == MULTI_LABEL:
        return headline(*measured)
    own = of_task(task, *measured)
    if task.is_regression:
        return own
    tags, intervals = headline(*measured), own["intervals"]
    joined = {over: tags["intervals"][over] | of for over, of in intervals.items()}
    counts = confusion_matrix(truth, fired).tolist()
    return tags | own | {"intervals": joined, "confusion": counts}


def of_task(task: Task, truth, fired, scores, groups: Groups | None, resamples: int) -> dict:
    """Return the figures of the task with their 95 % intervals; None where one is not defined."""
    intervals, found = {}, {}
    for name, of in _over(groups).items():
        found = figure_intervals(
            functools.partial(tagging.figures, task), truth, fired, scores,
            groups=of, resamples=resamples,
        )  # fmt: skip
        intervals[name] = {
            figure: {"low": finite(each.low), "high": finite(each.high)}
            for figure, each in found.items()
        }
    return {name: finite(each.estimate) for name, each in found.items()} | {"intervals": intervals}


def calibration(task: Task, truth, scores, groups: Groups | None, resamples: int) -> dict:
    """Return what a model's scores mean: the figures of `mmat.metrics.calibration` and its curve.

    Each figure has its 95 % interval over clips, and over source groups. `reliability`: mean score,
    rate, the ends of the rate's interval (over source groups where they are known) and number of
    cases, of stretches of the scores. Not for a regression, whose values are no probabilities.
    """
    cases = _cases(task, truth, scores)
    found = {
        over: calibration_intervals(*cases, of, resamples=resamples)
        for over, of in _over(groups).items()
    }
    curve = reliability_curve(*cases, DRAWN_BINS, equal_width=True, groups=groups)
    return {
        **{name: interval.estimate for name, interval in found["clips"].items()},
        "intervals": {
            over: {name: {"low": each.low, "high": each.high} for name, each in of.items()}
            for over, of in found.items()
        },
        "reliability": {name: part.tolist() for name, part in curve._asdict().items()},
    }


def comparison(
    task: Task, truth, other: tuple, own: tuple, groups: Groups | None, resamples: int
) -> dict:
    """Return another model's figures on the same clips, and by how much the model is above them.

    other, own: `(fired, scores)` of each. Returns the other's figures as `whole` and `calibration`
    give them, and `model_above_it`: the paired differences, over clips and over source groups.
    """
    found = whole(task, truth, *other, groups, resamples)
    if not task.is_regression:
        found["calibration"] = calibration(task, truth, other[1], groups, resamples)
    gains = {}
    for over, of in _over(groups).items():
        gains[over] = difference(task, truth, other, own, groups=of, resamples=resamples)
        if not task.is_regression:
            pair = (_cases(task, truth, scores) for _, scores in (other, own))
            found_gains = calibration_differences(*pair, of, resamples=resamples)
            gains[over] |= {name: gain._asdict() for name, gain in found_gains.items()}
    return found | {"model_above_it": gains}


def constant(task: Task, validation, truth) -> dict:
    """Return the figures on `truth` of the constant prediction that is best on validation.

    Multi-label: the set of labels with the best micro F1. Multi-class: the most common class.
    Regression: the median, which has the least mean absolute error.
    """
    if task == MULTI_LABEL:
        return tagging.best_constant(validation, truth).test._asdict()
    if task.is_regression:
        predicted = np.median(validation, axis=0)
    else:
        predicted = np.arange(truth.shape[1]) == validation.sum(axis=0).argmax()
    every = np.tile(predicted, (len(truth), 1))
    found = tagging.figures(task, truth, every, every)
    return {name: finite(figure) for name, figure in found.items()}


def headline(truth, fired, scores, groups: Groups | None, resamples: int) -> dict:
    """Return every headline figure with its 95 % interval over clips, and over source groups.

    truth, fired: bool, scores: float, all `(clips, classes)`; groups: a name a clip, or None.
    """
    found = {
        over: headline_intervals(truth, fired, scores, of, resamples=resamples)
        for over, of in _over(groups).items()
    }
    auc = mean_roc_auc(truth, scores) if _rankable(truth).any() else None
    return {
        **{name: interval.estimate for name, interval in found["clips"].items()},
        "mean_roc_auc": auc,
        "d_prime": finite(d_prime(auc)) if auc is not None else None,
        "intervals": {
            over: {name: {"low": each.low, "high": each.high} for name, each in of.items()}
            for over, of in found.items()
        },
    }


def classes(truth, fired, scores, thresholds, labels: Sequence[str]) -> dict[str, dict]:
    """Return the figures of each class by its label; None where a figure has no meaning."""
    rankable = _rankable(truth)
    found = {}
    for c, (label, prf) in enumerate(zip(labels, tagging.per_class(truth, fired), strict=True)):
        true, fires = truth[:, c], fired[:, c]
        auc = roc_auc(true, scores[:, c]) if rankable[c] else None
        precision = tagging.average_precision(true, scores[:, c]) if true.any() else None
        found[label] = {
            **prf._asdict(),
            "average_precision": precision,
            "roc_auc": auc,
            "d_prime": None if auc is None else finite(d_prime(auc)),
            "threshold": float(thresholds[c]),
            "clips": int(true.sum()),
            "hits": int((true & fires).sum()),
            "missed": int((true & ~fires).sum()),
            "false_alarms": int((~true & fires).sum()),
        }
    return found


def branch(
    truth,
    scores,
    fused_scores,
    groups: Groups | None,
    resamples: int,
    task: Task = MULTI_LABEL,
) -> dict:
    """Return how good one branch is by itself, and by how much the fusion is above it.

    Multi-label: only figures without a threshold, since the model's thresholds are tuned for the
    fused scores. Else the figures of the task.
    """
    if task.is_regression:
        return _branch_of_task(task, truth, scores, fused_scores, groups, resamples)
    own = {
        "average_precision": [
            tagging.average_precision(truth[:, c], scores[:, c]) if truth[:, c].any() else None
            for c in range(truth.shape[1])
        ]
    }
    if task.is_multi_class:
        return own | _branch_of_task(task, truth, scores, fused_scores, groups, resamples)
    silent = np.zeros_like(truth)
    gains = {
        name: paired_difference(
            truth, (silent, scores), (silent, fused_scores), of, resamples=resamples
        )
        for name, of in _over(groups).items()
    }
    alone = headline_intervals(truth, silent, scores, resamples=1)
    return {
        **{name: alone[name].estimate for name in RANKING_FIGURES},
        **own,
        "fused_above_it": {
            name: {figure: gain[figure]._asdict() for figure in RANKING_FIGURES}
            for name, gain in gains.items()
        },
    }


def branch_names(task: Task) -> tuple[str, ...]:
    """Return the names of the figures that `branch` has, the one to look at first."""
    return RANKING_FIGURES if task == MULTI_LABEL else tagging.figure_names(task)


def difference(task: Task, truth, first: tuple, second: tuple, **options) -> dict[str, dict]:
    """Return by how much each figure of the second system is above the first's, paired over clips.

    first, second: `(fired, scores)` of each; options as `mmat.metrics.bootstrap.paired_difference`.
    """
    if task == MULTI_LABEL:
        gains = paired_difference(truth, first, second, **options)
    else:
        of = functools.partial(tagging.figures, task)
        gains = figure_differences(of, truth, first, second, **options)
    return {
        name: {end: finite(x) for end, x in gain._asdict().items()} for name, gain in gains.items()
    }


def _branch_of_task(task: Task, truth, scores, fused_scores, groups, resamples: int) -> dict:
    pair = [(decide(task, each, 0.0), each) for each in (scores, fused_scores)]
    alone = tagging.figures(task, truth, *pair[0])
    return {
        **{name: finite(figure) for name, figure in alone.items()},
        "fused_above_it": {
            name: difference(task, truth, *pair, groups=of, resamples=resamples)
            for name, of in _over(groups).items()
        },
    }


def detection(
    truth_events, found_events, frame_scores, clip_seconds, hop_seconds: float, n_classes: int
) -> dict:
    """Return the figures of events: over segments of 1 s, and PSDS if there are frame scores."""
    segments = segment_f1(truth_events, found_events, n_classes, clip_seconds)._asdict()
    if frame_scores is None:
        return {"segments": segments}
    inputs = frame_scores, truth_events, clip_seconds
    areas = segment_curves(*inputs, hop_seconds=hop_seconds).values()
    return {
        "segments": segments
        | {"mean_average_precision": float(np.mean([each.average_precision for each in areas]))},
        "psds": {
            "react_fast": psds(*inputs, REACT_FAST, hop_seconds),
            "tell_apart": psds(*inputs, TELL_APART, hop_seconds),
        },
    }


def confusion(truth, fired) -> np.ndarray:
    """Return in how many clips the row's class was missed and the column's fired falsely.

    >>> confusion(np.array([[True, False]]), np.array([[False, True]])).tolist()
    [[0, 1], [0, 0]]
    """
    return (truth & ~fired).astype(np.int64).T @ (~truth & fired).astype(np.int64)


def _cases(task: Task, truth, scores) -> tuple:
    """Return truth and scores of which calibration is measured: of classes, the winning one's."""
    scores = np.clip(scores, 0, 1)  # a mean of probabilities may be 1 and a rounding more
    return winning_class(truth, scores) if task.is_multi_class else (truth, scores)


def _rankable(truth) -> np.ndarray:
    return truth.any(axis=0) & ~truth.all(axis=0)


def _over(groups: Groups | None) -> dict[str, Groups | None]:
    """What intervals are over, by name: clips, and source groups where they are known."""
    return {"clips": None} | ({"source_groups": groups} if groups is not None else {})


def finite(value: float) -> float | None:
    """Return a number as it is, and None for one that JSON has no word for.

    >>> finite(0.5), finite(float("nan"))
    (0.5, None)
    """
    return value if math.isfinite(value) else None
