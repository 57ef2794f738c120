"""DCASE 2017 task 4 as its official scorers count it, from the challenge's own files, in per cent.

Conventions
-----------
The challenge's text files are `file, start, end, label`, tab-separated, without a header: one row
for every label of a clip, and for every event where times are those of events. A row of the file's
name alone, or without a label, names a clip without a label. Lines may end in LF or CRLF, and
`.wav` and `.flac` are no part of a clip's name. Commas and semicolons may part the cells, and a
header may name them as lists of events do: sed_eval's, what `mmat tag --format tsv` writes, and
AudioSet's strong labels, whose segments of 10 s are clips `VIDEO_START_END`. Every score is a dict
`{"micro": {…}, "class_based": {…}, "per_class": {label: {…}}}` of per cent. A fraction without a
denominator is 0.

Metrics
-------
- `score_tagging`: subtask A. Micro precision, recall and F1 over pooled labels rank systems.
- `score_events`: subtask B. Error rate and F1 over segments of one second, by sed_eval.
- `read_rows`, `write_tags`, `write_events`: the files.

What is peculiar to the official figure of subtask A
----------------------------------------------------
Only clips that the prediction names count: a missing one adds no miss. Clips unknown to the truth
are ignored. Rows of four columns that end at 0 s are dropped. A label that is predicted twice for
one clip is one hit and one false alarm in the micro figure, one hit in the class-based one, and a
false alarm each time where it is wrong. `class_based` is the mean precision and the mean recall
over the classes that occur in either file, and the F1 of these two means. A label that the truth
does not know is a false alarm and a class of its own. `strict` counts every clip of the truth.

Source: the published behaviour of the challenge's scorers, held to their golden values in tests,
and its truth lists.
"""

import csv
import math
import os
import re
import warnings
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import NamedTuple, NoReturn

import numpy as np

from mmat.annotations import annotation_table
from mmat.files import InputError, atomic_path
from mmat.labels import LabelSet, clean_name, shown
from mmat.metrics.events import class_segments, micro_segments, segment_counts
from mmat.tables import (
    DELIMITERS,
    EVENT_COLUMNS,
    HEAD_LINES,
    MAX_SECONDS,
    NOT_PRESENT,
    PRESENT,
    SCENE_COLUMNS,
    WrongRow,
    event_columns,
    number,
    numbered_lines,
    open_table,
    row_cells,
    row_or_none,
    seconds,
)

COLUMNS = "file, start, end, label (tabs)"
# The name that the public lists give a trimmed file, whose times are those of the whole video.
_TIMED_NAME = re.compile(r".+_(\d+\.\d{3})_(\d+\.\d{3})")
# A segment of a web video, as downloaders name it, and as AudioSet's strong labels do, where it is
# one of 10 s and the number is its start in milliseconds.
_SEGMENT_NAME = re.compile(
    r"Y?([\w-]{11})_(\d{1,9}(?:\.\d+)?)_(\d{1,9}(?:\.\d+)?)(?:\.[A-Za-z]\w*)?", re.ASCII
)
_SEGMENT_ID = re.compile(r"([\w-]{11})_(\d{1,9})", re.ASCII)
AUDIOSET_SECONDS = 10.0


class Row(NamedTuple):
    """One line: its number, the clip without its suffix, its times and its label ("" for none).

    The times are NaN where a label tool's table has none for a label.
    """

    line: int
    clip: str
    start_seconds: float
    end_seconds: float
    label: str


def score_tagging(
    truth_path: str | os.PathLike,
    prediction_path: str | os.PathLike,
    strict: bool = False,
    labels: LabelSet | None = None,
    max_seconds: float = MAX_SECONDS,
    name_of: Callable[[str], str] = str,
) -> dict[str, dict]:
    """Return subtask A's figures of a prediction file.

    strict: clips of the truth that the prediction leaves out count as predicted to have no label.
    labels: refuse every other label in either file. max_seconds, name_of: see `read_rows`. Raises
    InputError for files that are wrong, and where they have no clip in common.
    """
    truth, predicted = _read(truth_path, prediction_path, labels, max_seconds, name_of)
    true_labels, predicted_labels = _labels_of(truth, strict), _labels_of(predicted, False)
    _need_common(true_labels, predicted_labels, truth_path, prediction_path)
    _warn_of_unknown(truth, predicted, prediction_path)
    clips = true_labels if strict else [clip for clip in predicted_labels if clip in true_labels]
    micro, by_class = Counter(), {}
    for clip in clips:
        true, found = true_labels[clip], predicted_labels.get(clip, Counter())
        hits = (true & found).total()
        micro.update(hits=hits, false=found.total() - hits, missed=true.total() - hits)
        for label in true | found:
            outcome = "false" if label not in true else "hits" if label in found else "missed"
            rows = found[label] if outcome == "false" else true[label]
            by_class.setdefault(label, Counter())[outcome] += rows
    per_class = {label: _figures(by_class[label]) for label in sorted(by_class)}
    means = [
        sum(figures[name] for figures in per_class.values()) / max(len(per_class), 1)
        for name in ("precision", "recall")
    ]
    return {
        "micro": _figures(micro),
        "class_based": dict(zip(("precision", "recall", "f1"), _with_f1(*means), strict=True)),
        "per_class": per_class,
    }


def score_events(
    truth_path: str | os.PathLike,
    prediction_path: str | os.PathLike,
    labels: LabelSet | None = None,
    segment_seconds: float = 1.0,
    max_seconds: float = MAX_SECONDS,
    name_of: Callable[[str], str] = str,
) -> dict[str, dict]:
    """Return subtask B's figures: error rate, precision, recall and F1 over segments.

    The classes are those of the truth; clips that it does not name are ignored, each clip lasts to
    its last event in either file. Raises InputError as `score_tagging`, for a label that the truth
    does not have, and without sed_eval.
    """
    truth, predicted = _read(truth_path, prediction_path, labels, max_seconds, name_of)
    clips = dict.fromkeys(row.clip for row in truth)
    _need_common(clips, {row.clip for row in predicted}, truth_path, prediction_path)
    sounding = [row for row in truth if row.label and row.end_seconds > 0]
    if not sounding:
        raise InputError(f"{truth_path}: no row has an event; subtask B needs strong labels")
    names = sorted({row.label for row in sounding})
    known = set(names)
    for row in predicted:
        if row.label and row.label not in known:
            where = f"{prediction_path}:{row.line}"
            what = f"unknown label {shown(row.label)}; the truth has no such event"
            raise InputError(f"{where}: {what}")
    counts = segment_counts(
        _events_of(sounding, clips, names, truth_path),
        _events_of(predicted, clips, names, prediction_path),
        len(names),
        None,
        segment_seconds,
    )
    per_class = dict(zip(names, class_segments(counts), strict=True))
    means = [sum(column) / len(names) for column in zip(*per_class.values(), strict=True)]
    return {
        "micro": _percent(micro_segments(counts)),
        "class_based": _percent(next(iter(per_class.values()))._make(means)),
        "per_class": {name: _percent(figures) for name, figures in per_class.items()},
    }


def read_rows(
    path: str | os.PathLike,
    max_seconds: float = MAX_SECONDS,
    name_of: Callable[[str], str] = str,
    clips: Collection[str] = (),
) -> list[Row]:
    """Return the rows of a file; raises InputError with the line where one is none.

    max_seconds: a later time is an error. name_of: gives the name of a label that may be a machine
    id, default the label itself. clips: those that a label tool's table may name by longer paths.

    >>> import tempfile
    >>> path = os.path.join(tempfile.mkdtemp(), "truth.csv")
    >>> write_tags(path, ["a_0.000_10.000"], ["Dog", "Cat"], [[True, False]])
    >>> read_rows(path)
    [Row(line=1, clip='a_0.000_10.000', start_seconds=0.0, end_seconds=10.0, label='Dog')]
    """
    with open_table(path, "file") as file:
        lines = [each for each in numbered_lines(path, file) if not each[1].isspace()]
    rows = []
    for line, four in _four_cells(path, lines, clips):
        try:
            rows.append(_row(line, four, max_seconds, name_of))
        except WrongRow as wrong:
            raise InputError(f"{path}:{line}: {wrong}") from None
    if not rows:
        raise InputError(f"{path}: no rows; each must be {COLUMNS}")
    return rows


def write_tags(
    path: str | os.PathLike,
    ids: Sequence[str],
    labels: Sequence[str],
    decisions,
    clip_seconds: float = 10.0,
) -> None:
    """Write weak truth or predictions, `(clips, classes)` bool: a row for every label of a clip.

    A clip without a label has a row of its name alone, so that it counts. clip_seconds: the end
    of clips whose names hold no times. Raises InputError for a name with a tab or line break.
    """
    rows = []
    for clip, decided in zip(ids, np.asarray(decisions, bool), strict=True):
        times = times_of(clip_name(clip), clip_seconds)
        rows += [(clip, *times, labels[c]) for c in np.flatnonzero(decided)] or [(clip,)]
    _write(path, rows)


def write_events(
    path: str | os.PathLike,
    ids: Sequence[str],
    labels: Sequence[str],
    events: Sequence[Sequence[tuple]],
) -> None:
    """Write events, one list a clip of `(label_index, onset_seconds, offset_seconds, …)`.

    A clip without an event has a row of its name alone. Raises InputError as `write_tags` does.
    """
    rows = []
    for clip, found in zip(ids, events, strict=True):
        rows += [(clip, event[1], event[2], labels[event[0]]) for event in found] or [(clip,)]
    _write(path, rows)


def clip_name(file: str) -> str:
    """Return a file's name without `.wav` or `.flac`.

    >>> clip_name("-5QrBL6MzLg_60.000_70.000.wav")
    '-5QrBL6MzLg_60.000_70.000'
    """
    return file.removesuffix(".wav").removesuffix(".flac")


def times_of(clip: str, clip_seconds: float = 10.0) -> tuple[float, float]:
    """Return where a clip starts and ends in its video, as its name tells; else from 0 s.

    >>> times_of("-5QrBL6MzLg_60.000_70.000"), times_of("dog")
    ((60.0, 70.0), (0.0, 10.0))
    """
    match = _TIMED_NAME.fullmatch(clip)
    return (float(match[1]), float(match[2])) if match else (0.0, clip_seconds)


def _read(truth_path, prediction_path, labels, max_seconds, name_of) -> tuple[list[Row], list[Row]]:
    """Read both files; raises InputError for a label outside `labels`."""
    truth = read_rows(truth_path, max_seconds, name_of)
    clips = {row.clip for row in truth}
    both = [truth, read_rows(prediction_path, max_seconds, name_of, clips)]
    known = None if labels is None else frozenset(labels.names)
    for path, rows in zip((truth_path, prediction_path), both, strict=True):
        for row in rows:
            if known is not None and row.label and row.label not in known:
                first = ", ".join(labels.names[:3])
                raise InputError(
                    f"{path}:{row.line}: unknown label {shown(row.label)}; it is none of the "
                    f"{len(labels)} of the label set ({first}, …)"
                )
    if not any(row.label for row in both[0]):
        raise InputError(f"{truth_path}: no row has a label, so there is nothing to find")
    return both


def _labels_of(rows: list[Row], keep_inaudible: bool) -> dict[str, Counter]:
    """Return how often each clip has each label; a label that ends at 0 s is not there."""
    labels: dict[str, Counter] = {}
    for row in rows:
        inaudible = bool(row.label) and row.end_seconds == 0
        if inaudible and not keep_inaudible:
            continue
        counts = labels.setdefault(row.clip, Counter())
        if row.label and not inaudible:
            counts[row.label] += 1
    return labels


def _need_common(true_clips, predicted_clips, truth_path, prediction_path) -> None:
    if not any(clip in true_clips for clip in predicted_clips):
        first = next(iter(predicted_clips), "none")
        raise InputError(
            f"{prediction_path}: none of its clips (the first is {first!r}) is in {truth_path}; "
            "are the two of the same set?"
        )


def _warn_of_unknown(truth: list[Row], predicted: list[Row], path) -> None:
    known = {row.label for row in truth} | {""}
    for row in predicted:
        if row.label not in known:
            warnings.warn(
                f"{path}:{row.line}: the truth does not have the label {shown(row.label)}; it "
                "counts as a false alarm, as do others like it",
                stacklevel=3,
            )
            return


def _events_of(rows: list[Row], clips, names: list[str], path) -> list[list[tuple]]:
    """Return the events of each clip in turn, with the label's position."""
    positions = {name: c for c, name in enumerate(names)}
    events: dict[str, list] = {clip: [] for clip in clips}
    for row in rows:
        if row.label and row.end_seconds > 0 and row.clip in events:
            if row.end_seconds <= row.start_seconds:
                raise InputError(f"{path}:{row.line}: the event has no duration")
            event = (positions[row.label], row.start_seconds, row.end_seconds)
            events[row.clip].append(event)
    return list(events.values())


def _figures(counts: Counter) -> dict[str, float]:
    hits = counts["hits"]
    precision = 100 * hits / max(hits + counts["false"], 1)
    recall = 100 * hits / max(hits + counts["missed"], 1)
    return dict(zip(("precision", "recall", "f1"), _with_f1(precision, recall), strict=True))


def _with_f1(precision: float, recall: float) -> tuple[float, float, float]:
    total = precision + recall
    return precision, recall, 2 * precision * recall / total if total else 0.0


def _percent(figures) -> dict[str, float]:
    return {name: 100 * value for name, value in figures._asdict().items()}


def _four_cells(
    path: str | os.PathLike, lines: list[tuple[int, bytes]], clips: Collection[str]
) -> Iterator[tuple[int, list[str]]]:
    """Yield (line, [file, start, end, label]) of each row; raises InputError where one is none."""

    def stop(line: int, wrong: WrongRow) -> NoReturn:
        raise InputError(f"{path}:{line}: {wrong}") from None

    annotations = annotation_table(path, *lines[0]) if lines else None
    if annotations:
        rows = lines[annotations.header_lines :]
        yield from annotations.rows(path, rows, stop, lambda file: clip_name(file) in clips)
        return
    delimiter, header = _form([content for _, content in lines[:HEAD_LINES]])
    for line, content in lines:
        try:
            cells = row_cells(content, delimiter)
            if any(cells) and not (header and event_columns(cells) == header):
                four = _cells(cells, delimiter, header)
                if four[-1] and not any(four[1:3]):
                    raise WrongRow("the row has a label and no times")
                yield line, four
        except WrongRow as wrong:
            stop(line, wrong)


def _form(lines: list[bytes]) -> tuple[str, tuple[str, ...]]:
    """Return what parts the cells of a file, and the columns that its header names, if any."""
    for delimiter in DELIMITERS:
        header = event_columns(row_or_none(lines[0], delimiter)) if lines else ()
        if set(EVENT_COLUMNS) <= set(header):
            return delimiter, header

    def n_rows(delimiter: str) -> int:
        rows = (row_or_none(line, delimiter) for line in lines)
        return sum(len(row) > 2 and number(row[-2]) >= 0 for row in rows)

    return max(DELIMITERS, key=n_rows), ()  # of equals the first, which is the tab


def _cells(cells: list[str], delimiter: str, header: tuple[str, ...]) -> list[str]:
    """Return a row's file, start, end and label, empty where it has none; raises WrongRow."""
    if len(cells) == 1:
        if any(cells[0].count(mark) > 1 for mark in DELIMITERS):
            raise WrongRow(f"one column, where {delimiter!r} parts the columns: {COLUMNS}")
        return [*cells, "", "", ""]
    if header:
        if len(cells) != len(header):
            raise WrongRow(f"{len(cells)} columns, where the header names {len(header)}")
        row = dict(zip(header, cells, strict=True))
        if row.get(PRESENT) == NOT_PRESENT:
            return [row[EVENT_COLUMNS[0]], "", "", ""]
        return [row[column] for column in EVENT_COLUMNS]
    if len(cells) == len(SCENE_COLUMNS) and number(cells[2]) >= 0 and number(cells[3]) >= 0:
        return [cells[0], *cells[2:]]
    if len(cells) not in (3, 4):
        raise WrongRow(f"{len(cells)} columns, where a row is {COLUMNS}")
    return [*cells, ""][:4]


def _row(line: int, cells: list[str], max_seconds: float, name_of: Callable[[str], str]) -> Row:
    """Return the row of these four cells; raises WrongRow."""
    name, start, end, label = cells
    if not name:
        raise WrongRow(f"no file, where a row is {COLUMNS}")
    clip, label = _clip(name, is_audioset=label.startswith("/")), clean_name(name_of(label))
    if not (start or end):
        times = [math.nan if label else 0.0] * 2
        return Row(line, clip, *times, label)
    times = [seconds(text, what, max_seconds) for text, what in ((start, "start"), (end, "end"))]
    if times[1] < times[0]:
        raise WrongRow(f"it ends at {end} s, before it starts at {start} s")
    return Row(line, clip, *times, label)


def _clip(name: str, is_audioset: bool) -> str:
    """Return a clip's name, that of a segment of a web video in one spelling."""
    if found := _SEGMENT_NAME.fullmatch(name):
        return f"{found[1]}_{float(found[2]):.3f}_{float(found[3]):.3f}"
    if is_audioset and (found := _SEGMENT_ID.fullmatch(name)):
        start_seconds = int(found[2]) / 1000
        return f"{found[1]}_{start_seconds:.3f}_{start_seconds + AUDIOSET_SECONDS:.3f}"
    return clip_name(name)


def _write(path: str | os.PathLike, rows: Iterable[tuple]) -> None:
    with atomic_path(path) as part, open(part, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter="\t", lineterminator="\n")
        for clip, *rest in rows:
            texts = [f"{clip_name(clip)}.wav", *(f"{time:.3f}" for time in rest[:2]), *rest[2:]]
            if any(mark in text for text in texts for mark in "\t\r\n"):
                raise InputError(f"{path}: {clip!r} cannot stand in a tab-separated file")
            writer.writerow(texts)
