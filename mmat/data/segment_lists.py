"""Public lists of segments of web videos, labels by machine id: DCASE 2017 task 4, AudioSet.

DCASE: `video, start, end, "names", "mids"`; AudioSet: `#` lines, then `video, start, end, "mids"`.
Names hold commas and are not read. Lists run to two million rows, so a row is little work.
"""

import re

from mmat.data.clips import SEGMENT_TIME, VIDEO_ID, Clip, segment_id
from mmat.data.list_rows import ListFile, WrongRow, row_cells, time_range
from mmat.errors import InputError
from mmat.labels import LabelSet

# A row as nearly all rows are, by its number of cells: found at once, not cell by cell.
_CELL, _MIDS = r'(?:"[^"\0\ufffd]*"|[^",\0\ufffd]*)', r'(?:"([^"\s]+)"|([^",\s]+))'
_RANGE = rf"({VIDEO_ID.pattern}), *{SEGMENT_TIME}, *{SEGMENT_TIME}"
_PLAIN_ROWS = {
    4: re.compile(rf"{_RANGE}, *{_MIDS}\s*", re.ASCII),
    5: re.compile(rf"{_RANGE}, *{_CELL}, *{_MIDS}\s*", re.ASCII),
}


def read_segments(
    source: ListFile, n_columns: int, labels: LabelSet, split: str
) -> tuple[list[Clip], list[int]]:
    """Return the clips of a list's good rows, and their line numbers.

    n_columns: cells a row, the last of them the machine ids. Raises InputError where the label
    set has no machine ids.
    """
    names_of, plain = _Names(labels, source), _PLAIN_ROWS[n_columns]
    clips: list[Clip] = []
    lines: dict[str, int] = {}  # by the clip's id
    for line, content in source.lines(comments=True):
        try:
            found = plain.fullmatch(content.decode(errors="replace"))
            video, start, end, mids = _plain_row(found) if found else _any_row(content, n_columns)
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


def _any_row(content: bytes, n_columns: int) -> tuple[str, float, float, str]:
    """Return the same of any row; raises WrongRow with the reason where it is wrong."""
    row = row_cells(content, ",")
    if len(row) != n_columns:
        raise WrongRow(f"{len(row)} cells in the row, not {n_columns}")
    if not VIDEO_ID.fullmatch(row[0]):
        raise WrongRow(f"{row[0]!r} is no id of a web video (11 letters, digits, - and _)")
    return row[0], *time_range(row[1], row[2]), row[-1]


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
