"""The figures of a task: what tells of a model whose labels are tags, one of several, or values."""

import numpy as np

from mmat.errors import InputError
from mmat.metrics import checks
from mmat.metrics.exclusive import accuracy, macro_f1, unweighted_average_recall
from mmat.metrics.regression import RegressionFigures, regression_figures
from mmat.metrics.tagging import mean_average_precision, precision_recall_f1
from mmat.tasks import Task

NO_SHARES = ("mae", "pearson")  # all other figures are shares, in [0, 1]
SHORT = {"mean_average_precision": "map"}  # as the logs of a training name it
_OF_SIGNS = "negative_or"


def figure_names(task: Task) -> tuple[str, ...]:
    """Return the names of a task's figures; the first one says most of a model.

    Multi-label: micro figures and `mean_average_precision` (`mmat.metrics.tagging`). Multi-class:
    `mmat.metrics.exclusive`, `uar` being the unweighted average recall. Regression:
    `mmat.metrics.regression.RegressionFigures`; those of the sign only where 0 is on the scale.

    >>> from mmat.tasks import MULTI_CLASS, regression
    >>> figure_names(MULTI_CLASS), figure_names(regression(1, 5))
    (('uar', 'accuracy', 'macro_f1'), ('mae', 'pearson', 'accuracy_rounded'))
    """
    if task.is_regression:
        signed = task.low < 0 < task.high
        return tuple(x for x in RegressionFigures._fields if signed or _OF_SIGNS not in x)
    if task.is_multi_class:
        return "uar", "accuracy", "macro_f1"
    return "f1", "precision", "recall", "mean_average_precision"


def figures(task: Task, truth, decided, scores) -> dict[str, float]:
    """Return the task's figures by name, in the order of `figure_names`.

    truth: bool, of a regression the values; decided: bool, ignored in a regression; scores: the
    model's; all `(clips, classes)`. Of several quantities each figure is the mean.
    Raises InputError if malformed.

    >>> from mmat.tasks import MULTI_CLASS
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
