"""A user's own list: `file,labels` with a header, and whatever else is known of each clip."""

import csv
import dataclasses
import functools
import itertools
import math
import os
import posixpath
import re
from collections.abc import Callable, Collection, Iterable

from mmat.files import InputError
from mmat.labels import LabelSet, Task, clean_name, names_in, shown
from mmat.lists.clip import Clip
from mmat.lists.formats import Form, ListFile, inner_path
from mmat.tables import EVENT_COLUMNS, WrongRow, number, seconds

SPLIT_NAME = re.compile(r"[A-Za-z0-9_]+")  # it becomes the beginning of a file name


def read_own(
    source: ListFile, form: Form, labels: LabelSet | None, split: str | None
) -> tuple[list[Clip], list[int]]:
    """Return the clips of a list, and the line in which each first occurs.

    labels: those allowed, None for any; in a regression the list gives each as `name=value`. split:
    that of every clip, in place of the list's. Rows of one clip (of one id, or without ids of one
    file and range) add their labels.
    """
    known = None if labels is None else frozenset(labels.names)
    read_labels = _label_names
    if labels is not None and labels.task.is_regression:
        read_labels = functools.partial(_label_values, labels.task)
    clips = _Clips()
    for line, cells in source.rows(form):
        try:
            if len(cells) != len(form.columns):
                more = len(cells) > len(form.columns)
                advice = f"more cells than columns; quote a cell that holds {form.delimiter!r}"
                raise WrongRow(advice if more else "fewer cells than columns")
            row = dict(zip(form.columns, cells, strict=True))
            if form.comma_labels:
                row["labels"] = row["labels"].replace(",", ";")
            if split is not None:
                row["split"] = split
            clips.add(_clip(row, read_labels, known, source.max_seconds), row, line)
        except WrongRow as wrong:
            source.drop(line, wrong)
    return clips.whole(), clips.lines


class _Clips:
    """The clips so far; a row is a new clip, or adds labels to one of them."""

    def __init__(self):
        self.clips: list[Clip] = []
        self.lines: list[int] = []
        self._labels: dict[int, dict[str, float | None]] = {}  # and values, of clips of many rows
        self._by_range: dict[tuple, int] = {}
        self._by_id: dict[str, int] = {}

    def add(self, clip: Clip, row: dict[str, str], line: int) -> None:
        place = (clip.file, clip.start_seconds, clip.end_seconds)
        there = self._by_id.get(clip.id) if clip.id else self._by_range.get(place)
        if there is not None:
            self._add_labels(there, clip, row)
            return
        if not clip.id:
            stem = _with_range(posixpath.splitext(clip.file)[0], clip)
            taken = stem in self._by_id
            clip = dataclasses.replace(clip, id=_with_range(clip.file, clip) if taken else stem)
        if clip.id in self._by_id:
            raise self._not_another(self._by_id[clip.id])
        self._by_id[clip.id] = len(self.clips)
        self._by_range.setdefault(place, len(self.clips))
        self.clips.append(clip)
        self.lines.append(line)

    def _not_another(self, i: int) -> WrongRow:
        return WrongRow(f"the id {self.clips[i].id!r} is another clip's, see line {self.lines[i]}")

    def _add_labels(self, i: int, clip: Clip, row: dict[str, str]) -> None:
        there = self.clips[i]
        for field in ("file", "start_seconds", "end_seconds"):
            if getattr(clip, field) != getattr(there, field):
                raise self._not_another(i)
        for field in ("split", "source_group", "video_id"):
            if row.get(field) and row[field] != getattr(there, field):
                raise WrongRow(
                    f"duplicate clip {there.id!r} with another {field}, see line {self.lines[i]}"
                )
        labels = self._labels.setdefault(i, _with_values(there))
        new = {name: value for name, value in _with_values(clip).items() if name not in labels}
        if not new:
            raise WrongRow(f"duplicate clip {there.id!r}, it stands in line {self.lines[i]}")
        labels |= new

    def whole(self) -> list[Clip]:
        """Return the clips, each with the labels of all of its rows."""
        for i, labels in self._labels.items():
            values = tuple(labels.values()) if self.clips[i].values else ()
            self.clips[i] = dataclasses.replace(self.clips[i], labels=tuple(labels), values=values)
        return self.clips


def _with_values(clip: Clip) -> dict[str, float | None]:
    return dict(itertools.zip_longest(clip.labels, clip.values))


def _with_range(name: str, clip: Clip) -> str:
    if clip.start_seconds is None and clip.end_seconds is None:
        return name
    end = "end" if clip.end_seconds is None else f"{clip.end_seconds:.3f}"
    return f"{name}_{clip.start_seconds or 0.0:.3f}_{end}"


def _label_names(cell: str) -> tuple[tuple[str, ...], tuple[float, ...]]:
    """Return the names in a cell, each once, and no values."""
    return tuple(dict.fromkeys(names_in(cell))), ()


def _label_values(task: Task, cell: str) -> tuple[tuple[str, ...], tuple[float, ...]]:
    """Return the names and values in a cell such as `valence=-1.5;arousal=0.25`."""
    found: dict[str, float] = {}
    for part in _label_names(cell)[0]:
        name, _, text = (clean_name(piece) for piece in part.rpartition("="))
        value = number(text)
        if math.isnan(value):
            raise WrongRow(f"label {part!r}: write it as NAME=VALUE")
        if not name or name in found:
            raise WrongRow(f"label {part!r}: " + ("it stands there twice" if name else "no name"))
        if not task.low <= value <= task.high:
            raise WrongRow(f"label {part!r}: not within {task.low:g} to {task.high:g}")
        found[name] = value
    return tuple(found), tuple(found.values())


def _clip(
    row: dict[str, str], read_labels: Callable, known: Collection[str] | None, max_seconds: float
) -> Clip:
    """Return the clip of one row, its id empty where the row gives none."""
    file = inner_path(row["file"])
    labels, values = read_labels(row["labels"])
    for name in labels:
        if known is not None and name not in known:
            raise WrongRow(f"unknown label {shown(name)}")
    start, end = (
        seconds(row[column], column, max_seconds) if row.get(column) else None
        for column in ("start_seconds", "end_seconds")
    )
    if end is not None and end <= (start or 0.0):
        raise WrongRow(f"end_seconds {end:g} is not after start_seconds {start or 0:g}")
    split = row.get("split") or "train"
    if not SPLIT_NAME.fullmatch(split):
        raise WrongRow(f"split {split!r} may hold letters, digits and _ only")
    others = {name: row.get(name, "") for name in ("id", "source_group", "video_id")}
    return Clip(
        file=file,
        labels=labels,
        values=values,
        start_seconds=start,
        end_seconds=end,
        split=split,
        **others,
    )


def write_clip_list(
    path: str | os.PathLike, clips: Iterable[Clip], events: str | os.PathLike | None = None
) -> None:
    """Write clips (and to `events` their strong times) as a user's own list.

    Raises InputError for a label that holds `;`, which separates labels in the list, and for a
    name with a line break.
    """
    clips = list(clips)
    fields = ["id", "file", "start_seconds", "end_seconds", "split", "source_group"]
    if any(clip.video_id for clip in clips):
        fields.append("video_id")
    rows = [(*(getattr(clip, f) for f in fields), _labels_cell(clip)) for clip in clips]
    for clip, row in zip(clips, rows, strict=True):
        if any(";" in label for label in clip.labels):
            raise InputError(f"clip {clip.id!r}: a label holds ';', which separates labels")
        if any(mark in str(cell) for cell in row for mark in "\r\n\0"):
            raise InputError(f"clip {clip.id!r}: a name with a line break cannot stand in a list")
    _write(path, ",", (*fields, "labels"), rows)
    if events is not None:
        times = (
            (clip.file, e.onset_seconds, e.offset_seconds, e.label)
            for clip in clips
            for e in clip.events
        )
        _write(events, "\t", EVENT_COLUMNS, times)


def _labels_cell(clip: Clip) -> str:
    if not clip.values:
        return ";".join(clip.labels)
    return ";".join(f"{n}={value!r}" for n, value in zip(clip.labels, clip.values, strict=True))


def _write(path: str | os.PathLike, delimiter: str, header: tuple, rows: Iterable[tuple]) -> None:
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter=delimiter, lineterminator="\n")
        writer.writerows([header, *rows])
