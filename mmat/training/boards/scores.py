"""How good a training is on the validation split: as a whole, class by class, as curves."""

from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from mmat.metrics.tagging import mean_average_precision, per_class, precision_recall_f1
from mmat.metrics.thresholds import best_single_threshold, fire
from mmat.training.boards.part import Part

# () -> truth bool (clips, classes), scores (clips, classes): what the model says by now.
ValidationScores = Callable[[], tuple[np.ndarray, np.ndarray]]
CLASS_F1, CURVES, ALL_CLASSES = "val_f1_at_best_single_threshold", "precision_recall", "all classes"
N_THRESHOLDS = 101


class ValidationBoard(Part):
    """Add validation figures to an epoch's logs, and write each class's F1 and its curve.

    The scores are asked for once an epoch. `val_f1` is micro F1 at `val_threshold`, the one
    threshold for all classes that is best for it, `val_map` mean average precision; what the logs
    hold already stays as it is. Each class's F1 is at that threshold too, the curve over all.
    """

    def __init__(self, validation_scores: ValidationScores, names: Sequence[str]):
        self.validation_scores, self.names = validation_scores, names

    def after_checkpoint(self, model, logs, drawing):
        truth, scores = self.validation_scores()
        truth, scores = np.asarray(truth) > 0, np.asarray(scores, np.float32)
        threshold = best_single_threshold(truth, scores)
        fired = fire(scores, threshold)
        logs.setdefault("val_f1", precision_recall_f1(truth, fired).f1)
        logs.setdefault("val_map", mean_average_precision(truth, scores))
        logs.setdefault("val_threshold", threshold)
        for name, figures in zip(self.names, per_class(truth, fired), strict=True):
            tf.summary.scalar(f"{CLASS_F1}/{name}", figures.f1)
        if drawing:
            write_curve(f"{CURVES}/{ALL_CLASSES}", truth.ravel(), scores.ravel())
            for name, *one in zip(self.names, truth.T, scores.T, strict=True):
                write_curve(f"{CURVES}/{name}", *one)


def write_curve(name: str, truth: np.ndarray, scores: np.ndarray) -> None:
    """Write one precision-recall curve for TensorBoard's plugin, at the current step.

    truth: bool `(clips,)`, scores: `(clips,)`.
    """
    from tensorboard.plugins.pr_curve.summary import raw_data_pb

    counts = curve_counts(truth, scores)
    hits, false, _, missed = counts
    precision = hits / np.maximum(hits + false, 1)
    recall = hits / np.maximum(hits + missed, 1)
    summary = raw_data_pb(name, *counts, precision, recall, num_thresholds=N_THRESHOLDS)
    tf.summary.experimental.write_raw_pb(summary.SerializeToString())


def curve_counts(truth: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Count hits, false alarms, silent negatives and misses at thresholds evenly in [0, 1].

    Returns int `(4, N_THRESHOLDS)`. As everywhere, a clip fires at score >= threshold.

    >>> curve_counts(np.array([True, False]), np.array([0.5, 0.25]))[:, [0, 25, 26, 50, 51]]
    array([[1, 1, 1, 1, 0],
           [1, 1, 0, 0, 0],
           [0, 0, 1, 1, 1],
           [0, 0, 0, 0, 1]])
    """
    thresholds = np.linspace(0, 1, N_THRESHOLDS).astype(np.float32)
    scores = np.asarray(scores, np.float32)
    fired = [len(x) - np.searchsorted(np.sort(x), thresholds) for x in (scores[truth], scores)]
    hits, false = fired[0], fired[1] - fired[0]
    return np.stack([hits, false, false[0] - false, hits[0] - hits])
