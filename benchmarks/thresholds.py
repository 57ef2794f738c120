"""Tuning a threshold a class for micro F1: mmat against a plain loop over every candidate.

    python benchmarks/thresholds.py

The loop is the textbook one: for each class each score is tried as its threshold, and each trial
counts the class's hits over all clips. It is timed on one pass over as many classes as fit in a
few seconds and projected to all of them ("~"); mmat is timed whole: all passes, two starts.
First it is checked that a pass of mmat ends in no lower a micro F1 than a pass of the loop.
"""

import os
import platform
import statistics
import time

import numpy as np
import tabulate

from mmat.metrics.tagging import precision_recall_f1
from mmat.metrics.thresholds import NEVER_FIRES, fire, tune_thresholds

SIZES = [(17, 1_000), (17, 20_000), (527, 1_000), (527, 5_000), (527, 20_000)]
RUNS = 3
LOOP_SECONDS = 4.0


def made_scores(n_classes: int, n_clips: int) -> tuple[np.ndarray, np.ndarray]:
    """Return truth and scores like AudioSet's: rare classes, scores that know something."""
    rng = np.random.default_rng(0)
    rates = rng.uniform(0.0005, 0.02, n_classes) * (17 / n_classes) ** 0.5 * 4
    truth = rng.random((n_clips, n_classes), np.float32) < rates
    noise = rng.standard_normal(truth.shape, np.float32)
    return truth, (1 / (1 + np.exp(3 - 2 * truth - noise))).astype(np.float32)


def plain_pass(truth, scores, limit_seconds: float = np.inf) -> tuple[np.ndarray, int]:
    """Go over the classes once, trying every score; return the thresholds and how many classes."""
    began = time.perf_counter()
    thresholds = np.full(truth.shape[1], NEVER_FIRES, np.float32)
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


def check_equal() -> None:
    """After one pass mmat reaches what the loop reaches, or more, for it has a second start."""
    truth, scores = made_scores(17, 300)
    looped = fire(scores, plain_pass(truth, scores)[0])
    tuned = fire(scores, tune_thresholds(truth, scores, max_passes=1))
    f1 = [precision_recall_f1(truth, fired).f1 for fired in (looped, tuned)]
    assert f1[1] >= f1[0], f1


def main() -> None:
    check_equal()
    rows = []
    for n_classes, n_clips in SIZES:
        truth, scores = made_scores(n_classes, n_clips)
        ours, loops, n_done = [], [], 0
        for _ in range(RUNS):
            began = time.perf_counter()
            tune_thresholds(truth, scores)
            ours.append(time.perf_counter() - began)
            began = time.perf_counter()
            _, n_done = plain_pass(truth, scores, LOOP_SECONDS)
            loops.append((time.perf_counter() - began) * n_classes / n_done)
        about = "" if n_done == n_classes else "~"
        loop, mine = statistics.median(loops), statistics.median(ours)
        rows.append(
            [n_classes, n_clips, f"{mine:.3f}", f"{min(ours):.3f} to {max(ours):.3f}"]
            + [f"{about}{loop:.1f}", f"{about}{min(loops):.1f} to {max(loops):.1f}"]
            + [f"{loop / mine:.0f}"]
        )
    head = ["classes", "clips", "mmat s", "", "one pass of the loop s", "", "times"]
    print(tabulate.tabulate(rows, head, disable_numparse=True))
    print(
        f"\n{os.cpu_count()} cores, {platform.machine()}, NumPy {np.__version__}; medians of {RUNS}"
    )


if __name__ == "__main__":
    main()
