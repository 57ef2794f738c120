"""The folder that an evaluation leaves: its figures, the outputs in three forms, and a page.

The outputs are tab-separated text, from which every figure can be computed again.

Predictions: `filename, label, score, fired`, a row for every clip and label, clip by clip, labels
in the label set's order. Scores are written so that float32 comes back bit for bit.
Truth: `filename, label`, a row for every label of a clip, and one row with an empty label for a
clip without any: a clip that is not listed is not part of the truth.
Values: `id, label, truth, value`, a row for every clip and quantity, clip by clip.
"""

import json
import os
import pathlib
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from mmat.evaluation.evaluate import Evaluation
from mmat.evaluation.page import render
from mmat.files import InputError, atomic_path
from mmat.metrics import checks
from mmat.metrics.official import write_events, write_tags
from mmat.metrics.psds import write_frame_scores
from mmat.plots.evaluation import plot_values
from mmat.tables import read_table

TAGS_HEADER = ["filename", "label", "score", "fired"]
TRUTH_HEADER = ["filename", "label"]
VALUES_HEADER = ["id", "label", "truth", "value"]


class Tags(NamedTuple):
    """Predictions: `fired` bool and `scores` float32, both `(clips, classes)`."""

    ids: list[str]
    labels: list[str]
    fired: np.ndarray
    scores: np.ndarray


class Truth(NamedTuple):
    """Weak truth: `truth` bool `(clips, classes)`."""

    ids: list[str]
    truth: np.ndarray


def write_evaluation(
    folder: str | os.PathLike, evaluation: Evaluation, title: str = "Evaluation"
) -> None:
    """Write an evaluation into a folder, each part of it whole or not at all.

    `report.json`: the figures. `report.html`: them, their curves and the best and worst clips, in
    one file that loads nothing else; title: its heading. `predictions.tsv`, `truth.tsv`: see
    `mmat.evaluation.files`. `official/`: `tagging_truth.csv` and `tagging_prediction.csv`, and with
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


def write_tags_tsv(
    path: str | os.PathLike, ids: Sequence[str], labels: Sequence[str], fired, scores
) -> None:
    """Write predictions: one row a clip and label, whole or not at all.

    ids: one name a clip; fired: bool, scores: numbers, both `(clips, classes)`. Raises
    InputError where shapes differ, a name comes twice, or holds a tab or a line break.

    >>> import tempfile
    >>> path = os.path.join(tempfile.mkdtemp(), "tags.tsv")
    >>> write_tags_tsv(path, ["a.wav"], ["Dog", "Cat"], [[True, False]], [[0.75, 0.25]])
    >>> read_tags_tsv(path).scores
    array([[0.75, 0.25]], dtype=float32)
    """
    fired = checks.as_decisions(fired, "decisions")
    scores = checks.as_scores(scores, "scores", fired.shape).astype(np.float32)
    _check_names(ids, labels, fired.shape)
    rows = (
        [clip, label, str(scores[i, c]), int(fired[i, c])]
        for i, clip in enumerate(ids)
        for c, label in enumerate(labels)
    )
    _write(path, TAGS_HEADER, rows)


def read_tags_tsv(path: str | os.PathLike) -> Tags:
    """Read what `write_tags_tsv` wrote; raises InputError with the line where a row is wrong."""
    rows = list(_rows(path, TAGS_HEADER))
    ids = list(dict.fromkeys(clip for _, (clip, *_) in rows))
    labels = list(dict.fromkeys(label for _, (_, label, *_) in rows))
    scores = np.zeros(len(ids) * len(labels), np.float32)
    fired = np.zeros(len(scores), dtype=bool)
    for i, (line, (clip, label, score, decision)) in enumerate(rows):
        clip_row, column = divmod(i, len(labels))
        if clip_row == len(ids):
            raise InputError(f"{path}:{line}: one row too many; {label!r} of {clip!r} was given")
        if clip != ids[clip_row] or label != labels[column]:
            raise InputError(
                f"{path}:{line}: {labels[column]!r} of {ids[clip_row]!r} should stand here; every "
                "clip needs one row for every label, in one order"
            )
        try:
            scores[i], fired[i] = np.float32(score), {"0": False, "1": True}[decision]
        except (ValueError, KeyError):
            raise InputError(
                f"{path}:{line}: score {score!r} must be a number and fired {decision!r} 0 or 1"
            ) from None
    if len(rows) != len(scores):
        raise InputError(f"{path}: the last clip lacks rows; is the file whole?")
    shape = (len(ids), len(labels))
    return Tags(ids, labels, fired.reshape(shape), scores.reshape(shape))


def write_truth_tsv(
    path: str | os.PathLike, ids: Sequence[str], labels: Sequence[str], truth
) -> None:
    """Write weak truth: one row a clip and label that sounds, an empty label where none does.

    ids: one name a clip; truth: bool `(clips, classes)`. Raises InputError as `write_tags_tsv`.

    >>> import tempfile
    >>> path = os.path.join(tempfile.mkdtemp(), "truth.tsv")
    >>> write_truth_tsv(path, ["a.wav", "b.wav"], ["Dog", "Cat"], [[True, True], [False, False]])
    >>> read_truth_tsv(path, ["Dog", "Cat"], ids=["b.wav", "a.wav"]).truth
    array([[False, False],
           [ True,  True]])
    """
    truth = checks.as_decisions(truth, "truth")
    _check_names(ids, labels, truth.shape)
    rows = (
        [clip, label]
        for clip, row in zip(ids, truth, strict=True)
        for label in [labels[c] for c in np.flatnonzero(row)] or [""]
    )
    _write(path, TRUTH_HEADER, rows)


def read_truth_tsv(
    path: str | os.PathLike, labels: Sequence[str], ids: Sequence[str] | None = None
) -> Truth:
    """Read weak truth; `ids` gives the clips and their order, else all in the file's order.

    Raises InputError with the line for an unknown label, and for a clip of `ids` without a row.
    """
    columns = {label: c for c, label in enumerate(labels)}
    found: dict[str, list[int]] = {}
    for line, (clip, label) in _rows(path, TRUTH_HEADER):
        if label and label not in columns:
            raise InputError(f"{path}:{line}: unknown label {label!r}; it is not in the label set")
        found.setdefault(clip, []).extend([columns[label]] if label else [])
    ids = list(found) if ids is None else list(ids)
    truth = np.zeros((len(ids), len(columns)), dtype=bool)
    for i, clip in enumerate(ids):
        if clip not in found:
            raise InputError(f"{path}: no row for the clip {clip!r}; a clip without labels has one")
        truth[i, found[clip]] = True
    return Truth(ids, truth)


def write_values_tsv(
    path: str | os.PathLike, ids: Sequence[str], labels: Sequence[str], truth, values
) -> None:
    """Write true and predicted values: one row a clip and quantity, whole or not at all.

    ids: one name a clip; truth, values: numbers `(clips, quantities)`, written so that float32
    comes back bit for bit. Raises InputError as `write_tags_tsv`.

    >>> import tempfile
    >>> path = os.path.join(tempfile.mkdtemp(), "values.tsv")
    >>> write_values_tsv(path, ["a.wav"], ["valence"], [[-1.5]], [[-0.25]])
    >>> open(path).read().splitlines()[1].split("\\t")
    ['a.wav', 'valence', '-1.5', '-0.25']
    """
    truth = np.asarray(truth)
    truth, values = (
        checks.as_scores(each, what, truth.shape).astype(np.float32)
        for each, what in ((truth, "truth"), (values, "values"))
    )
    _check_names(ids, labels, truth.shape)
    rows = (
        [clip, label, str(truth[i, c]), str(values[i, c])]
        for i, clip in enumerate(ids)
        for c, label in enumerate(labels)
    )
    _write(path, VALUES_HEADER, rows)


def read_groups(path: str | os.PathLike) -> dict[str, str]:
    """Read the source group of each clip from a CSV with the columns `id` and `source_group`.

    A clip list may be given: other columns are left out. Raises InputError with the line for a
    row without an id and for an id that comes twice.

    >>> import tempfile
    >>> path = os.path.join(tempfile.mkdtemp(), "list.csv")
    >>> _ = open(path, "w").write("id,file,source_group\\n0,a.wav,dog 1\\n")
    >>> read_groups(path)
    {'0': 'dog 1'}
    """
    groups: dict[str, str] = {}
    for line, row in read_table(path, "list", ["id", "source_group"]):
        if not row["id"] or row["id"] in groups:
            raise InputError(f"{path}:{line}: the id {row['id']!r} is empty or comes twice")
        groups[row["id"]] = row["source_group"]
    return groups


def _check_names(ids: Sequence[str], labels: Sequence[str], shape: tuple[int, int]) -> None:
    for what, names, expected in (("clip", ids, shape[0]), ("label", labels, shape[1])):
        if len(names) != expected:
            raise InputError(f"tables: {len(names)} {what} names for {expected} of them")
        if len(set(names)) != len(names):
            twice = next(name for name in names if list(names).count(name) > 1)
            raise InputError(f"tables: the {what} {twice!r} comes twice; each needs its own name")
        for name in names:
            if not name or any(mark in name for mark in "\t\n\r"):
                raise InputError(f"tables: a {what} cannot be named {name!r} in a TSV file")


def _write(path: str | os.PathLike, header: list[str], rows: Iterable[list]) -> None:
    with atomic_path(path) as part, open(part, "w", encoding="utf-8", newline="\n") as file:
        for row in (header, *rows):
            file.write("\t".join(map(str, row)) + "\n")


def _rows(path: str | os.PathLike, header: list[str]) -> Iterator[tuple[int, list[str]]]:
    """Give each row with its line number; raises InputError where it has not the columns."""
    try:
        with open(path, encoding="utf-8-sig") as file:
            lines = file.read().split("\n")
    except OSError as error:
        raise InputError(f"{path}: cannot read the table: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not a UTF-8 text file; is it the right one?") from error
    if lines[0].split("\t") != header:
        raise InputError(f"{path}: the first line must be the columns {', '.join(header)} (tabs)")
    for number, line in enumerate(lines[1:], start=2):
        if not line:
            continue
        fields = line.split("\t")
        if len(fields) != len(header) or not fields[0]:
            raise InputError(f"{path}:{number}: not the columns {', '.join(header)} (tabs)")
        yield number, fields
