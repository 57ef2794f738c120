"""Lists with a row for every label of a clip: weak truth, and strong truth as sed_eval reads it.

Weak: the times of the segment in its video, again; strong: when the label sounds, in seconds from
the beginning of the clip, where `0 0` means that it is in the clip but was not heard.
"""

import posixpath
from collections.abc import Collection, Iterator
from typing import NamedTuple

import pandas as pd

from mmat.data.clips import Clip, Event
from mmat.data.list_formats import EVENT_COLUMNS, WEAK, Form
from mmat.data.list_rows import ListFile, WrongRow, inner_path, seconds, time_range
from mmat.data.segment_lists import Segment
from mmat.errors import InputError


class TruthRow(NamedTuple):
    """One good row; label "" for a clip without any, event None where no time is given."""

    line: int
    file: str
    segment: Segment | None
    label: str
    event: Event | None


def truth_rows(source: ListFile, form: Form, known: Collection[str] | None) -> Iterator[TruthRow]:
    """Yield the good rows of a list of that form; known: the labels, or None for any."""
    places = [form.columns.index(column) for column in EVENT_COLUMNS]
    for line, cells in source.rows(form.delimiter, after=form.header):
        try:
            if len(cells) != len(form.columns):
                raise WrongRow(f"{len(cells)} cells in the row, not {len(form.columns)}")
            name, onset, offset, label = (cells[place] for place in places)
            segment = Segment.named(name)
            file = f"{segment.id}.wav" if segment else inner_path(name)
            if not label and (onset or offset):
                raise WrongRow("the row names no label")
            if label and known is not None and label not in known:
                raise WrongRow(f"unknown label {label!r}")
            event = None
            if form.kind == WEAK:
                _check_whole(name, segment, onset, offset)
            elif label:
                event = _event(label, onset, offset)
        except WrongRow as wrong:
            source.drop(line, wrong)
            continue
        yield TruthRow(line, file, segment, label, event)


def read_truth(
    source: ListFile, form: Form, known: Collection[str] | None, split: str
) -> tuple[list[Clip], list[int]]:
    """Return the clips of a list, in the order in which they first occur, and their lines."""
    first: dict[str, TruthRow] = {}
    labels: dict[str, dict[str, None]] = {}
    events: dict[str, dict[Event, None]] = {}
    for row in truth_rows(source, form, known):
        new_clip = first.setdefault(row.file, row) is row
        names, heard = labels.setdefault(row.file, {}), events.setdefault(row.file, {})
        adds_label = row.label and row.label not in names
        if not (new_clip or adds_label or (row.event and row.event not in heard)):
            source.drop(row.line, f"duplicate clip: the row says nothing new of {row.file!r}")
            continue
        if row.label:
            names[row.label] = None
        if row.event:
            heard[row.event] = None
    clips: dict[str, Clip] = {}
    lines = []
    for file, row in first.items():
        stem = posixpath.splitext(file)[0]
        clip_id = file if stem in clips else stem
        if clip_id in clips:
            source.drop(row.line, f"the id {clip_id!r} is another clip's, {clips[clip_id].file!r}")
            continue
        clips[clip_id] = _clip(clip_id, row, tuple(labels[file]), events[file], split)
        lines.append(row.line)
    return list(clips.values()), lines


def attach_events(source: ListFile, form: Form, table: pd.DataFrame) -> None:
    """Put the strong times of a list of events into the table's column `events`.

    A row of no clip of the table, or of a label that the clip has not, is a wrong row.
    """
    if form.kind == WEAK:
        raise InputError(f"{source.path}: its times are whole clips, not events; give strong times")
    rows: dict[str, int | None] = {}
    for i, file in enumerate(table["file"]):
        rows[file] = None if file in rows else i
    found: dict[int, dict[Event, None]] = {}
    labels, events = table["labels"].tolist(), table["events"].tolist()
    for row in truth_rows(source, form, None):
        i = rows.get(row.file)
        if i is None:
            many = "several clips" if row.file in rows else "no clip"
            source.drop(row.line, f"the file {row.file!r} is in {many} of the list")
        elif row.label and row.label not in labels[i]:
            source.drop(row.line, f"{row.label!r} is not among the clip's labels in the list")
        elif row.event and row.event in found.setdefault(i, {}):
            source.drop(row.line, f"duplicate event of {row.file!r}")
        elif row.event:
            found[i][row.event] = None
    for i, heard in found.items():
        events[i] = _in_order(heard)
    table["events"] = pd.Series(events, dtype=object)


def _in_order(events: Collection[Event]) -> tuple[Event, ...]:
    return tuple(sorted(events, key=lambda event: event.onset_seconds))


def _check_whole(name: str, segment: Segment | None, start: str, end: str) -> None:
    if not segment:
        raise WrongRow(f"{name!r} is no name of a segment: VIDEO_START_END.wav")
    if time_range(start, end) != segment[1:]:
        raise WrongRow(f"the times {start} to {end} are not those in the name {name!r}")


def _event(label: str, onset: str, offset: str) -> Event | None:
    if seconds(onset, "the onset") == seconds(offset, "the offset") == 0:
        return None
    return Event(label, *time_range(onset, offset, ("onset", "offset")))


def _clip(
    clip_id: str, row: TruthRow, labels: tuple[str, ...], events: Collection[Event], split: str
) -> Clip:
    video, start, end = row.segment or ("", None, None)
    return Clip(clip_id, row.file, labels, start, end, split, video, _in_order(events), video)
