"""An evaluation as a few lines of text, for the terminal."""

import tabulate

from mmat.evaluation import Evaluation
from mmat.metrics.by_task import NO_SHARES, figure_names
from mmat.tasks import MULTI_LABEL

OF_CLASSES = ("f1", "precision", "recall")


def as_table(evaluation: Evaluation) -> str:
    """Return the figures as text: the whole, the best constant prediction, and each class.

    All is in per cent but a mean absolute error and a correlation, which are as they are.
    """
    if evaluation.task == MULTI_LABEL:
        return _of_tags(evaluation)
    whole = _of_task(evaluation)
    if evaluation.task.is_regression:
        return whole
    report = evaluation.report
    return f"{_classes(report, [])}\n\n{whole}"


def _of_tags(evaluation: Evaluation) -> str:
    report = evaluation.report
    rows = [["all, micro", *(report[name] for name in OF_CLASSES), report["clips"]]]
    if report["best_constant"]:
        rows.append(["best constant", *(report["best_constant"][name] for name in OF_CLASSES), ""])
    ends = report["intervals"]["clips"]["f1"]
    return (
        f"{_classes(report, rows)}\n\n"
        f"mean average precision: {100 * report['mean_average_precision']:.1f} %\n"
        f"95 % interval of micro F1 over clips: {100 * ends['low']:.1f} to {100 * ends['high']:.1f}"
    )


def _classes(report: dict, rows: list[list]) -> str:
    """Return a table of these rows and the classes'."""
    for label, of_class in report["per_class"].items():
        rows.append([label, *(of_class[name] for name in OF_CLASSES), of_class["clips"]])
    shown = [[label, *(f"{100 * x:.1f}" for x in xs), n] for label, *xs, n in rows]
    head = [f"{report['split']}, %", "F1", "precision", "recall", "clips"]
    return tabulate.tabulate(shown, head, disable_numparse=True)


def _of_task(evaluation: Evaluation) -> str:
    """Return a table of the task's figures, with their intervals."""
    report, names = evaluation.report, figure_names(evaluation.task)
    over = report["intervals"]
    constant = report["best_constant"] or {}
    rows = [
        [
            name.replace("_", " ") + ("" if name in NO_SHARES else ", %"),
            shown(name, report[name]),
            *(
                f"{shown(name, of[name]['low'])} to {shown(name, of[name]['high'])}"
                for of in over.values()
            ),
            *([shown(name, constant[name])] if constant else []),
        ]
        for name in names
    ]
    intervals = [f"95 % interval over {name.replace('_', ' ')}" for name in over]
    head = [f"{report['split']}, {report['clips']} clips", "", *intervals]
    return tabulate.tabulate(
        rows, [*head, *(["best constant"] if constant else [])], disable_numparse=True
    )


def shown(name: str, figure: float | None) -> str:
    """Return a figure as it is printed: a share in per cent, another with three decimals.

    >>> shown("uar", 0.4567), shown("mae", 0.4567), shown("pearson", None)
    ('45.7', '0.457', '–')
    """
    if figure is None:
        return "–"
    return f"{figure:.3f}" if name in NO_SHARES else f"{100 * figure:.1f}"
