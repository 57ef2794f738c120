"""Audio tagging: which classes are decided to sound in a clip, against which do.

Conventions
-----------
Truth and decisions are bool `(clips, classes)`, scores any finite numbers of that shape, higher
for surer. Every figure is a fraction in [0, 1]. A fraction without a denominator (nothing fired,
nothing to find) is 0. Malformed input raises InputError; empty input warns and returns 0.

Metrics
-------
- `precision_recall_f1`: over all decisions pooled (micro), the figure that ranks systems here.
- `per_class`, `macro`: class by class, and the mean over the classes that occur in the truth.
- `average_precision`, `mean_average_precision`: ranking quality without any threshold.
- `best_constant`: what the same decision for every clip can reach at most.
- `figures`, `figure_names`: the figures of a task, whether its labels are tags, one of several, or
  values; those of the other tasks are `mmat.metrics.multi_class`'s and `mmat.metrics.regression`'s.

Reference
---------
A. Mesaros, T. Heittola, T. Virtanen, "Metrics for Polyphonic Sound Event Detection", Applied
Sciences 6(6), 2016.
"""

from typing import NamedTuple

import numpy as np

from mmat.files import InputError
from mmat.labels import Task
from mmat.metrics import checks
from mmat.metrics.multi_class import accuracy, macro_f1, unweighted_average_recall
from mmat.metrics.ranking import hits_by_rank
from mmat.metrics.regression import RegressionFigures, regression_figures

NO_SHARES = ("mae", "pearson")  # all other figures are shares, in [0, 1]
SHORT = {"mean_average_precision": "map"}  # as the logs of a training name it
_OF_SIGNS = "negative_or"


class PRF(NamedTuple):
    """Precision, recall and their harmonic mean, in [0, 1]."""

    precision: float
    recall: float
    f1: float


class ConstantPrediction(NamedTuple):
    """One decision for every clip: `fired` bool `(classes,)`, and what it scores on both sets."""

    fired: np.ndarray
    validation: PRF
    test: PRF


def precision_recall_f1(truth, fired) -> PRF:
    """Return micro precision, recall and F1: all `(clip, class)` decisions pooled.

    truth, fired: bool `(clips, classes)`. Raises InputError for other shapes or values.

    >>> precision_recall_f1([[1, 0], [1, 1]], [[1, 1], [1, 0]])
    PRF(precision=0.6666666666666666, recall=0.6666666666666666, f1=0.6666666666666666)
    """
    truth, fired = _validated(truth, fired)
    return _prf((truth & fired).sum(), fired.sum(), truth.sum())


def per_class(truth, fired) -> list[PRF]:
    """Return precision, recall and F1 of every class, in the label set's order.

    >>> [p.recall for p in per_class([[1, 0], [1, 1]], [[1, 1], [1, 0]])]
    [1.0, 0.0]
    """
    truth, fired = _validated(truth, fired)
    counts = zip((truth & fired).sum(0), fired.sum(0), truth.sum(0), strict=True)
    return [_prf(*class_counts) for class_counts in counts]


def macro(truth, fired) -> PRF:
    """Return the mean over classes of precision, recall and F1; absent classes are left out.

    >>> macro([[1, 0, 0], [1, 1, 0]], [[1, 1, 0], [1, 0, 0]])
    PRF(precision=0.5, recall=0.5, f1=0.5)
    """
    truth, fired = _validated(truth, fired)
    present = truth.any(axis=0)
    if not present.any():
        return PRF(0.0, 0.0, 0.0)
    return PRF(*np.mean(per_class(truth[:, present], fired[:, present]), axis=0).tolist())


def average_precision(truth, scores) -> float:
    """Return the precision at each true clip, averaged, going down one class's ranking.

    truth: bool `(clips,)`, scores: `(clips,)`. Clips of equal score enter together, so their
    order in the list changes nothing. Raises InputError for malformed input.

    >>> average_precision([1, 0, 1], [0.9, 0.8, 0.1])
    0.8333333333333333
    """
    truth, scores = checks.as_one_class(truth, scores)
    checks.warn_if_empty(truth)
    if not truth.any():
        return 0.0
    hits, ranks = hits_by_rank(truth, scores)
    return float((np.diff(hits, prepend=0) * hits / ranks).sum() / hits[-1])


def mean_average_precision(truth, scores) -> float:
    """Return the mean of the average precision over the classes that occur in the truth.

    truth: bool `(clips, classes)`, scores: `(clips, classes)`. Raises InputError if malformed.

    >>> mean_average_precision([[1, 0], [0, 0]], [[0.9, 0.5], [0.1, 0.6]])
    1.0
    """
    truth = checks.as_decisions(truth, "truth")
    scores = checks.as_scores(scores, "scores", truth.shape)
    checks.warn_if_empty(truth)
    present = np.flatnonzero(truth.any(axis=0))
    if not present.size:
        return 0.0
    return float(np.mean([average_precision(truth[:, c], scores[:, c]) for c in present]))


def best_constant(truth_validation, truth_test) -> ConstantPrediction:
    """Return the fixed set of labels with the best micro F1 on validation, scored on both sets.

    truth_validation, truth_test: bool `(clips, classes)`. Every set of k labels fires equally
    often, so the k most frequent labels are the best k, and trying every k is exact.

    >>> best_constant([[1, 0], [1, 0], [0, 1]], [[1, 0]]).fired
    array([ True, False])
    """
    truth_validation = checks.as_decisions(truth_validation, "validation truth")
    truth_test = checks.as_decisions(truth_test, "test truth")
    n_clips, n_classes = truth_validation.shape
    checks.same_shape(truth_test, "test truth", (len(truth_test), n_classes))
    checks.warn_if_empty(truth_validation)
    fired = np.zeros(n_classes, dtype=bool)
    if truth_validation.any():
        positives = truth_validation.sum(axis=0)
        by_prevalence = np.argsort(-positives, kind="stable")
        n_labels = np.arange(1, n_classes + 1)
        f1 = 2 * np.cumsum(positives[by_prevalence]) / (n_labels * n_clips + positives.sum())
        fired[by_prevalence[: 1 + np.argmax(f1)]] = True
    scored = (
        precision_recall_f1(truth, np.tile(fired, (len(truth), 1)))
        for truth in (truth_validation, truth_test)
    )
    return ConstantPrediction(fired, *scored)


def figures(task: Task, truth, decided, scores) -> dict[str, float]:
    """Return the task's figures by name, in the order of `figure_names`.

    truth: bool, of a regression the values; decided: bool, ignored in a regression; scores: the
    model's; all `(clips, classes)`. Of several quantities each figure is the mean.
    Raises InputError if malformed.

    >>> from mmat.labels import MULTI_CLASS
    >>> one_hot = np.eye(2, dtype=bool)
    >>> figures(MULTI_CLASS, one_hot, one_hot, one_hot)
    {'uar': 1.0, 'accuracy': 1.0, 'macro_f1': 1.0}
    """
    if task.is_regression:
        found = _of_values(task, truth, scores)
    elif task.is_multi_class:
        found = {
            "uar": unweighted_average_recall(truth, decided),
            "accuracy": accuracy(truth, decided),
            "macro_f1": macro_f1(truth, decided),
        }
    else:
        found = precision_recall_f1(truth, decided)._asdict()
        found["mean_average_precision"] = mean_average_precision(truth, scores)
    return {name: found[name] for name in figure_names(task)}


def figure_names(task: Task) -> tuple[str, ...]:
    """Return the names of a task's figures, the most telling first.

    Multi-label: micro figures and `mean_average_precision` (`mmat.metrics.tagging`). Multi-class:
    `mmat.metrics.multi_class`, `uar` being the unweighted average recall. Regression:
    `mmat.metrics.regression.RegressionFigures`; those of the sign only where 0 is on the scale.

    >>> from mmat.labels import MULTI_CLASS, regression
    >>> figure_names(MULTI_CLASS), figure_names(regression(1, 5))
    (('uar', 'accuracy', 'macro_f1'), ('mae', 'pearson', 'accuracy_rounded'))
    """
    if task.is_regression:
        signed = task.low < 0 < task.high
        return tuple(x for x in RegressionFigures._fields if signed or _OF_SIGNS not in x)
    if task.is_multi_class:
        return "uar", "accuracy", "macro_f1"
    return "f1", "precision", "recall", "mean_average_precision"


def _of_values(task: Task, truth, values) -> dict[str, float]:
    truth = np.asarray(truth)
    if truth.ndim != 2 or not truth.shape[1]:
        raise InputError(f"truth: shape {truth.shape}, where (clips, quantities) has two axes")
    values = checks.as_scores(values, "values", truth.shape)
    of_each = [
        regression_figures(truth[:, c], values[:, c], task.low, task.high)
        for c in range(truth.shape[1])
    ]
    return RegressionFigures(*np.mean(of_each, axis=0).tolist())._asdict()


def _validated(truth, fired) -> tuple[np.ndarray, np.ndarray]:
    truth, fired = checks.as_decision_pair(truth, fired)
    checks.warn_if_empty(truth)
    return truth, fired


def _prf(hits, n_fired, n_true) -> PRF:
    precision = hits / n_fired if n_fired else 0.0
    recall = hits / n_true if n_true else 0.0
    f1 = 2 * hits / (n_fired + n_true) if n_fired + n_true else 0.0
    return PRF(float(precision), float(recall), float(f1))
