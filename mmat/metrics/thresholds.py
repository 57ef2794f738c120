"""Decision thresholds, one a class, that make the most of micro F1 on a validation set.

Conventions
-----------
Scores are float32 probabilities `(clips, classes)`. A class fires where score >= threshold:
`fire` is the one place that says so. A threshold of 0 always fires, `NEVER_FIRES` (the next
number above 1) does not even for a score of exactly 1, and stays finite so that it can be stored.

Method
------
`tune_thresholds` climbs one class at a time: with the other classes' counts held, the best of
all thresholds that tell two scores of this class apart is found exactly. It starts with no class
firing, and again from the best threshold shared by all classes, and keeps the better end.

Reference
---------
Y. Wang, J. Li, F. Metze, "A comparison of five multiple instance learning pooling functions for
sound event detection with weak labeling", ICASSP 2019: the code published with it tunes a
threshold a class for micro F1 in the same spirit.
"""

from typing import NamedTuple

import numpy as np

from mmat.files import InputError
from mmat.metrics import checks

NEVER_FIRES = np.nextafter(np.float32(1), np.float32(2))


class _Candidates(NamedTuple):
    """The thresholds worth trying for one class, from none fired to most, and what they do."""

    thresholds: np.ndarray
    hits: np.ndarray
    n_fired: np.ndarray


def fire(scores, thresholds) -> np.ndarray:
    """Return which classes fire: bool, where score >= threshold, both as float32.

    scores: `(..., classes)`, thresholds: `(classes,)` or one for all.

    >>> fire([[0.2, 1.0]], [0.2, NEVER_FIRES])
    array([[ True, False]])
    """
    return np.asarray(scores, np.float32) >= np.asarray(thresholds, np.float32)


def best_single_threshold(truth, scores) -> float:
    """Return the one threshold for all classes that has the best micro F1.

    truth: bool `(clips, classes)`, scores: probabilities of that shape. Of equals the highest is
    taken. Raises InputError for malformed input; warns where there is nothing to find.

    >>> best_single_threshold([[1, 0], [1, 0]], [[0.75, 0.5], [0.875, 0.25]])
    0.625
    """
    truth, scores = _validated(truth, scores)
    candidates = _candidates(truth.ravel(), scores.ravel())
    f1 = _f1(candidates.hits, candidates.n_fired, truth.sum())
    return float(candidates.thresholds[np.argmax(f1)])


def tune_thresholds(truth, scores, max_passes: int = 100) -> np.ndarray:
    """Return float32 thresholds `(classes,)` tuned by coordinate ascent on micro F1.

    truth: bool `(clips, classes)`, scores: probabilities of that shape. Ends when a pass over
    the classes changes nothing, at the latest after `max_passes`. The result is never below
    `best_single_threshold` on the same clips. Raises InputError for malformed input; warns, and
    lets nothing fire, where there is nothing to find.

    >>> tune_thresholds([[1, 0], [1, 0], [0, 1]], [[0.75, 0.5], [0.5, 0.25], [0.25, 1.0]])
    array([0.375, 0.75 ], dtype=float32)
    """
    truth, scores = _validated(truth, scores)
    if max_passes < 1:
        raise InputError(f"thresholds: max_passes is {max_passes}; at least one pass is needed")
    n_classes = truth.shape[1]
    classes = [_candidates(truth[:, c], scores[:, c]) for c in range(n_classes)]
    none = np.full(n_classes, NEVER_FIRES)
    shared = np.full(n_classes, best_single_threshold(truth, scores), np.float32)
    ends = [_ascend(truth, scores, classes, start, max_passes) for start in (none, shared)]
    return max(ends, key=lambda end: end[1])[0]


def _ascend(truth, scores, classes, start, max_passes: int) -> tuple[np.ndarray, float]:
    """Climb from the thresholds `start`; return where no single class can better the F1, and it."""
    thresholds = start.copy()
    fired = fire(scores, thresholds)
    hits, n_fired, n_true = (truth & fired).sum(axis=0), fired.sum(axis=0), truth.sum()
    best = float(_f1(hits.sum(), n_fired.sum(), n_true))
    for _ in range(max_passes):
        before = best
        for c, candidates in enumerate(classes):
            other_hits, other_fired = hits.sum() - hits[c], n_fired.sum() - n_fired[c]
            f1 = _f1(other_hits + candidates.hits, other_fired + candidates.n_fired, n_true)
            k = np.argmax(f1)
            # Integers divided once: equal fractions are equal floats, so > means truly better.
            if f1[k] > best:
                best, thresholds[c] = float(f1[k]), candidates.thresholds[k]
                hits[c], n_fired[c] = candidates.hits[k], candidates.n_fired[k]
        if best == before:
            break
    return thresholds, best


def _candidates(truth: np.ndarray, scores: np.ndarray) -> _Candidates:
    """Return the thresholds of one class that can be best, the highest first.

    A threshold that lets only false alarms in besides what the next higher one fires is never
    better than that one: it is left out, and the list is no longer than the positives.
    """
    order = np.argsort(-scores)
    ranked = scores[order]
    last_of_tie = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True)[: len(ranked)])
    hits = np.cumsum(truth[order])[last_of_tie]
    useful = np.diff(hits, prepend=0) > 0
    ends, hits = last_of_tie[useful], hits[useful]
    return _Candidates(
        np.concatenate([[NEVER_FIRES], _midway(ranked, ends)]).astype(np.float32),
        np.concatenate([[0], hits]),
        np.concatenate([[0], ends + 1]),
    )


def _midway(ranked: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Return thresholds between `ranked[end]` and the next lower score; 0 below the lowest."""
    fires = ranked[ends]
    silent = np.append(ranked, np.float32(0))[ends + 1]
    middle = ((fires.astype(np.float64) + silent) / 2).astype(np.float32)
    # Between neighbouring floats there is no middle: rounding must not let the lower one fire.
    middle = np.where(middle > silent, middle, fires)
    return np.where(ends + 1 == len(ranked), np.float32(0), middle)


def _f1(hits, n_fired, n_true):
    return 2 * hits / np.maximum(n_fired + n_true, 1)


def _validated(truth, scores) -> tuple[np.ndarray, np.ndarray]:
    truth = checks.as_decisions(truth, "truth")
    scores = checks.as_probabilities(scores, "scores", truth.shape)
    checks.warn_if_empty(truth)
    return truth, scores
