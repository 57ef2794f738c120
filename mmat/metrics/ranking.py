"""Figures of a class's ranking that need no threshold: ROC AUC, d', precision over recall.

Conventions
-----------
Truth is bool, scores any finite numbers, higher for surer; clips of equal score enter together, so
their order in the list changes nothing. Malformed input raises InputError. A class without
positives or without negatives cannot be ranked: a warning, and what chance reaches.

Metrics
-------
- `roc_auc`: how often a clip that has the class scores above one that has not; chance is 0.5.
- `d_prime`: the same as a distance of two normal distributions; chance is 0, perfect infinite.
- `mean_roc_auc`: the mean over the classes that some clips have and some have not.
- `precision_recall_curve`: the operating points that thresholds can reach.

References
----------
J. Hanley, B. McNeil, "The meaning and use of the area under a receiver operating characteristic
(ROC) curve", Radiology 143(1), 1982. J. F. Gemmeke et al., "Audio Set", ICASSP 2017 (d').
"""

import math
import statistics
import warnings
from typing import NamedTuple

import numpy as np

from mmat.metrics import checks

CHANCE = 0.5


class Curve(NamedTuple):
    """Precision over recall, both float64 `(points,)`, from the strictest threshold down."""

    precision: np.ndarray
    recall: np.ndarray


def roc_auc(truth, scores) -> float:
    """Return the area under one class's receiver operating characteristic; ties count half.

    truth: bool `(clips,)`, scores: `(clips,)`. Raises InputError for malformed input; warns and
    returns 0.5 where all clips have the class, or none.

    >>> roc_auc([1, 0, 1, 0], [0.9, 0.8, 0.4, 0.1])
    0.75
    """
    truth, scores = checks.as_one_class(truth, scores)
    n_true = int(truth.sum())
    n_false = len(truth) - n_true
    if not n_true or not n_false:
        warnings.warn("a class that all clips have, or none, has no ROC curve", stacklevel=2)
        return CHANCE
    ranked, ranks = np.unique(scores, return_inverse=True)
    false_at = np.bincount(ranks, ~truth, len(ranked))
    false_below = np.cumsum(false_at) - false_at
    return float((false_below + false_at / 2)[ranks[truth]].sum() / (n_true * n_false))


def d_prime(auc: float) -> float:
    """Return the distance of two unit normal distributions that have that ROC AUC.

    >>> d_prime(0.5), round(d_prime(0.9), 3), d_prime(1.0)
    (0.0, 1.812, inf)
    """
    if not 0 < auc < 1:
        return math.inf if auc >= 1 else -math.inf
    return math.sqrt(2) * statistics.NormalDist().inv_cdf(auc)


def mean_roc_auc(truth, scores) -> float:
    """Return the mean ROC AUC over the classes that some clips have and some have not.

    truth: bool `(clips, classes)`, scores: `(clips, classes)`. Raises InputError if malformed;
    warns and returns 0.5 where there is no such class.

    >>> mean_roc_auc([[1, 0], [0, 0]], [[0.9, 0.5], [0.1, 0.6]])
    1.0
    """
    truth = checks.as_decisions(truth, "truth")
    scores = checks.as_scores(scores, "scores", truth.shape)
    ranked = np.flatnonzero(truth.any(axis=0) & ~truth.all(axis=0))
    if not ranked.size:
        warnings.warn("no class has both clips with and without it; chance is given", stacklevel=2)
        return CHANCE
    return float(np.mean([roc_auc(truth[:, c], scores[:, c]) for c in ranked]))


def precision_recall_curve(truth, scores) -> Curve:
    """Return one class's operating points, one for each distinct score.

    truth: bool `(clips,)`, scores: `(clips,)`. Empty, with a warning, where no clip has the class.
    Raises InputError for malformed input.

    >>> precision_recall_curve([1, 0, 1], [0.9, 0.8, 0.1]).recall
    array([0.5, 0.5, 1. ])
    """
    truth, scores = checks.as_one_class(truth, scores)
    checks.warn_if_empty(truth)
    if not truth.any():
        return Curve(np.zeros(0), np.zeros(0))
    hits, ranks = hits_by_rank(truth, scores)
    return Curve(hits / ranks, hits / hits[-1])


def hits_by_rank(truth: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return, for each distinct score from the highest down, how many clips have it or more.

    truth: bool, scores: both `(clips,)`. Returns those of them that have the class, and all of
    them, `(distinct scores,)` each.

    >>> hits, ranks = hits_by_rank(np.array([True, False, True]), np.array([0.5, 0.5, 0.25]))
    >>> hits.tolist(), ranks.tolist()
    ([1, 2], [2, 3])
    """
    order = np.argsort(-scores.astype(np.float64), kind="stable")
    last_of_tie = np.append(np.diff(scores[order]) != 0, True)
    return np.cumsum(truth[order])[last_of_tie], np.flatnonzero(last_of_tie) + 1
