"""An evaluation for people: a page, one HTML file with its pictures inside, and a table as text.

Names of clips and labels are untrusted: the template escapes every one of them.
"""

import base64
import importlib.resources
import io
from collections.abc import Sequence

import numpy as np
import tabulate

from mmat.evaluation.evaluate import Evaluation, ShownClip
from mmat.evaluation.figures import branch_names, confusion
from mmat.labels import MULTI_LABEL, Task
from mmat.metrics.calibration import ECE, FIGURES
from mmat.metrics.ranking import precision_recall_curve
from mmat.metrics.tagging import NO_SHARES, figure_names
from mmat.models.features import log_mel
from mmat.plots.evaluation import (
    plot_class_bars,
    plot_confusion,
    plot_outcomes,
    plot_precision_recall,
    plot_reliability,
)
from mmat.plots.tagging import plot_tagging

MOST_PANELS = 24  # classes that are drawn; every class has its row in the table
HEADLINES = {
    "f1": "micro F1",
    "precision": "micro precision",
    "recall": "micro recall",
    "macro_f1": "macro F1",
    "macro_precision": "macro precision",
    "macro_recall": "macro recall",
    "mean_average_precision": "mean average precision",
    "mean_roc_auc": "mean ROC AUC",
}
TILES = ("f1", "precision", "recall", "mean_average_precision", "mean_roc_auc")
HEADLINES_OF_ONE = {  # where classes exclude each other
    "uar": "unweighted average recall",
    "accuracy": "accuracy",
    "macro_f1": "macro F1",
    "mean_average_precision": "mean average precision",
    "mean_roc_auc": "mean ROC AUC",
}
OF_SCORES = {
    ECE: "expected calibration error",
    "brier_score": "Brier score",
    "log_loss": "log loss, nats",
}
COMPARED = ("f1", "mean_average_precision", "mean_roc_auc")  # of tags, with another model
DECIMALS = (*NO_SHARES, "brier_score", "log_loss")  # no per cent
OF_CLASSES = ("f1", "precision", "recall")
OVER = {"clips": "clips", "source_groups": "source groups"}


def render(evaluation: Evaluation, title: str = "Evaluation") -> str:
    """Return the page of an evaluation as HTML; title: its heading."""
    import jinja2

    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["percent"] = percent
    environment.globals["shown"] = _typeset
    text = importlib.resources.files("mmat.evaluation").joinpath("page.html").read_text("utf-8")
    e = evaluation
    drawn = _drawn_classes(e.truth)
    names = HEADLINES_OF_ONE if e.task.is_multi_class else HEADLINES
    return environment.from_string(text).render(
        title=title,
        report=e.report,
        one_of_them=e.task.is_multi_class,
        headlines=names,
        tiles=HEADLINES_OF_ONE if e.task.is_multi_class else TILES,
        first=figure_names(e.task)[0],
        of_branches=[name for name in branch_names(e.task) if name in names],
        over={key: name for key, name in OVER.items() if key in e.report["intervals"]},
        of_scores=OF_SCORES,
        compared=_compared(e),
        n_labels=len(e.labels),
        n_drawn=len(drawn),
        pictures={name: _data_uri(png) for name, png in _pictures(e, drawn).items()},
        clips=[_clip(e, clip) for clip in e.shown],
    )


def as_table(evaluation: Evaluation) -> str:
    """Return the figures as text: the whole, the best constant prediction, and each class.

    Then what the scores mean, and the differences from another model where one was given. All is in
    per cent but errors of values and scores, and a correlation, which are as they are.
    """
    report, task = evaluation.report, evaluation.task
    if task == MULTI_LABEL:
        parts = [_of_tags(evaluation)]
    else:
        classes = [] if task.is_regression else [_classes(report, [])]
        parts = [*classes, _of_task(evaluation)]
    if not task.is_regression:
        parts.append(_of_scores(report))
    if report["against"]:
        parts.append(_against(evaluation))
    return "\n\n".join(parts)


def percent(fraction: float | None, signed: bool = False) -> str:
    """Return a fraction in per cent with one decimal; a dash where there is none.

    >>> percent(0.4567), percent(-0.05, signed=True), percent(None)
    ('45.7', '−5.0', '–')
    """
    if fraction is None:
        return "–"
    return f"{100 * fraction:{'+' if signed else ''}.1f}".replace("-", "−")


def shown(name: str, figure: float | None, signed: bool = False) -> str:
    """Return a figure as it is printed: a share in per cent, another with three decimals.

    >>> shown("uar", 0.4567), shown("mae", 0.4567, signed=True), shown("pearson", None)
    ('45.7', '+0.457', '–')
    """
    if figure is None:
        return "–"
    sign = "+" if signed else ""
    return f"{figure:{sign}.3f}" if name in DECIMALS else f"{100 * figure:{sign}.1f}"


def _typeset(name: str, figure: float | None, signed: bool = False) -> str:
    """Return a figure as `shown` does, with a minus sign for the page."""
    return shown(name, figure, signed).replace("-", "−")


def _drawn_classes(truth: np.ndarray) -> list[int]:
    """Return the classes to draw, in the label set's order: those with most clips."""
    positives = truth.sum(axis=0)
    most = np.argsort(-positives, kind="stable")[:MOST_PANELS]
    return sorted(int(c) for c in most if positives[c])


def _pictures(e: Evaluation, drawn: list[int]) -> dict[str, bytes]:
    """Return the PNG of each picture that has something to show."""
    if not drawn:
        return {}
    systems = {**e.outputs.branches, "fused": e.scores} if e.outputs.branches else {"": e.scores}
    curves = {
        e.labels[c]: {
            name: precision_recall_curve(e.truth[:, c], scores[:, c])
            for name, scores in systems.items()
        }
        for c in drawn
    }
    per_class, branches = e.report["per_class"], e.report["branches"]
    bars = {
        e.labels[c]: {name: branch["average_precision"][c] for name, branch in branches.items()}
        | {"fused" if branches else "": per_class[e.labels[c]]["average_precision"]}
        for c in drawn
    }
    outcomes = {
        e.labels[c]: [per_class[e.labels[c]][key] for key in ("hits", "missed", "false_alarms")]
        for c in drawn
    }
    against = e.report["against"]
    of_scores = {"the other model": against["calibration"]} if against else {}
    of_scores["this model" if against else ""] = e.report["calibration"]
    reliability = {
        name: [of["reliability"][part] for part in ("mean_score", "rate", "low", "high")]
        for name, of in of_scores.items()
    }
    counts, axes = confusion(e.truth, e.fired), ()
    if e.task.is_multi_class:
        counts, axes = np.asarray(e.report["confusion"]), ("true", "decided")
    counts = counts[np.ix_(drawn, drawn)]
    return {
        "bars": _png(plot_class_bars, bars),
        "outcomes": _png(plot_outcomes, outcomes),
        "confusion": _png(plot_confusion, counts, [e.labels[c] for c in drawn], *axes),
        "curves": _png(plot_precision_recall, curves),
        "reliability": _png(plot_reliability, reliability),
    }


def _png(plot, *arguments) -> bytes:
    png = io.BytesIO()
    plot(png, *arguments)
    return png.getvalue()


def _clip(e: Evaluation, clip: ShownClip) -> dict:
    """Return what the page shows of one clip."""
    true, fired, scores = e.truth[clip.row], e.fired[clip.row], e.scores[clip.row]
    by_score = [int(c) for c in np.argsort(-scores, kind="stable")]
    decisions = {
        "found": [c for c in by_score if true[c] and fired[c]],
        "missed": [c for c in by_score if true[c] and not fired[c]],
        "falsely fired": [c for c in by_score if fired[c] and not true[c]],
    }
    png = _draw_clip(clip, e.labels, e.thresholds, scores, e.task)
    return {
        "place": clip.place,
        "id": clip.id,
        "picture": _data_uri(png),
        "decisions": {
            name: [(e.labels[c], f"{scores[c]:.2f}") for c in rows]
            for name, rows in decisions.items()
            if rows
        },
    }


def _draw_clip(
    clip: ShownClip, labels: Sequence[str], thresholds, clip_scores, task: Task = MULTI_LABEL
) -> bytes:
    """Return a PNG of a clip's mel spectrogram and frame scores."""
    n_frames = max(1, len(clip.frame_scores))
    heard = np.zeros((1, max(len(clip.waveform), 400), 1), np.float32)
    heard[0, : len(clip.waveform), 0] = clip.waveform
    png = io.BytesIO()
    plot_tagging(
        png,
        np.asarray(log_mel(heard))[0, :, :, 0],
        clip.frame_scores[:n_frames],
        labels,
        thresholds,
        events=clip.events,
        true_events=clip.true_events,
        clip_scores=clip_scores,
        task=task,
    )
    return png.getvalue()


def _data_uri(png: bytes) -> str:
    """Return a PNG as a page can hold it, without another file."""
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii")


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


def _of_scores(report: dict) -> str:
    """Return a table of what the scores mean, with intervals."""
    found = report["calibration"]
    rows = [
        [
            name + (", %" if key == ECE else ""),
            shown(key, found[key]),
            *(_ends(key, of[key]) for of in found["intervals"].values()),
        ]
        for key, name in OF_SCORES.items()
    ]
    over = [f"95 % interval over {OVER[key]}" for key in found["intervals"]]
    return tabulate.tabulate(rows, ["scores", "", *over], disable_numparse=True)


def _against(e: Evaluation) -> str:
    """Return a table of the figures of both models, and their paired differences."""
    rows = [
        [
            name + ("" if key in DECIMALS else ", %"),
            *(shown(key, each) for each in (own, other)),
            *(
                f"{shown(key, gain['estimate'], True)} ({_ends(key, gain, True)})"
                for gain in gains.values()
            ),
        ]
        for key, name, own, other, gains in _compared(e)
    ]
    over = [f"difference over {OVER[x]}" for x in e.report["against"]["model_above_it"]]
    head = ["", "this model", e.report["against"]["name"], *over]
    return tabulate.tabulate(rows, head, disable_numparse=True)


def _ends(name: str, ends: dict, signed: bool = False) -> str:
    return " to ".join(shown(name, ends[end], signed) for end in ("low", "high"))


def _compared(e: Evaluation) -> list[tuple]:
    """Return key, name, own and other's figure and the differences of what is compared."""
    other = e.report["against"]
    if not other:
        return []
    keys = COMPARED if e.task == MULTI_LABEL else figure_names(e.task)
    names = (HEADLINES_OF_ONE if e.task.is_multi_class else HEADLINES) | OF_SCORES
    keys = (*keys, *(() if e.task.is_regression else FIGURES))
    return [
        (
            key,
            names.get(key, key.replace("_", " ")),
            *((of["calibration"] if key in FIGURES else of)[key] for of in (e.report, other)),
            {over: gain[key] for over, gain in other["model_above_it"].items()},
        )
        for key in keys
    ]
