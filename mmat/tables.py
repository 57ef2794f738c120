"""Text tables as people have them: lines of UTF-8 or UTF-16, cells parted by tab, comma or `;`.

Excel writes `;` and a decimal comma where the comma is the decimal mark, a byte order mark, UTF-16
as "Unicode text", and a first line `sep=;`; two lists may be joined into one file. A row is one
line, so no cell holds a line break. A Parquet file is read as such a text.
"""

import contextlib
import csv
import io
import math
import os
import re
from collections.abc import Iterator, Sequence
from typing import BinaryIO

from mmat.files import InputError
from mmat.parquet import MAGIC, parquet_lines

DELIMITERS = "\t,;"
MAX_LINE_BYTES = 1 << 20
MAX_CELL = 131_072  # characters of a quoted cell, the csv module's own limit
MAX_SECONDS = 86_400.0  # a day: no time in a list or a score is later, unless it is asked for
HEAD_LINES = 1000  # by which the form of a file is found
EVENT_COLUMNS = ("filename", "onset", "offset", "event_label")
SCENE_COLUMNS = ("filename", "scene_label", "onset", "offset", "event_label")  # sed_eval's
# Other names of these columns: sed_eval's, AudioSet's, and those of the challenge's files.
_EVENT_NAMES = {
    "file": "filename",
    "segment_id": "filename",
    "event_onset": "onset",
    "start_time_seconds": "onset",
    "start": "onset",
    "event_offset": "offset",
    "end_time_seconds": "offset",
    "end": "offset",
    "label": "event_label",
}
PRESENT, NOT_PRESENT = "present", "NOT_PRESENT"  # AudioSet's column of labels that were ruled out
_BOM = b"\xef\xbb\xbf"
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
_SEPARATOR_LINE = re.compile(rb'"?sep=.?"?\s*', re.IGNORECASE)
_DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+(e[+-]?\d+)?", re.IGNORECASE)


class WrongRow(ValueError):
    """Why one row cannot be used."""


@contextlib.contextmanager
def open_table(path: str | os.PathLike, what: str) -> Iterator[BinaryIO]:
    """Open a file to read bytes; what: its name in the InputError where it cannot be read."""
    try:
        with open(path, "rb") as file:
            yield file
    except OSError as error:
        raise InputError(f"{path}: cannot read the {what}: {error.strerror}") from error


def numbered_lines(path: str | os.PathLike, file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Yield (number from 1, bytes in UTF-8) of each line; the file is read once, and may be a pipe.

    Byte order marks, which stand amid a file that was joined of two, and Excel's `sep=;` are left
    out. The lines of a Parquet file are its header and its rows. Raises InputError for a line of a
    megabyte and for damaged UTF-16 or Parquet.
    """
    lines = iter(lambda: file.readline(MAX_LINE_BYTES), b"")
    first = file.peek(len(MAGIC))
    if first.startswith(MAGIC):
        lines = parquet_lines(path, file)
    elif first.startswith(_UTF_16):
        lines = _in_utf_8(io.TextIOWrapper(file, "utf-16"))
    elif b"\r" in first[:-1] and b"\n" not in first:  # as old Macs and Excel for them end lines
        lines = _in_utf_8(io.TextIOWrapper(file, "utf-8", "surrogateescape", newline="\r"))
    try:
        for number, line in enumerate(lines, start=1):
            if len(line) >= MAX_LINE_BYTES:
                raise InputError(f"{path}:{number}: a line of a megabyte; is this a list?")
            line = line.removeprefix(_BOM)
            if not (number == 1 and _SEPARATOR_LINE.fullmatch(line)):
                yield number, line
    except UnicodeError:
        raise InputError(f"{path}: damaged UTF-16; save the file as UTF-8") from None


def _in_utf_8(text: io.TextIOWrapper) -> Iterator[bytes]:
    for line in iter(lambda: text.readline(MAX_LINE_BYTES), ""):
        yield line.encode("utf-8", "surrogateescape")


def row_cells(line: bytes, delimiter: str, quotes: bool = True) -> list[str]:
    """Return the cells of one line without outer spaces; raises WrongRow for a malformed line.

    quotes: whether they hold a cell together, as spreadsheets write them; else they are text.

    >>> row_cells(b'-5Q, 0.0, 10.0, "/m/a,/m/b"\\r\\n', ",")
    ['-5Q', '0.0', '10.0', '/m/a,/m/b']
    """
    if b"\0" in line:
        raise WrongRow("the row holds a NUL byte")
    try:
        text = line.decode().rstrip("\r\n")
    except UnicodeDecodeError:
        raise WrongRow("not UTF-8; save the list as UTF-8") from None
    if '"' not in text or not quotes:
        found = text.split(delimiter)
    else:
        try:
            reader = csv.reader([text], delimiter=delimiter, skipinitialspace=True, strict=True)
            found = next(reader)
        except csv.Error:
            raise WrongRow(_why_no_cells(text)) from None
    return [cell.strip() for cell in found]


def _why_no_cells(text: str) -> str:
    if text.count('"') % 2:
        return "a quote that is not closed; a row is one line"
    if len(text) > MAX_CELL:
        return f"a quoted cell of more than {MAX_CELL:,} characters; is a quote missing?"
    return "a stray quote or line break"


def row_or_none(line: bytes, delimiter: str) -> list[str]:
    """Return the cells of one line, none for a malformed line."""
    try:
        return row_cells(line, delimiter)
    except WrongRow:
        return []


def number(text: str) -> float:
    """Return a number, NaN for another text; a comma may be its decimal mark.

    >>> number("0.5"), number("0,5"), number("half")
    (0.5, 0.5, nan)
    """
    if _DECIMAL_COMMA.fullmatch(text):
        text = text.replace(",", ".")
    try:
        return math.nan if "_" in text else float(text)
    except ValueError:
        return math.nan


def seconds(text: str, what: str, longest: float = MAX_SECONDS) -> float:
    """Return a number of seconds from 0 up; raises WrongRow, also beyond `longest`.

    >>> seconds("1e7", "end")
    Traceback (most recent call last):
        ...
    mmat.tables.WrongRow: end '1e7' is later than 86400 s (a day), beyond which no time is taken
    """
    found = number(text)
    if not 0 <= found < math.inf:
        raise WrongRow(f"{what} {text!r} is not a number of seconds from 0 up")
    if found > longest:
        bound = f"{longest:g} s" + (" (a day)" if longest == MAX_SECONDS else "")
        raise WrongRow(f"{what} {text!r} is later than {bound}, beyond which no time is taken")
    return found


def event_columns(cells: Sequence[str]) -> tuple[str, ...]:
    """Return the names of a header's columns, those of `EVENT_COLUMNS` under their other names too.

    >>> event_columns(["segment_id", "start_time_seconds", "end_time_seconds", "Label", "note"])
    ('filename', 'onset', 'offset', 'event_label', 'note')
    """
    names = (cell.lower() for cell in cells)
    return tuple(_EVENT_NAMES.get(name, name) for name in names)


def read_table(
    path: str | os.PathLike, what: str, required: Sequence[str]
) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield (line, {column: cell}) of each row under a header; cells that lack are empty.

    what: the file's name in messages. required: columns that the header must name. Raises
    InputError with the line for a malformed row, and where a column is not there.

    >>> import tempfile
    >>> path = os.path.join(tempfile.mkdtemp(), "labels.csv")
    >>> _ = open(path, "w").write("sep=;\\ndisplay_name;mid\\nDog;/m/0bt9lr\\n")
    >>> list(read_table(path, "label set", ["display_name"]))
    [(3, {'display_name': 'Dog', 'mid': '/m/0bt9lr'})]
    """
    with open_table(path, what) as file:
        lines = ((n, line) for n, line in numbered_lines(path, file) if not line.isspace())
        _, first = next(lines, (1, b""))
        headers = ((mark, row_or_none(first, mark)) for mark in DELIMITERS)
        found = next((each for each in headers if set(required) <= set(each[1])), None)
        if found is None:
            raise InputError(f"{path}: {_no_header(first, required)}")
        delimiter, columns = found
        for line, content in lines:
            try:
                cells = row_cells(content, delimiter)
            except WrongRow as wrong:
                raise InputError(f"{path}:{line}: {wrong}") from None
            if cells != columns:  # which stand there again where two files were joined
                cells += [""] * (len(columns) - len(cells))
                yield line, dict(zip(columns, cells, strict=False))


def _no_header(line: bytes, required: Sequence[str]) -> str:
    if not any(row_or_none(line, mark) for mark in DELIMITERS):
        return "not a UTF-8 text file; save the list as UTF-8"
    if required[1:]:
        return f"the first line must name the columns {', '.join(required)}"
    return f"no column {required[0]!r} in the first line"
