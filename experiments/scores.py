"""A system's scores, and the thresholds that validation alone gave them."""

from dataclasses import dataclass, replace

import numpy as np

from mmat.metrics.tagging import precision_recall_f1
from mmat.metrics.thresholds import best_single_threshold, fire, tune_thresholds

SHARED_THRESHOLD, CLASS_THRESHOLDS = "shared", "class"


@dataclass(frozen=True)
class Scores:
    """A system's test scores `(clips, classes)` and the thresholds that validation gave it."""

    test: np.ndarray
    thresholds: np.ndarray
    validation_f1: float

    @classmethod
    def tuned(cls, truth, validation, test, how: str) -> "Scores":
        """Tune on validation alone: one threshold for all classes, or one a class.

        With a single recording a class in validation, a threshold a class fits that recording.
        """
        if how == CLASS_THRESHOLDS:
            thresholds = tune_thresholds(truth, validation)
        else:
            shared = best_single_threshold(truth, validation)
            thresholds = np.full(truth.shape[1], shared, np.float32)
        f1 = precision_recall_f1(truth, fire(validation, thresholds)).f1
        return cls(test, thresholds, float(f1))

    @property
    def fired(self) -> np.ndarray:
        """Which classes fire in the test clips, bool `(clips, classes)`."""
        return fire(self.test, self.thresholds)

    def on_test(self, test: np.ndarray) -> "Scores":
        """Return the same thresholds with other test scores."""
        return replace(self, test=test)
