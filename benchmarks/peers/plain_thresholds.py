"""A threshold a class for micro F1 by the textbook loop over every candidate."""

import time
from collections.abc import Callable

import numpy as np

from benchmarks.contest import Seconds

LOOP_SECONDS = 4.0


def made_scores(n_classes: int, n_clips: int) -> tuple[np.ndarray, np.ndarray]:
    """Return truth and scores like AudioSet's: rare classes, scores that know something."""
    rng = np.random.default_rng(0)
    rates = rng.uniform(0.0005, 0.02, n_classes) * (17 / n_classes) ** 0.5 * 4
    truth = rng.random((n_clips, n_classes), np.float32) < rates
    noise = rng.standard_normal(truth.shape, np.float32)
    return truth, (1 / (1 + np.exp(3 - 2 * truth - noise))).astype(np.float32)


def looped(n_classes: int, n_clips: int) -> Callable:
    """Return a run of one pass that says its seconds, projected from the classes it came to."""
    truth, scores = made_scores(n_classes, n_clips)

    def run() -> Seconds:
        began = time.perf_counter()
        _, n_done = plain_pass(truth, scores, LOOP_SECONDS)
        return Seconds((time.perf_counter() - began) * n_classes / n_done)

    return run


def plain_pass(truth, scores, limit_seconds: float = np.inf) -> tuple[np.ndarray, int]:
    """Go over the classes once, trying every score; return the thresholds and how many classes."""
    began = time.perf_counter()
    thresholds = np.full(truth.shape[1], np.inf, np.float32)
    hits = fired = 0
    n_true, best = truth.sum(), 0.0
    for c in range(truth.shape[1]):
        chosen = 0, 0
        for candidate in np.unique(scores[:, c]):
            fires = scores[:, c] >= candidate
            counts = np.count_nonzero(truth[:, c] & fires), np.count_nonzero(fires)
            f1 = 2 * (hits + counts[0]) / (fired + counts[1] + n_true)
            if f1 > best:
                best, thresholds[c], chosen = f1, candidate, counts
        hits, fired = hits + chosen[0], fired + chosen[1]
        if time.perf_counter() - began > limit_seconds:
            return thresholds, c + 1
    return thresholds, truth.shape[1]
