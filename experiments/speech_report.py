"""What the comparison on speech comes to: figures by speaker, differences to the ridge, a table."""

import json
import pathlib
import statistics
from collections.abc import Sequence

import numpy as np
import scipy.stats
import tabulate
from common import between, mean_and_spread, mean_cell
from speech import Speech

from mmat.files import atomic_path
from mmat.metrics.bootstrap import figure_differences, figure_intervals
from mmat.metrics.decisions import decide
from mmat.metrics.tagging import figures
from mmat.plots import plot_groups

SHOWN = {"uar": "UAR", "accuracy": "accuracy", "macro_f1": "macro F1"}
LEVEL = 0.95


def report_of(speech: Speech, outputs: dict[str, list[np.ndarray]], reference: str) -> dict:
    """Return the figures of systems and their differences to one of them, the reference.

    outputs: of each system and training its scores `(clips, classes)`, each clip's from the fold
    that left its speaker out. Of several trainings a speaker's figure is their mean, and what is
    drawn by clip is the first one's.
    """
    by_clip = {name: _clip_intervals(speech, runs[0]) for name, runs in outputs.items()}
    by_speaker = {name: _by_speaker(speech, runs) for name, runs in outputs.items()}
    systems = {
        name: {
            figure: summary([of[figure] for of in own.values()])
            | {"by_clip": by_clip[name][figure]}
            for figure in SHOWN
        }
        | {"speakers": own}
        for name, own in by_speaker.items()
    }
    over = {
        name: {
            "by_speaker": summary([own[x]["uar"] - by_speaker[reference][x]["uar"] for x in own]),
            "by_clip": _clip_gain(speech, outputs[reference][0], runs[0]),
        }
        for (name, runs), own in zip(outputs.items(), by_speaker.values(), strict=True)
        if name != reference
    }
    return {"systems": systems, "reference": reference, "over_reference": over}


def summary(values: Sequence[float]) -> dict:
    """Mean, deviation and t interval over speakers, and the speakers' own figures.

    >>> summary([0.4, 0.6])["mean"]
    0.5
    """
    found = mean_and_spread(values)
    mean, speakers = found["mean"], found.pop("seeds")
    reach = scipy.stats.t.ppf((1 + LEVEL) / 2, len(values) - 1) * found["sd"] / len(values) ** 0.5
    return found | {"interval": [mean - reach, mean + reach], "speakers": speakers}


def _by_speaker(speech: Speech, runs: list[np.ndarray]) -> dict[str, dict[str, float]]:
    found = {}
    for speaker, _, left_out in speech.folds():
        own = [_figures(speech)(speech.truth[left_out], run[left_out]) for run in runs]
        found[speaker] = {name: statistics.fmean(one[name] for one in own) for name in SHOWN}
    return found


def _figures(speech: Speech):
    task = speech.labels.task

    def of(truth, scores) -> dict[str, float]:
        return figures(task, truth, decide(task, scores, 0.0), scores)

    return of


def _clip_intervals(speech: Speech, scores: np.ndarray) -> dict[str, list[float]]:
    found = figure_intervals(_figures(speech), speech.truth, scores)
    return {name: [own.low, own.high] for name, own in found.items()}


def _clip_gain(speech: Speech, first: np.ndarray, second: np.ndarray) -> dict:
    return figure_differences(_figures(speech), speech.truth, [first], [second])["uar"]._asdict()


def write(folder: pathlib.Path, report: dict) -> None:
    """Write the picture `systems.png`, and last `report.json`."""
    drawn = {
        name: {title: _in_percent(own[key]) for key, title in SHOWN.items()}
        for name, own in report["systems"].items()
    }
    plot_groups(folder / "systems.png", drawn, list(SHOWN.values()))
    with atomic_path(folder / "report.json") as part:
        part.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


def _in_percent(figure: dict) -> dict:
    speakers = [100 * x for x in figure["speakers"]]
    return {"mean": 100 * figure["mean"], "sd": 100 * figure["sd"], "seeds": speakers}


def as_table(report: dict) -> str:
    """Return the systems' figures in per cent, mean ± deviation over speakers, and each speaker."""
    speakers = list(next(iter(report["systems"].values()))["speakers"])
    rows = [
        [name, *(mean_cell(own[key], 100) for key in SHOWN)]
        + [between(own["uar"]["interval"])]
        + [f"{100 * own['speakers'][speaker]['uar']:.1f}" for speaker in speakers]
        for name, own in report["systems"].items()
    ]
    head = ["left out in turn, %", *SHOWN.values(), "UAR, 95 % of speakers"]
    return tabulate.tabulate(rows, [*head, *speakers], disable_numparse=True)


def gain_lines(report: dict) -> list[str]:
    """Return what each system is above the reference, in words."""
    lines = []
    for name, gain in report["over_reference"].items():
        of, clips = gain["by_speaker"], gain["by_clip"]
        lines.append(
            f"{name} over {report['reference']}: {100 * of['mean']:+.1f} points of UAR, 95 % "
            f"interval {between(of['interval'], '+')} over speakers, "
            f"{between([clips['low'], clips['high']], '+')} over clips (first training); above "
            f"it for {sum(x > 0 for x in of['speakers'])} of {len(of['speakers'])} speakers"
        )
    return lines
