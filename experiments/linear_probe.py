"""The usual way to learn from few recordings: logistic regression on a frozen network's embeddings.

It is what users of BirdNET-Analyzer and of Perch do. Embeddings are standardised by the training
clips, but no number of them by less than a tenth of the numbers' root mean square deviation: what
hardly moved in a few clips would outweigh all else in others. (Chosen on the mini corpus's
validation clips, where it lifts mAP at one recording a class from 48 to 60 %.) How strongly the
weights are held, scikit-learn's `C`, is chosen by cross-validation over the source groups of the
training clips, in the folds that `mmat.training.learn` has too; where nothing can be held out it is
scikit-learn's default. Labels that exclude each other share one regression, of others each has its
own. scikit-learn comes with the extra `dev`.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np
import scipy.linalg
from sklearn.linear_model import LogisticRegression

from mmat.labels import Task
from mmat.lists.splits import group_folds

GRID = tuple(float(f"1e{power}") for power in range(-6, 2))  # of `C`, of standardised numbers
DEFAULT_C = 1.0
LEAST_SPREAD = 0.1
MOST_STEPS, TOLERANCE = 1000, 1e-6
SMALLEST = 1e-7  # of a probability, so that its logarithm is finite


@dataclasses.dataclass(frozen=True)
class LinearProbe:
    """Regressions on standardised embeddings: `models` has one of all classes, or one a class.

    A class without a clip, or without one that lacks it, has its constant share in place of a
    model. basis: `(size, directions)`, the directions in which training clips lie.
    """

    task: Task
    scaler: "Scaler"
    basis: np.ndarray
    models: "Regressions"
    c: float

    def scores(self, embeddings: np.ndarray) -> np.ndarray:
        """Return scores `(clips, classes)` of embeddings `(clips, size)`; NaN is a missing part."""
        return self.models.scores(self.scaler(embeddings) @ self.basis)


@dataclasses.dataclass(frozen=True)
class Scaler:
    """Standardises embeddings to a mean square length of about 1.

    `C` times the size is then what `C` is of standardised numbers, and the optimizer, which
    stumbles over lengths of fifty, finds the minimum. center, spread: `(size,)`.
    """

    center: np.ndarray
    spread: np.ndarray

    @classmethod
    def of(cls, embeddings: np.ndarray) -> "Scaler":
        """Learn the scale of embeddings `(clips, size)`; what is NaN is left out."""
        embeddings = np.asarray(embeddings, np.float64)
        center, spread = np.nanmean(embeddings, axis=0), np.nanstd(embeddings, axis=0)
        typical = np.sqrt(np.nanmean(spread**2)) or 1.0
        return cls(center, np.maximum(spread, LEAST_SPREAD * typical))

    def __call__(self, embeddings: np.ndarray) -> np.ndarray:
        """Return embeddings `(clips, size)`, a missing part as in the mean clip."""
        scaled = (embeddings - self.center) / self.spread
        return np.nan_to_num(scaled) / np.sqrt(embeddings.shape[1])


@dataclasses.dataclass(frozen=True)
class Regressions:
    """Fitted regressions, each with the classes whose scores it gives; constants of the others."""

    constants: np.ndarray
    fitted: list[tuple[np.ndarray, LogisticRegression]]

    @classmethod
    def of(cls, inputs: np.ndarray, truth: np.ndarray, task: Task, c: float) -> "Regressions":
        """Fit them to inputs `(clips, directions)`, truth: bool `(clips, classes)`."""
        rates, fitted = truth.mean(axis=0), []
        if task.is_multi_class:
            if (rates > 0).sum() > 1:
                classes = np.flatnonzero(rates)
                fitted.append((classes, _regression(c).fit(inputs, truth.argmax(axis=1))))
        else:
            for label in np.flatnonzero((rates > 0) & (rates < 1)):
                own = _regression(c).fit(inputs, truth[:, label])
                fitted.append((np.array([label]), own))
        return cls(rates, fitted)

    def scores(self, inputs: np.ndarray) -> np.ndarray:
        """Return scores `(clips, classes)`."""
        scores = np.tile(self.constants, (len(inputs), 1))
        for classes, model in self.fitted:
            scores[:, classes] = model.predict_proba(inputs)[:, -len(classes) :]
        return scores

    @property
    def learnt(self) -> np.ndarray:
        """The classes that have a regression."""
        return np.concatenate([classes for classes, _ in self.fitted] or [[]]).astype(np.int64)


def fit_probe(
    embeddings: np.ndarray, truth: np.ndarray, groups: Sequence[tuple[str, ...]], task: Task
) -> LinearProbe:
    """Fit a probe to embeddings `(clips, size)`, NaN where a clip lacks a part of them.

    truth: bool `(clips, classes)`; groups: the names of each clip's source groups.

    >>> from mmat.labels import MULTI_CLASS
    >>> probe = fit_probe(np.eye(2), np.eye(2) > 0, [("a",), ("b",)], MULTI_CLASS)
    >>> probe.c, probe.scores(np.eye(2)).argmax(axis=1).tolist()
    (1.0, [0, 1])
    """
    scaler = Scaler.of(embeddings)
    scaled = scaler(embeddings)
    # Weights in any other direction would stay 0: the same minimum, found much sooner.
    basis = scipy.linalg.orth(scaled.T)
    inputs, size = scaled @ basis, embeddings.shape[1]
    c = choose_c(inputs, truth, groups, task, size)
    return LinearProbe(task, scaler, basis, Regressions.of(inputs, truth, task, c * size), c)


def choose_c(
    inputs: np.ndarray,
    truth: np.ndarray,
    groups: Sequence[tuple[str, ...]],
    task: Task,
    size: int,
) -> float:
    """Return the `C` of the least cross-entropy on held-out clips; classes not learnt are left out.

    inputs: `(clips, directions)`, truth: bool `(clips, classes)`; size: of an embedding.
    """
    losses = np.zeros(len(GRID))
    for learnt, held_out in group_folds(groups):
        for place, c in enumerate(GRID):
            models = Regressions.of(inputs[learnt], truth[learnt], task, c * size)
            scores = np.clip(models.scores(inputs[held_out]), SMALLEST, 1 - SMALLEST)
            own, scores = truth[held_out][:, models.learnt], scores[:, models.learnt]
            losses[place] -= np.log(scores[own]).sum()
            if not task.is_multi_class:
                losses[place] -= np.log(1 - scores[~own]).sum()
    return GRID[int(losses.argmin())] if losses.any() else DEFAULT_C


def _regression(c: float) -> LogisticRegression:
    return LogisticRegression(C=c, max_iter=MOST_STEPS, tol=TOLERANCE)
