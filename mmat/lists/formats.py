"""The formats of lists: which one a file has, by its first lines, and its rows as cells.

A line that is not a row is recorded with its number and left out.
"""

import collections
import contextlib
import itertools
import os
import pathlib
import re
from collections.abc import Callable, Iterator
from typing import BinaryIO, NamedTuple

from mmat.annotations import AnnotationTable, annotation_table
from mmat.files import InputError
from mmat.lists.clip import VIDEO_ID, Segment
from mmat.tables import (
    DELIMITERS,
    EVENT_COLUMNS,
    HEAD_LINES,
    MAX_SECONDS,
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

# A path that is surely inside the folder and has no empty parts, as nearly all are.
_PLAIN_PATH = re.compile(r"[^./\\:]+(?:[./][^./\\:]+)*")
OWN, DCASE, AUDIOSET, WEAK, STRONG = "own", "DCASE", "AudioSet", "weak truth", "strong truth"
SEGMENT_CELLS = {DCASE: 5, AUDIOSET: 4}  # how many cells a row of segments has
OWN_COLUMNS = ("file", "labels")
_OWN_NAMES = {"filename": "file", "event_labels": "labels"}  # as DCASE's weak lists since 2018
_HEADER_WORD = re.compile(rb"file|segment_id", re.IGNORECASE)  # one of them is in every header
MACHINE_IDS = re.compile(r"/[a-z]/\S.*")  # as machine ids begin: /m/…, /t/…, /g/…


class Dropped(NamedTuple):
    """A wrong row: its list, its line (from 1) and why it cannot be used."""

    file: str
    line: int
    reason: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.reason}"


class Form(NamedTuple):
    """The format of a list.

    kind: one of this module's names; columns: their names in order; header: its line, or 0;
    of_segments: its files have the names of trimmed segments of web videos. of_audioset: its labels
    are machine ids, and its files may be segment ids. comma_labels: commas part a clip's labels.
    annotations: how a label tool's table is read, whose rows come as strong truth.
    """

    kind: str
    delimiter: str
    columns: tuple[str, ...] = ()
    header: int = 0
    of_segments: bool = False
    of_audioset: bool = False
    comma_labels: bool = False
    annotations: AnnotationTable | None = None


class ListFile:
    """An open list, read once, line by line, so that it may be a pipe.

    head: its first lines as (line number, bytes); dropped: the wrong rows so far; max_seconds: the
    latest time that a row may have. Raises InputError for an empty file.
    """

    def __init__(self, path: str | os.PathLike, file: BinaryIO, max_seconds: float = MAX_SECONDS):
        self.path, self.max_seconds = path, max_seconds
        self.dropped: list[Dropped] = []
        self._lines = numbered_lines(path, file)
        self.head = list(itertools.islice(self._lines, HEAD_LINES))
        if not self.head:
            raise InputError(f"{path}: the list is empty; it needs a row for each clip")

    def drop(self, line: int, reason: object) -> None:
        """Record a wrong row."""
        self.dropped.append(Dropped(os.fspath(self.path), line, str(reason)))

    def lines(self, after: int = 0, comments: bool = False) -> Iterator[tuple[int, bytes]]:
        """Yield (line number, bytes) of each line behind line `after`, without blank lines.

        comments: lines that begin with `#` are left out too.
        """
        for line, content in itertools.chain(self.head, self._lines):
            if line > after and not (content.isspace() or (comments and content.startswith(b"#"))):
                yield line, content

    def rows(
        self, form: Form, is_known: Callable[[str], bool] | None = None
    ) -> Iterator[tuple[int, list[str]]]:
        """Yield (line number, cells) of each row, behind the header if there is one.

        is_known: whether a file is one that the table of a label tool may name by a longer path.
        Rows without any text are left out, and so are empty cells beyond the header's. A header
        that comes again, as in a file that was joined of two, is dropped. Raises InputError for one
        of other columns, by which the rows behind it would be misread.
        """
        if form.annotations:
            lines = self.lines(form.header)
            yield from form.annotations.rows(self.path, lines, self.drop, is_known)
            return
        for line, content in self.lines(form.header):
            try:
                cells = row_cells(content, form.delimiter)
                if form.header and _HEADER_WORD.search(content):
                    self._check_no_header(form, line, cells)
            except WrongRow as wrong:
                self.drop(line, wrong)
                continue
            while form.header and len(cells) > len(form.columns) and not cells[-1]:
                del cells[-1]
            if any(cells):
                yield line, cells

    def _check_no_header(self, form: Form, line: int, cells: list[str]) -> None:
        again = _columns(cells)
        if again is None or not {*_required(again)} <= {*again.columns}:
            return
        if again.columns == form.columns:
            raise WrongRow(f"the header of line {form.header} again")
        raise InputError(
            f"{self.path}:{line}: another header, of other columns than in line {form.header}; "
            "give what begins there as a list of its own"
        )


@contextlib.contextmanager
def open_list(path: str | os.PathLike, max_seconds: float = MAX_SECONDS) -> Iterator[ListFile]:
    """Open a list; raises InputError where it cannot be read, and where it is empty."""
    with open_table(path, "list") as file:
        yield ListFile(path, file, max_seconds)


def detect(source: ListFile) -> Form:
    """Return the form of a list; raises InputError for a form that mmat does not know.

    A user's own list (`file,labels,…`) and a list of events are known by their header; without one
    the first thousand rows vote. Rows of weak truth give the times in the file's name, rows of
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
    if header and header.annotations:
        return header
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
    line, first = rows[0]
    try:
        row_cells(first, "\t", quotes=False)
    except WrongRow as wrong:  # not UTF-8, so that a header in it is not known
        raise InputError(f"{source.path}:{line}: {wrong}") from None
    raise InputError(
        f"{source.path}:{line}: no column 'file'; the first line of a list of your own must "
        "name file, labels (public lists are known by their rows)"
    )


def time_range(
    start: str,
    end: str,
    names: tuple[str, str] = ("start", "end"),
    max_seconds: float = MAX_SECONDS,
) -> tuple[float, float]:
    """Return a start and an end after it, in seconds; raises WrongRow."""
    start_seconds = seconds(start, names[0], max_seconds)
    end_seconds = seconds(end, names[1], max_seconds)
    if end_seconds <= start_seconds:
        raise WrongRow(f"{names[1]} {end} is not after {names[0]} {start}")
    return start_seconds, end_seconds


def inner_path(file: str) -> str:
    """Return a path that stays inside the media folder, normalised; raises WrongRow.

    >>> inner_path("./a//rex.mp4")
    'a/rex.mp4'
    """
    if _PLAIN_PATH.fullmatch(file):
        return file
    posix, windows = pathlib.PurePosixPath(file), pathlib.PureWindowsPath(file)
    if posix.is_absolute() or windows.anchor:
        raise WrongRow(f"{file!r} is an absolute path; write it from the media folder")
    if ".." in posix.parts or ".." in windows.parts:
        raise WrongRow(f"{file!r} leaves the media folder by '..'")
    if not posix.name:
        raise WrongRow(f"{file!r} names no file")
    return str(posix)


def _header(source: ListFile, line: int, content: bytes) -> Form | None:
    """Return the form that a first line names; raises InputError where it lacks a column."""
    annotations = annotation_table(source.path, line, content)
    if annotations:
        header = line - 1 + annotations.header_lines
        return Form(STRONG, "", EVENT_COLUMNS, header=header, annotations=annotations)
    for delimiter in DELIMITERS:
        form = _columns(row_or_none(content, delimiter))
        if form is None:
            continue
        for column in _required(form):
            if form.columns.count(column) != 1:
                many = "two columns" if column in form.columns else "no column"
                raise InputError(
                    f"{source.path}:{line}: {many} {column!r}; the first line must name "
                    f"{', '.join(_required(form))}"
                )
        return form._replace(delimiter=delimiter, header=line)
    return None


def _required(form: Form) -> tuple[str, ...]:
    return OWN_COLUMNS if form.kind == OWN else EVENT_COLUMNS


def _columns(cells: list[str]) -> Form | None:
    """Return the form of a header, whatever columns it lacks; None for a row that is no header."""
    names, as_events = tuple(cell.lower() for cell in cells), event_columns(cells)
    if len(cells) < 2:
        return None
    comma_labels = "event_labels" in names
    if "filename" in names and (comma_labels or "labels" in names):
        names = tuple(_OWN_NAMES.get(name, name) for name in names)
    if "file" in names and ("labels" in names or not {"onset", "offset"} & {*as_events}):
        return Form(OWN, "", names, comma_labels=comma_labels)
    if "filename" in as_events:
        return Form(STRONG, "", as_events, of_audioset="segment_id" in names)
    return None


def _of_segments(rows: list[tuple[int, bytes]], header: Form) -> bool:
    """Return whether most of the rows under a header name a segment of a web video."""
    place = header.columns.index(EVENT_COLUMNS[0])
    names = [row_or_none(content, header.delimiter)[place : place + 1] for _, content in rows]
    return 2 * sum(bool(n and Segment.named(n[0])) for n in names) > len(names)


def _votes(content: bytes) -> Iterator[tuple[Form, int]]:
    """Yield the forms that a row without header may have, each with the weight of its vote."""
    for delimiter in DELIMITERS:
        row = row_or_none(content, delimiter)
        if len(row) not in (4, 5) or not row[0]:
            continue
        times = number(row[1]), number(row[2])
        if not (times[0] >= 0 and times[1] >= 0):
            if len(row) == 5 and number(row[2]) >= 0 and number(row[3]) >= 0:
                yield Form(STRONG, delimiter, SCENE_COLUMNS), 1
        elif VIDEO_ID.fullmatch(row[0]) and MACHINE_IDS.fullmatch(row[-1]):
            yield Form(DCASE if len(row) == 5 else AUDIOSET, delimiter), 1
        elif len(row) == 4:
            of_audioset = bool(Segment.of_audioset(row[0]) and MACHINE_IDS.fullmatch(row[-1]))
            segment = Segment.named(row[0])
            weak = bool(segment) and times == segment[1:]
            # A whole clip from 0 on may be an event as well: it counts only where all rows do.
            weight = 0 if weak and times[0] == 0 else 1
            form = Form(WEAK if weak else STRONG, delimiter, EVENT_COLUMNS)
            yield form._replace(of_segments=bool(segment), of_audioset=of_audioset), weight
