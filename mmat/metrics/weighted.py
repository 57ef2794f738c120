"""The headline figures of many draws of the same clips at once.

A draw is how often it has each clip. Every figure is what `mmat.metrics.tagging` and
`mmat.metrics.ranking` give for the drawn clips laid side by side (the tests hold them to that),
but sums over clips become products of matrices, and each class is ranked only once.
"""

from typing import NamedTuple

import numpy as np
import scipy.sparse


class _Ranked(NamedTuple):
    """One class's positives and all its clips, in stretches down the ranking, for every draw."""

    positives: np.ndarray  # (stretches, draws)
    clips: np.ndarray


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


def _weighted_prf(hits, n_fired, n_true) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    # Counts: where a denominator is 0 the numerator is 0 too.
    parts = (hits, n_fired), (hits, n_true), (2 * hits, n_fired + n_true)
    precision, recall, f1 = (above / np.maximum(below, 1) for above, below in parts)
    return precision, recall, f1


def _mean_over_classes(figures: np.ndarray, counted: np.ndarray) -> np.ndarray:
    """Return the mean over classes of `(draws, classes)`, of those that count; else 0."""
    return (figures * counted).sum(axis=1) / np.maximum(counted.sum(axis=1), 1)


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
