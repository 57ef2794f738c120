"""The forms in which taggings are written, for people, programs and the tools people label with.

A form has `write(taggings)`, which yields the text bit by bit, or bytes where it is no text. JSON
and CSV hold tags; the lists of events are those that sed_eval, Audacity, Raven, Kaleidoscope and,
as Parquet, programs for tables read. `mmat.lists` reads all of these but Audacity's as strong
labels.
"""

import csv
import dataclasses
import io
import json
import os
from collections.abc import Callable, Iterable, Iterator

import numpy as np

from mmat.parquet import parquet_bytes
from mmat.tagging.result import Reason, Tag, Tagging, as_table

CSV_HEADER = ["file", "label", "score", "fired", "audio_score", "video_score", "confidence"]
EVENTS_HEADER = ["filename", "onset", "offset", "event_label"]
# The columns that BirdNET-Analyzer writes and reads, in its order, and what else is known.
RAVEN_HEADER = (
    ["Selection", "View", "Channel", "Begin Time (s)", "End Time (s)", "Low Freq (Hz)"]
    + ["High Freq (Hz)", "Common Name", "Confidence", "Score", "Begin File", "Begin Path"]
    + ["File Offset (s)"]
)
KALEIDOSCOPE_HEADER = [
    "INDIR",
    "FOLDER",
    "IN FILE",
    "OFFSET",
    "DURATION",
    "scientific_name",
    "common_name",
] + ["confidence", "score", "MANUAL ID"]
HIGHEST_HZ = 8000  # that mmat hears
PARQUET_TYPES = {
    "file": "string",
    "onset_seconds": "float64",
    "offset_seconds": "float64",
    "label": "string",
    "score": "float64",
    "confidence": "float64",
    "modality": "string",
}


@dataclasses.dataclass(frozen=True)
class Form:
    """How taggings are written: one by one, with what comes before, between and after them.

    one: a tagging's text, which ends a line, for on a terminal messages come between the files.
    """

    one: Callable[[Tagging], str]
    before: str = ""
    between: str = ""
    after: str = ""

    def write(self, taggings: Iterable[Tagging]) -> Iterator[str]:
        """Yield the text bit by bit, each tagging as soon as it is there."""
        lead = self.before
        for tagging in taggings:
            yield lead + self.one(tagging)
            lead = self.between
        yield self.after if lead is not self.before else self.before + self.after


def json_form(several: bool, explain: bool = False) -> Form:
    """Return JSON: an object for the one file, or an array of objects.

    `task` says what the scores are: `multi-label`, `multi-class` or `regression LOW HIGH`.
    `audio_score` and `video_score` are null where a branch has no score, `confidence` where the
    score is a value. `n_labels` and `n_fired` count all labels, of which `tags` may be the best.
    explain: tags also have `reasons`: sense, name, probability, similarity, seconds.

    >>> print("".join(json_form(several=True).write([])), end="")
    [
    ]
    """

    def tag_of(tag: Tag, reasons: Iterable[Reason]) -> dict:
        if not explain:
            return vars(tag)
        own = [reason._asdict() for reason in reasons if reason.label == tag.label]
        return vars(tag) | {"reasons": [{k: x for k, x in r.items() if k != "label"} for r in own]}

    def one(tagging: Tagging) -> str:
        whole = {
            "file": tagging.file,
            "task": str(tagging.task),
            "duration_seconds": round(tagging.duration_seconds, 6),
            "has_audio": tagging.has_audio,
            "has_video": tagging.has_video,
            "n_labels": len(tagging.labels),
            "n_fired": int(np.sum(tagging.fired)),
            "tags": [tag_of(tag, tagging.reasons) for tag in tagging.tags],
            "events": [vars(event) for event in tagging.events],
        }
        if tagging.problem:
            whole["problem"] = tagging.problem
        return json.dumps(whole, indent=1, ensure_ascii=False, allow_nan=False) + "\n"

    return Form(one, "[\n", ",\n", "]\n") if several else Form(one)


def csv_form() -> Form:
    """Return CSV: a header and a row for every file and label; a branch without a score is empty.

    >>> "".join(csv_form().write([]))
    'file,label,score,fired,audio_score,video_score,confidence\\n'
    """

    def one(tagging: Tagging) -> str:
        rows = []
        for tag in tagging.tags:
            rest = (tag.audio_score, tag.video_score, tag.confidence)
            cells = [None if x is None else f"{x:.6f}" for x in rest]
            rows.append([tagging.file, tag.label, f"{tag.score:.6f}", int(tag.fired), *cells])
        return _rows(rows)

    return Form(one, _rows([CSV_HEADER]))


def events_form() -> Form:
    """Return the events of all files as sed_eval reads them: tabs, a header, a row an event.

    >>> "".join(events_form().write([]))
    'filename\\tonset\\toffset\\tevent_label\\n'
    """

    def one(tagging: Tagging) -> str:
        rows = [
            [tagging.file, f"{begin:.3f}", f"{end:.3f}", label]
            for begin, end, label in _event_rows(tagging)
        ]
        return _rows(rows, "\t")

    return Form(one, _rows([EVENTS_HEADER], "\t"))


def audacity_form() -> Form:
    """Return the events of one file as a label track that Audacity imports: from, to, label."""

    def one(tagging: Tagging) -> str:
        rows = [[f"{begin:.6f}", f"{end:.6f}", label] for begin, end, label in _event_rows(tagging)]
        return _rows(rows, "\t")

    return Form(one)


@dataclasses.dataclass(frozen=True)
class RavenForm:
    """The events of all files as a selection table of Raven, as BirdNET-Analyzer writes them.

    Raven opens several files as one sound: `Begin Time (s)` counts from the beginning of the first
    of them, and `File Offset (s)` from that of its own. Cells are text between tabs, as Raven reads
    them.

    >>> text = "".join(RavenForm().write([]))
    >>> text.split("\\t")[:4], text.count("\\n")
    (['Selection', 'View', 'Channel', 'Begin Time (s)'], 1)
    """

    def write(self, taggings: Iterable[Tagging]) -> Iterator[str]:
        """Yield the text bit by bit, each tagging as soon as it is there."""
        yield "\t".join(RAVEN_HEADER) + "\n"
        n_rows, seconds_before = 0, 0.0
        for tagging in taggings:
            rows = [
                [n_rows + n, "Spectrogram 1", 1]
                + [f"{seconds_before + t:.6f}" for t in (event.onset_seconds, event.offset_seconds)]
                + [0, HIGHEST_HZ, tagging.text_of(event)]
                + [_decimals(event.confidence), _decimals(event.score)]
                + [os.path.basename(tagging.file), _whole_path(tagging.file)]
                + [f"{event.onset_seconds:.6f}"]
                for n, event in enumerate(tagging.events, start=1)
            ]
            yield "".join("\t".join(map(_plain_cell, row)) + "\n" for row in rows)
            n_rows += len(rows)
            seconds_before += tagging.duration_seconds


def kaleidoscope_form() -> Form:
    """Return the events of all files as a CSV of Kaleidoscope, as BirdNET-Analyzer writes them.

    A file is the folder above its own, its folder and its name; `MANUAL ID` is left to the one who
    listens.

    >>> "".join(kaleidoscope_form().write([])).split(",")[:5]
    ['INDIR', 'FOLDER', 'IN FILE', 'OFFSET', 'DURATION']
    """

    def one(tagging: Tagging) -> str:
        folder, name = os.path.split(_whole_path(tagging.file))
        place = [*map(_one_line, os.path.split(folder)), _one_line(name)]
        rows = []
        for event in tagging.events:
            label = _one_line(tagging.text_of(event))
            seconds = event.offset_seconds - event.onset_seconds
            times = [f"{event.onset_seconds:.6f}", f"{seconds:.6f}"]
            sure = [_decimals(event.confidence), _decimals(event.score)]
            rows.append([*place, *times, label, label, *sure, ""])
        return _rows(rows)

    return Form(one, _rows([KALEIDOSCOPE_HEADER]))


@dataclasses.dataclass(frozen=True)
class ParquetForm:
    """The events of all files as a Parquet table, a row an event; `confidence` may be null."""

    def write(self, taggings: Iterable[Tagging]) -> Iterator[bytes]:
        """Yield the table, whole, when the last tagging is there."""
        rows = [
            (_text(t.file), e.onset_seconds, e.offset_seconds, e.label, e.score)
            + (e.confidence, e.modality)
            for t in taggings
            for e in t.events
        ]
        columns = zip(*rows, strict=True) if rows else [()] * len(PARQUET_TYPES)
        named = dict(zip(PARQUET_TYPES, columns, strict=True))
        yield parquet_bytes(named, list(PARQUET_TYPES.values()))


def _plain_cell(cell: object) -> str:
    """Return a cell as plain text; only one that would look quoted is quoted."""
    text = _one_line(cell)
    return '"' + text.replace('"', '""') + '"' if text.startswith('"') else text


def _whole_path(file: str) -> str:
    """Return a file's path from the root, by which another tool finds it; `-` stays."""
    return file if file in ("", "-") else os.path.abspath(file)


def _text(name: str) -> str:
    """Return a file's name as text, which it need not be."""
    return name.encode("utf-8", "backslashreplace").decode()


def _decimals(value: float | None) -> str:
    return "" if value is None else f"{value:.6f}"


def _event_rows(tagging: Tagging) -> list[tuple[float, float, str]]:
    return [(e.onset_seconds, e.offset_seconds, tagging.text_of(e)) for e in tagging.events]


def _rows(rows: list[list], delimiter: str = ",") -> str:
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter, lineterminator="\n")
    # A tab or a line break in a name would be read as another row.
    writer.writerows([[_one_line(x) if delimiter == "\t" else x for x in row] for row in rows])
    return text.getvalue()


def _one_line(cell) -> str:
    return " ".join(str(cell).split()) if any(c in str(cell) for c in "\t\r\n") else str(cell)


def table_form(explain: bool = False, top: int | None = None) -> Form:
    """Return tables of the tags and the events, file by file, as `as_table` makes them."""
    return Form(lambda tagging: as_table(tagging, explain, top) + "\n", between="\n")
