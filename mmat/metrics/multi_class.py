"""Mutually exclusive classes: which one of them is decided of a clip, against which it has.

Conventions
-----------
Truth and decisions are bool `(clips, classes)` as for tags, but with exactly one label in each row
of the truth, and at most one decision: a clip without any is wrong whatever it has. Every figure is
a fraction in [0, 1]. Malformed input raises InputError; no clips warns and returns 0.

Metrics
-------
- `unweighted_average_recall`: the mean over classes of the share of a class's clips that are found.
  Every class weighs the same, however rare, and chance is 1 / classes. A class without a clip in
  the truth has no recall and is left out.
- `accuracy`: the share of clips that are decided rightly; a common class weighs more.
- `macro_f1`: the mean over classes of F1. A class that is decided without a clip in the truth
  counts as 0; one that is neither in the truth nor decided is left out.
- `confusion_matrix`: how many clips of each class are decided to be of each class.

References
----------
B. Schuller, S. Steidl, A. Batliner, "The INTERSPEECH 2009 Emotion Challenge", INTERSPEECH 2009,
which ranks systems by unweighted average recall; scikit-learn calls it balanced accuracy.
J. Opitz, S. Burst, "Macro F1 and Macro F1", arXiv 1911.03347: there are two, this is the mean of
the classes' F1.
"""

import warnings
from typing import NamedTuple

import numpy as np

from mmat.files import InputError
from mmat.metrics import checks


class _Counts(NamedTuple):
    """Of each class, int64 `(classes,)`: clips found, clips that have it, clips decided to."""

    hits: np.ndarray
    n_true: np.ndarray
    n_decided: np.ndarray


def unweighted_average_recall(truth, decided) -> float:
    """Return the mean recall of the classes that occur in the truth (UAR, balanced accuracy).

    truth, decided: bool `(clips, classes)`, one label in each row. Raises InputError if malformed.

    >>> unweighted_average_recall([[1, 0], [1, 0], [0, 1]], [[1, 0], [0, 1], [0, 1]])
    0.75
    """
    hits, n_true, _ = _counts(truth, decided)
    present = n_true > 0
    return _mean(hits[present] / n_true[present])


def accuracy(truth, decided) -> float:
    """Return the share of clips that are decided rightly.

    truth, decided: bool `(clips, classes)`, one label in each row. Raises InputError if malformed.

    >>> accuracy([[1, 0], [1, 0], [0, 1], [0, 1]], [[1, 0], [0, 1], [0, 1], [0, 1]])
    0.75
    """
    hits, n_true, _ = _counts(truth, decided)
    return float(hits.sum() / max(1, n_true.sum()))


def macro_f1(truth, decided) -> float:
    """Return the mean F1 of the classes that occur in the truth or among the decisions.

    truth, decided: bool `(clips, classes)`, one label in each row. Raises InputError if malformed.

    >>> macro_f1([[1, 0, 0], [1, 0, 0], [0, 1, 0]], [[1, 0, 0], [0, 1, 0], [0, 1, 0]])
    0.6666666666666666
    """
    hits, n_true, n_decided = _counts(truth, decided)
    either = n_true + n_decided
    there = either > 0
    return _mean(2 * hits[there] / either[there])


def confusion_matrix(truth, decided) -> np.ndarray:
    """Return in how many clips of the row's class the column's was decided, int64.

    truth, decided: bool `(clips, classes)`, one label in each row. Returns `(classes, classes)`; a
    clip without a decision is in none of its columns. Raises InputError if malformed.

    >>> confusion_matrix([[1, 0], [1, 0], [0, 1]], [[1, 0], [0, 1], [0, 1]])
    array([[1, 1],
           [0, 1]])
    """
    truth, decided = _validated(truth, decided)
    n_classes = truth.shape[1]
    clips, columns = np.nonzero(decided)
    pairs = np.nonzero(truth)[1][clips] * n_classes + columns
    return np.bincount(pairs, minlength=n_classes**2).reshape(n_classes, n_classes)


def _counts(truth, decided) -> _Counts:
    truth, decided = _validated(truth, decided)
    return _Counts(*(part.sum(axis=0) for part in (truth & decided, truth, decided)))


def _validated(truth, decided) -> tuple[np.ndarray, np.ndarray]:
    truth, decided = checks.as_decision_pair(truth, decided)
    if not len(truth):
        warnings.warn("the truth holds no clips; every figure is 0", stacklevel=4)
    for array, what, least in ((truth, "truth", 1), (decided, "decisions", 0)):
        n_labels = array.sum(axis=1)
        wrong = np.flatnonzero((n_labels < least) | (n_labels > 1))
        if len(wrong):
            raise InputError(
                f"{what}: clip {wrong[0]} has {n_labels[wrong[0]]} labels, where classes exclude "
                f"each other it has {'one' if least else 'one at most'}"
            )
    return truth, decided


def _mean(of_classes: np.ndarray) -> float:
    return float(of_classes.mean()) if len(of_classes) else 0.0
