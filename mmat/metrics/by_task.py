"""The figures of a task: what tells of a model whose labels are tags, one of several, or values."""

import numpy as np

from mmat.errors import InputError
from mmat.metrics import checks, exclusive
from mmat.metrics.regression import regression_figures
from mmat.metrics.tagging import mean_average_precision, precision_recall_f1
from mmat.tasks import Task

_OF_SIGNS = "negative_or"


def figures(task: Task, truth, decided, scores) -> dict[str, float]:
    """Return the task's figures by name.

    truth: bool, of a regression the values; decided: bool, of no account in a regression; scores:
    the model's answers; all `(clips, classes)`. Multi-label: micro `precision`, `recall`, `f1`, and
    `mean_average_precision` (`mmat.metrics.tagging`). Multi-class: `uar`, `accuracy`, `macro_f1`
    (`mmat.metrics.exclusive`). Regression: those of `mmat.metrics.regression.RegressionFigures`,
    the mean over the label set's quantities; those of the sign only where 0 is on the scale. Raises
    InputError if malformed.

    >>> from mmat.tasks import MULTI_CLASS, regression
    >>> one_hot = np.eye(2, dtype=bool)
    >>> figures(MULTI_CLASS, one_hot, one_hot, one_hot)
    {'uar': 1.0, 'accuracy': 1.0, 'macro_f1': 1.0}
    >>> list(figures(regression(1, 5), [[1.0], [2.0]], None, [[1.5], [2.5]]))
    ['mae', 'pearson', 'accuracy_rounded']
    """
    if task.is_regression:
        return _of_values(task, truth, scores)
    if task.exclusive:
        return {
            "uar": exclusive.unweighted_average_recall(truth, decided),
            "accuracy": exclusive.accuracy(truth, decided),
            "macro_f1": exclusive.macro_f1(truth, decided),
        }
    ranked = mean_average_precision(truth, scores)
    return precision_recall_f1(truth, decided)._asdict() | {"mean_average_precision": ranked}


def unjudged(task: Task) -> float:
    """Return what stands for the answer to a clip that a model cannot judge, without the sound say.

    It is 0, which decides nothing, and of a regression the middle of the scale.

    >>> from mmat.tasks import MULTI_CLASS, regression
    >>> unjudged(MULTI_CLASS), unjudged(regression(1, 5))
    (0.0, 3.0)
    """
    return (task.low + task.high) / 2 if task.is_regression else 0.0


def _of_values(task: Task, truth, values) -> dict[str, float]:
    truth = np.asarray(truth)
    if truth.ndim != 2 or not truth.shape[1]:
        raise InputError(
            f"truth: the shape is {truth.shape}, where (clips, quantities) has two axes"
        )
    values = checks.as_scores(values, "values", truth.shape)
    signed = task.low < 0 < task.high
    of_each = [
        regression_figures(truth[:, c], values[:, c], task.low, task.high)._asdict()
        for c in range(truth.shape[1])
    ]
    return {
        name: float(np.mean([own[name] for own in of_each]))
        for name in of_each[0]
        if signed or _OF_SIGNS not in name
    }
