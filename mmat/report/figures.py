"""The figures of an evaluation, as `report.json` holds them: fractions, each with its interval."""

import math
from collections.abc import Sequence

import numpy as np

from mmat.metrics.bootstrap import headline_intervals, paired_difference
from mmat.metrics.curves import REACT_FAST, TELL_APART, psds, segment_curves
from mmat.metrics.events import segment_f1
from mmat.metrics.ranking import d_prime, mean_roc_auc, roc_auc
from mmat.metrics.tagging import average_precision, per_class

RANKING_FIGURES = ("mean_average_precision", "mean_roc_auc")


def headline(truth, fired, scores, groups: Sequence[str] | None, resamples: int) -> dict:
    """Return every headline figure with its 95 % interval over clips, and over source groups.

    truth, fired: bool, scores: float, all `(clips, classes)`; groups: a name a clip, or None.
    """
    by_clip = headline_intervals(truth, fired, scores, resamples=resamples)
    intervals = {"clips": _plain(by_clip)}
    if groups is not None:
        by_group = headline_intervals(truth, fired, scores, groups, resamples=resamples)
        intervals["source_groups"] = _plain(by_group)
    auc = mean_roc_auc(truth, scores) if _rankable(truth).any() else None
    return {
        **{name: interval.estimate for name, interval in by_clip.items()},
        "mean_roc_auc": auc,
        "d_prime": _finite(d_prime(auc)) if auc is not None else None,
        "intervals": {
            over: {name: {"low": each["low"], "high": each["high"]} for name, each in of.items()}
            for over, of in intervals.items()
        },
    }


def classes(truth, fired, scores, thresholds, labels: Sequence[str]) -> dict[str, dict]:
    """Return the figures of each class by its label; None where a figure has no meaning."""
    rankable = _rankable(truth)
    found = {}
    for c, (label, prf) in enumerate(zip(labels, per_class(truth, fired), strict=True)):
        true, says = truth[:, c], fired[:, c]
        auc = roc_auc(true, scores[:, c]) if rankable[c] else None
        found[label] = {
            **prf._asdict(),
            "average_precision": average_precision(true, scores[:, c]) if true.any() else None,
            "roc_auc": auc,
            "d_prime": None if auc is None else _finite(d_prime(auc)),
            "threshold": float(thresholds[c]),
            "clips": int(true.sum()),
            "hits": int((true & says).sum()),
            "missed": int((true & ~says).sum()),
            "false_alarms": int((~true & says).sum()),
        }
    return found


def branch(truth, scores, fused_scores, groups: Sequence[str] | None, resamples: int) -> dict:
    """Return how one branch ranks the clips by itself, and by how much the fusion ranks better.

    Only figures without a threshold: the model's thresholds are tuned for the fused scores.
    """
    silent = np.zeros_like(truth)
    over = {"clips": None} | ({"source_groups": groups} if groups is not None else {})
    gains = {
        name: paired_difference(
            truth, (silent, scores), (silent, fused_scores), of, resamples=resamples
        )
        for name, of in over.items()
    }
    alone = headline_intervals(truth, silent, scores, resamples=1)
    return {
        **{name: alone[name].estimate for name in RANKING_FIGURES},
        "average_precision": [
            average_precision(truth[:, c], scores[:, c]) if truth[:, c].any() else None
            for c in range(truth.shape[1])
        ],
        "fused_above_it": {
            name: {figure: gain[figure]._asdict() for figure in RANKING_FIGURES}
            for name, gain in gains.items()
        },
    }


def detection(
    truth_events, found_events, frame_scores, clip_seconds, hop_seconds: float, n_classes: int
) -> dict:
    """Return the figures of when: over segments of a second, and PSDS if there are frame scores."""
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


def _rankable(truth) -> np.ndarray:
    return truth.any(axis=0) & ~truth.all(axis=0)


def _plain(intervals: dict) -> dict:
    return {name: interval._asdict() for name, interval in intervals.items()}


def _finite(value: float) -> float | None:
    """JSON has no infinity."""
    return value if math.isfinite(value) else None
