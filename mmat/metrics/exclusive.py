"""Mutually exclusive classes: which one of them a clip is said to have, against which it has.

Conventions
-----------
Truth and decisions are bool `(clips, classes)` as for tags, but with exactly one label in each row.
Every figure is a fraction in [0, 1]. Malformed input raises InputError; no clips warns and answers
0.

Metrics
-------
- `unweighted_average_recall`: the mean over classes of the share of a class's clips that are found.
  Every class weighs the same, however rare, and chance is 1 / classes. A class without a clip in
  the truth has no recall and is left out.
- `accuracy`: the share of clips that are decided rightly; a common class weighs more.
- `macro_f1`: the mean over classes of F1. A class that is decided without a clip in the truth
  counts as 0; one that is neither in the truth nor decided is left out.
- `confusion_matrix`: how many clips of each class are said to be of each class.

References
----------
B. Schuller, S. Steidl, A. Batliner, "The INTERSPEECH 2009 Emotion Challenge", INTERSPEECH 2009,
which ranks systems by unweighted average recall; scikit-learn calls it balanced accuracy.
J. Opitz, S. Burst, "Macro F1 and Macro F1", arXiv 1911.03347: there are two, this is the mean of the
classes' F1.
"""

import warnings

import numpy as np

from mmat.errors import InputError
from mmat.metrics import checks


def confusion_matrix(truth, decided) -> np.ndarray:
    """Return in how many clips of the row's class the column's was decided, int64.

    truth, decided: bool `(clips, classes)`, one label in each row. Returns `(classes, classes)`.
    Raises InputError for other shapes or values.

    >>> confusion_matrix([[1, 0], [1, 0], [0, 1]], [[1, 0], [0, 1], [0, 1]])
    array([[1, 1],
           [0, 1]])
    """
    truth = one_label(truth, "truth")
    decided = one_label(decided, "decisions")
    checks.same_shape(decided, "decisions", truth.shape)
    if not len(truth):
        warnings.warn("the truth holds no clips; every figure is 0", stacklevel=3)
    n_classes = truth.shape[1]
    if not truth.size:
        return np.zeros((n_classes, n_classes), np.int64)
    pairs = truth.argmax(axis=1) * n_classes + decided.argmax(axis=1)
    return np.bincount(pairs, minlength=n_classes**2).reshape(n_classes, n_classes)


def unweighted_average_recall(truth, decided) -> float:
    """Return the mean recall of the classes that occur in the truth (UAR, balanced accuracy).

    truth, decided: bool `(clips, classes)`, one label in each row. Raises InputError if malformed.

    >>> unweighted_average_recall([[1, 0], [1, 0], [0, 1]], [[1, 0], [0, 1], [0, 1]])
    0.75
    """
    counts = confusion_matrix(truth, decided)
    n_true = counts.sum(axis=1)
    present = n_true > 0
    return _mean(counts.diagonal()[present] / n_true[present])


def accuracy(truth, decided) -> float:
    """Return the share of clips that are decided rightly.

    truth, decided: bool `(clips, classes)`, one label in each row. Raises InputError if malformed.

    >>> accuracy([[1, 0], [1, 0], [0, 1], [0, 1]], [[1, 0], [0, 1], [0, 1], [0, 1]])
    0.75
    """
    counts = confusion_matrix(truth, decided)
    return float(counts.trace() / max(1, counts.sum()))


def macro_f1(truth, decided) -> float:
    """Return the mean F1 of the classes that occur in the truth or among the decisions.

    truth, decided: bool `(clips, classes)`, one label in each row. Raises InputError if malformed.

    >>> macro_f1([[1, 0, 0], [1, 0, 0], [0, 1, 0]], [[1, 0, 0], [0, 1, 0], [0, 1, 0]])
    0.6666666666666666
    """
    counts = confusion_matrix(truth, decided)
    true_or_decided = counts.sum(axis=1) + counts.sum(axis=0)
    there = true_or_decided > 0
    return _mean(2 * counts.diagonal()[there] / true_or_decided[there])


def one_label(values, what: str) -> np.ndarray:
    """Return `values` as bool `(clips, classes)`, one True in each row; raises InputError if not.

    >>> one_label([[0, 1]], "truth")
    array([[False,  True]])
    """
    array = checks.as_decisions(values, what)
    wrong = np.flatnonzero(array.sum(axis=1) != 1)
    if len(wrong):
        n_labels = array[wrong[0]].sum()
        raise InputError(
            f"{what}: clip {wrong[0]} has {n_labels} labels, where classes exclude each other it "
            "has exactly one"
        )
    return array


def _mean(of_classes: np.ndarray) -> float:
    return float(of_classes.mean()) if len(of_classes) else 0.0
