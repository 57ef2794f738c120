"""Which kind of list a file is, told by its first lines and not by its name."""

import collections
import re
from collections.abc import Iterator
from typing import NamedTuple

from mmat.data.clips import VIDEO_ID, Segment
from mmat.data.list_rows import ListFile, WrongRow, row_cells, seconds
from mmat.errors import InputError

OWN, DCASE, AUDIOSET, WEAK, STRONG = "own", "DCASE", "AudioSet", "weak truth", "strong truth"
SEGMENT_CELLS = {DCASE: 5, AUDIOSET: 4}  # how many cells a row of segments has
OWN_COLUMNS = ("file", "labels")
EVENT_COLUMNS = ("filename", "onset", "offset", "event_label")
_MIDS = re.compile(r"/[a-z]/\S.*")  # as machine ids begin: /m/…, /t/…, /g/…


class Form(NamedTuple):
    """How a list is written.

    kind: one of this module's names; columns: their names in order; header: its line, or 0;
    of_segments: its files are named as trimmed segments of web videos are.
    """

    kind: str
    delimiter: str
    columns: tuple[str, ...] = ()
    header: int = 0
    of_segments: bool = False


def detect(source: ListFile) -> Form:
    """Return the form of a list; raises InputError where it is none that mmat knows.

    A header tells a user's own list (`file,labels,…`) and a list of events; without one the first
    thousand rows vote. Rows of weak truth give the times that stand in the file's name, rows of
    strong truth times from the beginning of the clip.
    """
    rows = [
        (line, content)
        for line, content in source.head
        if not content.isspace() and not content.startswith(b"#")
    ]
    if not rows:
        raise InputError(f"{source.path}: the list is empty; it needs a row for each clip")
    header = _header(source, *rows[0])
    if header:
        of_segments = header.kind == STRONG and _of_segments(rows[1:], header)
        return header._replace(of_segments=of_segments)
    votes: collections.Counter[Form] = collections.Counter()
    for _, content in rows:
        for form, weight in _votes(content):
            votes[form] += weight
    if votes:
        return votes.most_common(1)[0][0]
    if any(b"\0" in content for _, content in rows):
        raise InputError(f"{source.path}: not a text file; is it a list?")
    raise InputError(
        f"{source.path}:{rows[0][0]}: no column 'file'; the first line of a list of your own must "
        "name file, labels (public lists are known by their rows)"
    )


def _header(source: ListFile, line: int, content: bytes) -> Form | None:
    for delimiter in "\t,":
        row = _cells_or_empty(content, delimiter)
        for kind, required in ((OWN, OWN_COLUMNS), (STRONG, EVENT_COLUMNS)):
            if len(row) < 2 or required[0] not in row:
                continue
            for column in required:
                if row.count(column) != 1:
                    raise InputError(
                        f"{source.path}:{line}: {'two columns' if column in row else 'no column'} "
                        f"{column!r}; the first line must name {', '.join(required)}"
                    )
            return Form(kind, delimiter, tuple(row), line)
    return None


def _of_segments(rows: list[tuple[int, bytes]], header: Form) -> bool:
    """Tell whether most of the rows under a header name a segment of a web video."""
    place = header.columns.index(EVENT_COLUMNS[0])
    names = [_cells_or_empty(content, header.delimiter)[place : place + 1] for _, content in rows]
    return 2 * sum(bool(n and Segment.named(n[0])) for n in names) > len(names)


def _votes(content: bytes) -> Iterator[tuple[Form, int]]:
    """Yield the form that a row without header speaks for, and how much."""
    for delimiter in "\t,":
        row = _cells_or_empty(content, delimiter)
        try:
            if len(row) not in (4, 5) or not row[0]:
                continue
            times = seconds(row[1], ""), seconds(row[2], "")
        except WrongRow:
            continue
        if delimiter == "," and VIDEO_ID.fullmatch(row[0]) and _MIDS.fullmatch(row[-1]):
            yield Form(DCASE if len(row) == 5 else AUDIOSET, delimiter), 1
        elif len(row) == 4:
            segment = Segment.named(row[0])
            weak = bool(segment) and times == segment[1:]
            # A whole clip from 0 on may be an event as well: it decides nothing beside others.
            weight = 0 if weak and times[0] == 0 else 1
            form = Form(WEAK if weak else STRONG, delimiter, EVENT_COLUMNS)
            yield form._replace(of_segments=bool(segment)), weight


def _cells_or_empty(content: bytes, delimiter: str) -> list[str]:
    try:
        return row_cells(content, delimiter)
    except WrongRow:
        return []
