"""Thresholds as mmat tunes them."""

from collections.abc import Callable

from benchmarks.peers.plain_thresholds import made_scores
from mmat.metrics.thresholds import tune_thresholds


def tuned(n_classes: int, n_clips: int) -> Callable:
    truth, scores = made_scores(n_classes, n_clips)

    def run():
        tune_thresholds(truth, scores)

    return run
