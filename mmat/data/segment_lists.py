"""Public lists of segments of web videos, labels by machine id: DCASE 2017 task 4, AudioSet.

DCASE: `video, start, end, "names", "mids"`; AudioSet: `#` lines, then `video, start, end, "mids"`.
Names hold commas and are not read. Lists run to two million rows, so a row is little work.
"""

import re
from array import array
from typing import NamedTuple

import numpy as np
import pandas as pd

from mmat.data.clips import table_from
from mmat.data.list_rows import ListFile, WrongRow, cells, time_range
from mmat.errors import InputError
from mmat.labels import LabelSet

VIDEO_ID = re.compile(r"[A-Za-z0-9_-]{11}")
_TIME = r"(\d{1,9}(?:\.\d+)?)"
# Downloaders put a `Y` before a video's id.
_SEGMENT_NAME = re.compile(rf"Y?({VIDEO_ID.pattern})_{_TIME}_{_TIME}(?:\.[A-Za-z]\w*)?", re.ASCII)

# A row as nearly all rows are, by its number of cells: found at once, not cell by cell.
_CELL, _MIDS = r'(?:"[^"\0\ufffd]*"|[^",\0\ufffd]*)', r'(?:"([^"\s]+)"|([^",\s]+))'
_PLAIN_ROWS = {
    4: re.compile(rf"({VIDEO_ID.pattern}), *{_TIME}, *{_TIME}, *{_MIDS}\s*", re.ASCII),
    5: re.compile(rf"({VIDEO_ID.pattern}), *{_TIME}, *{_TIME}, *{_CELL}, *{_MIDS}\s*", re.ASCII),
}


class Segment(NamedTuple):
    """A range of a web video, in seconds."""

    video_id: str
    start_seconds: float
    end_seconds: float

    @property
    def id(self) -> str:
        """The official name of the segment's file, without suffix."""
        return segment_id(*self)

    @classmethod
    def named(cls, file: str) -> "Segment | None":
        """Return the segment that a trimmed file is named after, or None.

        >>> Segment.named("Y-5QrBL6MzLg_60.000_70.000.wav")
        Segment(video_id='-5QrBL6MzLg', start_seconds=60.0, end_seconds=70.0)
        """
        found = _SEGMENT_NAME.fullmatch(file)
        return cls(found[1], float(found[2]), float(found[3])) if found else None


def read_segments(
    source: ListFile, n_columns: int, labels: LabelSet, split: str
) -> tuple[pd.DataFrame, np.ndarray]:
    """Return the table of a list's good rows, and their line numbers.

    n_columns: cells a row, the last of them the machine ids. Raises InputError where the label
    set has no machine ids.
    """
    names_of, plain = _Names(labels, source), _PLAIN_ROWS[n_columns]
    ids, videos, names = [], [], []
    starts, ends, lines = array("d"), array("d"), array("q")
    for line, content in source.lines(comments=True):
        try:
            found = plain.fullmatch(content.decode(errors="replace"))
            video, start, end, mids = _read(found) if found else _read_slowly(content, n_columns)
            names.append(names_of[mids])
        except WrongRow as wrong:
            source.drop(line, wrong)
            continue
        ids.append(segment_id(video, start, end))
        videos.append(video)
        starts.append(start)
        ends.append(end)
        lines.append(line)
    columns = {
        "id": ids,
        "file": [f"{each}.wav" for each in ids],
        "video_id": videos,
        "start_seconds": np.frombuffer(starts),
        "end_seconds": np.frombuffer(ends),
        "labels": names,
        "split": [split] * len(ids),
        "source_group": videos,
        "events": [()] * len(ids),
        "values": [()] * len(ids),
    }
    return _without_duplicates(source, table_from(columns), np.frombuffer(lines, np.int64))


def _read(found: re.Match) -> tuple[str, float, float, str]:
    """Return video, start, end and machine ids of a row that `_PLAIN_ROWS` found."""
    video, start, end, quoted, mids = found.groups()
    start_seconds, end_seconds = float(start), float(end)
    if end_seconds <= start_seconds:
        time_range(start, end)
    return video, start_seconds, end_seconds, quoted or mids


def _read_slowly(content: bytes, n_columns: int) -> tuple[str, float, float, str]:
    """Return the same of any row; raises WrongRow with the reason where it is wrong."""
    row = cells(content, ",")
    if len(row) != n_columns:
        raise WrongRow(f"{len(row)} cells in the row, not {n_columns}")
    if not VIDEO_ID.fullmatch(row[0]):
        raise WrongRow(f"{row[0]!r} is no id of a web video (11 letters, digits, - and _)")
    return row[0], *time_range(row[1], row[2]), row[-1]


def segment_id(video_id: str, start_seconds: float, end_seconds: float) -> str:
    """Return the official name of a segment, without suffix.

    >>> segment_id("-5QrBL6MzLg", 60, 70)
    '-5QrBL6MzLg_60.000_70.000'
    """
    return f"{video_id}_{start_seconds:.3f}_{end_seconds:.3f}"


class _Names(dict):
    """Machine ids as they stand in a cell, to names: many rows share a cell, so each is kept."""

    def __init__(self, labels: LabelSet, source: ListFile):
        self._by_mid = {m: n for m, n in zip(labels.mids, labels.names, strict=True) if m}
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


def _without_duplicates(source: ListFile, table: pd.DataFrame, lines: np.ndarray):
    again = table["id"].duplicated().to_numpy()
    if not again.any():
        return table, lines
    doubled = table["id"].isin(set(table["id"][again])).to_numpy()
    first: dict[str, int] = {}
    for clip_id, line in zip(table["id"][doubled], lines[doubled].tolist(), strict=True):
        if first.setdefault(clip_id, line) != line:
            source.drop(line, f"duplicate clip {clip_id!r}, it stands in line {first[clip_id]}")
    return table[~again].reset_index(drop=True), lines[~again]
