"""The formats of lists: which one a file has, by its first lines, and its rows as cells.

A line that is not a row is recorded with its number and left out.
"""

import collections
import contextlib
import csv
import itertools
import math
import os
import pathlib
import re
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from mmat.files import InputError
from mmat.lists.clip import VIDEO_ID, Segment

MAX_LINE_BYTES = 1 << 20
HEAD_LINES = 1000  # by which the format is detected
LATEST_SECONDS = 1e9
# A path that is surely inside the folder and has no empty parts, as nearly all are.
_PLAIN_PATH = re.compile(r"[^./\\:]+(?:[./][^./\\:]+)*")
_BOM = b"\xef\xbb\xbf"
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
OWN, DCASE, AUDIOSET, WEAK, STRONG = "own", "DCASE", "AudioSet", "weak truth", "strong truth"
SEGMENT_CELLS = {DCASE: 5, AUDIOSET: 4}  # how many cells a row of segments has
OWN_COLUMNS = ("file", "labels")
EVENT_COLUMNS = ("filename", "onset", "offset", "event_label")
_MIDS = re.compile(r"/[a-z]/\S.*")  # as machine ids begin: /m/…, /t/…, /g/…


class Dropped(NamedTuple):
    """A wrong row: its list, its line (from 1) and why it cannot be used."""

    file: str
    line: int
    reason: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.reason}"


class WrongRow(ValueError):
    """Why one row cannot be used."""


class Form(NamedTuple):
    """The format of a list.

    kind: one of this module's names; columns: their names in order; header: its line, or 0;
    of_segments: its files have the names of trimmed segments of web videos.
    """

    kind: str
    delimiter: str
    columns: tuple[str, ...] = ()
    header: int = 0
    of_segments: bool = False


class ListFile:
    """An open list, read once, line by line, so that it may be a pipe.

    head: its first lines as (line number, bytes); dropped: the wrong rows so far.
    Raises InputError for an empty file and for one that is not text in UTF-8.
    """

    def __init__(self, path: str | os.PathLike, file: BinaryIO):
        self.path = path
        self.dropped: list[Dropped] = []
        self._lines = self._numbered(file)
        self.head = list(itertools.islice(self._lines, HEAD_LINES))
        if not self.head:
            raise InputError(f"{path}: the list is empty; it needs a row for each clip")
        if self.head[0][1].startswith(_UTF_16):
            raise InputError(f"{path}: not a UTF-8 text file; save the list as UTF-8")

    def _numbered(self, file: BinaryIO) -> Iterator[tuple[int, bytes]]:
        lines = iter(lambda: file.readline(MAX_LINE_BYTES), b"")
        for number, line in enumerate(lines, start=1):
            if len(line) == MAX_LINE_BYTES:
                raise InputError(f"{self.path}:{number}: a line of a megabyte; is this a list?")
            yield number, line.removeprefix(_BOM) if number == 1 else line

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

    def rows(self, delimiter: str, after: int = 0) -> Iterator[tuple[int, list[str]]]:
        """Yield (line number, cells) of each row behind line `after`."""
        for line, content in self.lines(after):
            try:
                found = row_cells(content, delimiter)
            except WrongRow as wrong:
                self.drop(line, wrong)
                continue
            yield line, found


@contextlib.contextmanager
def open_list(path: str | os.PathLike) -> Iterator[ListFile]:
    """Open a list; raises InputError where it cannot be read, and where it is empty."""
    try:
        with open(path, "rb") as file:
            yield ListFile(path, file)
    except OSError as error:
        raise InputError(f"{path}: cannot read the list: {error.strerror}") from error


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


def row_cells(line: bytes, delimiter: str) -> list[str]:
    """Return the cells of one line without outer spaces; raises WrongRow for a malformed line.

    >>> row_cells(b'-5Q, 0.0, 10.0, "/m/a,/m/b"\\r\\n', ",")
    ['-5Q', '0.0', '10.0', '/m/a,/m/b']
    """
    if b"\0" in line:
        raise WrongRow("the row holds a NUL byte")
    try:
        text = line.decode().rstrip("\r\n")
    except UnicodeDecodeError:
        raise WrongRow("not UTF-8; save the list as UTF-8") from None
    if '"' not in text:
        found = text.split(delimiter)
    else:
        try:
            reader = csv.reader([text], delimiter=delimiter, skipinitialspace=True, strict=True)
            found = next(reader)
        except csv.Error:
            raise WrongRow("a quote that is not closed, or a stray quote or line break") from None
    return [cell.strip() for cell in found]


def seconds(text: str, what: str) -> float:
    """Return a number of seconds from 0 up; raises WrongRow."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 <= number <= LATEST_SECONDS or "_" in text:
        raise WrongRow(f"{what} {text!r} is not a number of seconds from 0 up")
    return number


def time_range(
    start: str, end: str, names: tuple[str, str] = ("start", "end")
) -> tuple[float, float]:
    """Return a start and an end after it, in seconds; raises WrongRow."""
    start_seconds, end_seconds = seconds(start, names[0]), seconds(end, names[1])
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
    """Return whether most of the rows under a header name a segment of a web video."""
    place = header.columns.index(EVENT_COLUMNS[0])
    names = [_cells_or_empty(content, header.delimiter)[place : place + 1] for _, content in rows]
    return 2 * sum(bool(n and Segment.named(n[0])) for n in names) > len(names)


def _votes(content: bytes) -> Iterator[tuple[Form, int]]:
    """Yield the forms that a row without header may have, each with the weight of its vote."""
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
            # A whole clip from 0 on may be an event as well: it counts only where all rows do.
            weight = 0 if weak and times[0] == 0 else 1
            form = Form(WEAK if weak else STRONG, delimiter, EVENT_COLUMNS)
            yield form._replace(of_segments=bool(segment)), weight


def _cells_or_empty(content: bytes, delimiter: str) -> list[str]:
    try:
        return row_cells(content, delimiter)
    except WrongRow:
        return []
