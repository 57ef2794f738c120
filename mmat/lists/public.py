"""Public lists: segments of web videos (DCASE 2017 task 4, AudioSet), weak and strong truth.

Segments have a row a clip, with labels by machine id. DCASE: `video, start, end, "names", "mids"`;
AudioSet: `#` lines, then `video, start, end, "mids"`. Names hold commas and are not read. Lists run
to two million rows, so a row is little work.

Truth has a row for every label of a clip, and for a clip without a label one of its name alone.
Weak truth repeats the times of the segment in its video; strong truth, as sed_eval reads it, says
when the label sounds, in seconds from the beginning of the clip, where `0 0` means that it is in
the clip but was not heard. AudioSet's strong labels are machine ids, of segments of 10 s.
"""

import collections
import dataclasses
import posixpath
import re
from collections.abc import Callable, Collection, Iterator

from mmat.annotations import NO_TIMES
from mmat.files import InputError
from mmat.labels import LabelSet, clean_name, shown
from mmat.lists.clip import SEGMENT_TIME, VIDEO_ID, Clip, Event, Segment, segment_id
from mmat.lists.formats import WEAK, Form, ListFile, inner_path, time_range
from mmat.tables import (
    DELIMITERS,
    EVENT_COLUMNS,
    NOT_PRESENT,
    PRESENT,
    WrongRow,
    row_cells,
    seconds,
)

# The form of nearly all rows, by the number of cells: matched at once, not cell by cell.
_CELL, _MIDS = r'(?:"[^"\0\ufffd]*"|[^",\0\ufffd]*)', r'(?:"([^"\s]+)"|([^",\s]+))'
_RANGE = rf"({VIDEO_ID.pattern}), *{SEGMENT_TIME}, *{SEGMENT_TIME}"
_PLAIN_ROWS = {
    4: re.compile(rf"{_RANGE}, *{_MIDS}\s*", re.ASCII),
    5: re.compile(rf"{_RANGE}, *{_CELL}, *{_MIDS}\s*", re.ASCII),
}


def read_segments(
    source: ListFile, form: Form, n_columns: int, labels: LabelSet, split: str
) -> tuple[list[Clip], list[int]]:
    """Return the clips of a list's good rows, and their line numbers.

    n_columns: cells a row, the last of them the machine ids. Raises InputError for a label set
    without machine ids.
    """
    names_of, plain = _Names(labels, source), _PLAIN_ROWS[n_columns]
    clips: list[Clip] = []
    lines: dict[str, int] = {}  # by the clip's id
    for line, content in source.lines(comments=True):
        try:
            found = plain.fullmatch(content.decode(errors="replace"))
            if found and float(found[3]) <= source.max_seconds:
                video, start, end, mids = _plain_row(found)
            else:
                video, start, end, mids = _any_row(source, content, form.delimiter, n_columns)
            names = names_of[mids]
            clip_id = segment_id(video, start, end)
            if clip_id in lines:
                raise WrongRow(f"duplicate clip {clip_id!r}, it stands in line {lines[clip_id]}")
        except WrongRow as wrong:
            source.drop(line, wrong)
            continue
        lines[clip_id] = line
        clips.append(Clip(clip_id, f"{clip_id}.wav", names, start, end, split, video, (), video))
    return clips, list(lines.values())


def _plain_row(found: re.Match) -> tuple[str, float, float, str]:
    """Return video, start, end and machine ids of a row that `_PLAIN_ROWS` found."""
    video, start, end, quoted, mids = found.groups()
    start_seconds, end_seconds = float(start), float(end)
    if end_seconds <= start_seconds:
        time_range(start, end)
    return video, start_seconds, end_seconds, quoted or mids


def _any_row(
    source: ListFile, content: bytes, delimiter: str, n_columns: int
) -> tuple[str, float, float, str]:
    """Return the same for any row; raises WrongRow with the reason where it is wrong."""
    row = row_cells(content, delimiter)
    if len(row) != n_columns:
        raise WrongRow(f"{len(row)} cells in the row, not {n_columns}")
    if not VIDEO_ID.fullmatch(row[0]):
        raise WrongRow(f"{row[0]!r} is no id of a web video (11 letters, digits, - and _)")
    return row[0], *time_range(row[1], row[2], max_seconds=source.max_seconds), row[-1]


class _Names(dict):
    """Maps a cell of machine ids to names, and keeps them, since many rows have the same cell."""

    def __init__(self, labels: LabelSet, source: ListFile):
        self._by_mid = labels.names_by_mid()
        if not self._by_mid:
            raise InputError(
                f"{source.path}: the list names labels by machine id, and the label set has no "
                "column 'mid'; give one that has"
            )

    def __missing__(self, cell: str) -> tuple[str, ...]:
        mids = [mid.strip() for mid in cell.split(",")]
        for mid in mids:
            if mid not in self._by_mid:
                raise WrongRow(f"unknown machine id {mid!r}" if mid else "no machine id")
        self[cell] = names = tuple(dict.fromkeys(self._by_mid[mid] for mid in mids))
        return names


def read_truth(
    source: ListFile,
    form: Form,
    known: Collection[str] | None,
    split: str,
    name_of: Callable[[str], str],
    is_file: Callable[[str], bool] | None = None,
) -> tuple[list[Clip], list[int]]:
    """Return the clips of a list, in the order in which they first occur, and their lines.

    known: the labels allowed, None for any. name_of: gives the name of a label that may be a
    machine id. is_file: whether a path is one of a file in the media folder, by which a label
    tool's absolute paths are told from there.
    """
    first: dict[str, tuple[int, Clip]] = {}  # by file, as the two below
    labels: dict[str, dict[str, None]] = collections.defaultdict(dict)
    events: dict[str, dict[Event, None]] = collections.defaultdict(dict)
    for line, row in _truth_rows(source, form, known, split, name_of, is_file):
        names, heard = labels[row.file], events[row.file]
        if row.file not in first:
            first[row.file] = line, row
        elif PRESENT in form.columns and not row.labels:
            pass  # one of many labels that were ruled out
        elif names.keys() >= set(row.labels) and heard.keys() >= set(row.events):
            source.drop(line, f"duplicate clip: the row says nothing new of {row.file!r}")
        names |= dict.fromkeys(row.labels)
        heard |= dict.fromkeys(row.events)
    clips: dict[str, Clip] = {}
    lines = []
    for file, (line, row) in first.items():
        stem = posixpath.splitext(file)[0]
        clip_id = file if stem in clips else stem
        if clip_id in clips:
            source.drop(line, f"the id {clip_id!r} is another clip's, {clips[clip_id].file!r}")
            continue
        clips[clip_id] = dataclasses.replace(
            row, id=clip_id, labels=tuple(labels[file]), events=_in_order(events[file])
        )
        lines.append(line)
    return list(clips.values()), lines


def attach_events(
    source: ListFile, form: Form, clips: list[Clip], name_of: Callable[[str], str]
) -> None:
    """Add the strong times of a list of events to the clips, in place.

    name_of: gives the name of a label that may be a machine id. A row of a clip that is not there,
    or of a label that the clip lacks, is a wrong row.
    """
    if form.kind == WEAK:
        raise InputError(f"{source.path}: its times are whole clips, not events; give strong times")
    places: dict[str, int | None] = {}
    for i, clip in enumerate(clips):
        places[clip.file] = None if clip.file in places else i
    if form.annotations:  # which may be named after a sound, without its suffix
        stems: dict[str, int | None] = {}
        for file, i in places.items():
            stem = posixpath.splitext(file)[0]
            stems[stem] = None if stem in stems else i
        places = stems | places
    found: dict[int, dict[Event, None]] = collections.defaultdict(dict)
    labels_of: dict[int, frozenset[str]] = {}
    for line, row in _truth_rows(source, form, None, "train", name_of, places.__contains__):
        i = places.get(row.file)
        if i is not None and i not in labels_of:
            labels_of[i] = frozenset(clips[i].labels)
        if i is None:
            many = "several clips" if row.file in places else "no clip"
            source.drop(line, f"the file {row.file!r} is in {many} of the list")
        elif not labels_of[i].issuperset(row.labels):
            source.drop(line, f"{row.labels[0]!r} is not among the clip's labels in the list")
        elif row.events and row.events[0] in found[i]:
            source.drop(line, f"duplicate event of {row.file!r}")
        elif row.events:
            found[i][row.events[0]] = None
    for i, heard in found.items():
        clips[i] = dataclasses.replace(clips[i], events=_in_order(heard))


def _truth_rows(
    source: ListFile,
    form: Form,
    known: Collection[str] | None,
    split: str,
    name_of: Callable[[str], str],
    is_known: Callable[[str], bool] | None = None,
) -> Iterator[tuple[int, Clip]]:
    """Yield line and clip of each good row; the clip has the row's label and event, and no id.

    A row without label has neither; one without times, or with `0 0`, has no event.
    """
    for line, cells in source.rows(form, is_known):
        try:
            name, onset, offset, label = _truth_cells(form, cells)
            segment = _segment(source, form, name)
            file = f"{segment_id(*segment)}.wav" if segment else inner_path(name)
            if not label and (onset or offset):
                raise WrongRow("the row names no label")
            label = clean_name(name_of(label))
            if label and known is not None and label not in known:
                raise WrongRow(f"unknown label {shown(label)}")
            event = None
            if form.kind == WEAK:
                _check_whole(name, segment, onset, offset)
            elif label and not (form.annotations and (onset, offset) == NO_TIMES):
                event = _event(source, label, onset, offset)
        except WrongRow as wrong:
            source.drop(line, wrong)
            continue
        video, start, end = segment or ("", None, None)
        labels, events = (label,) if label else (), (event,) if event else ()
        yield line, Clip("", file, labels, start, end, split, video, events, video)


def _truth_cells(form: Form, cells: list[str]) -> list[str]:
    """Return a row's file, onset, offset and label, empty where it has none; raises WrongRow."""
    if not any(cells[1:]) and form.columns[0] == EVENT_COLUMNS[0]:
        if any(cells[0].count(mark) >= 3 for mark in DELIMITERS):
            raise WrongRow(f"one cell; the list's cells are parted by {form.delimiter!r}")
        return [cells[0], "", "", ""]  # the file's name alone: a clip without an event
    if len(cells) != len(form.columns):
        raise WrongRow(f"{len(cells)} cells in the row, not {len(form.columns)}")
    row = dict(zip(form.columns, cells, strict=True))
    if row.get(PRESENT) == NOT_PRESENT:
        return [row[EVENT_COLUMNS[0]], "", "", ""]
    return [row[column] for column in EVENT_COLUMNS]


def _segment(source: ListFile, form: Form, name: str) -> Segment | None:
    """Return the segment of a web video that a file's name means, or None; raises WrongRow."""
    segment = Segment.named(name)
    if segment is None and form.of_audioset:
        segment = Segment.of_audioset(name)
    if segment is not None and segment.end_seconds > source.max_seconds:
        seconds(f"{segment.end_seconds:g}", "the segment's end", source.max_seconds)
    return segment


def _in_order(events: Collection[Event]) -> tuple[Event, ...]:
    return tuple(sorted(events, key=lambda event: event.onset_seconds))


def _check_whole(name: str, segment: Segment | None, start: str, end: str) -> None:
    if not segment:
        raise WrongRow(f"{name!r} is no name of a segment: VIDEO_START_END.wav")
    if not (start or end):
        return  # the file's name alone
    if time_range(start, end) != segment[1:]:
        raise WrongRow(f"the times {start} to {end} are not those in the name {name!r}")


def _event(source: ListFile, label: str, onset: str, offset: str) -> Event | None:
    longest = source.max_seconds
    if seconds(onset, "the onset", longest) == seconds(offset, "the offset", longest) == 0:
        return None
    return Event(label, *time_range(onset, offset, ("onset", "offset"), longest))
