"""The folder that an evaluation leaves: its figures, the outputs in three forms, and a page."""

import json
import os
import pathlib

from mmat.errors import InputError, atomic_path
from mmat.evaluation import Evaluation
from mmat.metrics.frame_scores import write_frame_scores
from mmat.metrics.official_files import write_events, write_tags
from mmat.metrics.tables import write_tags_tsv, write_truth_tsv, write_values_tsv
from mmat.plots import plot_values
from mmat.report.page import render


def write_evaluation(
    folder: str | os.PathLike, evaluation: Evaluation, title: str = "Evaluation"
) -> None:
    """Write an evaluation into a folder, each part of it whole or not at all.

    `report.json`: the figures. `report.html`: them, their curves and the best and worst clips, in
    one file that asks for nothing else; title: its heading. `predictions.tsv`, `truth.tsv`: see
    `mmat.metrics.tables`. `official/`: `tagging_truth.csv` and `tagging_prediction.csv`, and with
    strong labels `events_truth.csv` and `events_prediction.csv`, which `mmat score` reads.
    `frame_scores/`: a TSV a clip, which sed_scores_eval reads.

    Of a regression there are `report.json`, `predictions.tsv` (truth and value of each clip) and
    `values.png`, the values over the truth; no page, no official files. Raises InputError for names
    that a table cannot hold, and for a path that is a file.
    """
    folder, e = pathlib.Path(folder), evaluation
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder}: is a file; name a folder for the report")
    folder.mkdir(parents=True, exist_ok=True)
    if e.task.is_regression:
        write_values_tsv(folder / "predictions.tsv", e.ids, e.labels, e.truth, e.scores)
        ends = e.task.low, e.task.high
        plot_values(folder / "values.png", e.truth, e.scores, e.labels, *ends)
    else:
        _write_tags(folder, e)
    with atomic_path(folder / "report.json") as part:
        text = json.dumps(e.report, indent=1, ensure_ascii=False, allow_nan=False)
        part.write_text(text + "\n", encoding="utf-8")
    if not e.task.is_regression:
        with atomic_path(folder / "report.html") as part:
            part.write_text(render(evaluation, title), encoding="utf-8")


def _write_tags(folder: pathlib.Path, e: Evaluation) -> None:
    """Write the outputs in three forms."""
    write_tags_tsv(folder / "predictions.tsv", e.ids, e.labels, e.fired, e.scores)
    write_truth_tsv(folder / "truth.tsv", e.ids, e.labels, e.truth)
    longest = float(e.clip_seconds.max(initial=0))
    with atomic_path(folder / "official") as part:
        part.mkdir()
        for name, decisions in (("truth", e.truth), ("prediction", e.fired)):
            write_tags(part / f"tagging_{name}.csv", e.ids, e.labels, decisions, longest)
        if any(e.truth_events):
            for name, events in (("truth", e.truth_events), ("prediction", e.outputs.events)):
                write_events(part / f"events_{name}.csv", e.ids, e.labels, events)
    if e.outputs.frames is not None:
        write_frame_scores(folder / "frame_scores", e.ids, e.labels, e.outputs.frames)
