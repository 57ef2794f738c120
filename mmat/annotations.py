"""Tables of the tools that people label with, as rows of file, onset, offset and label.

- Raven selection tables (Raven Pro and Lite, BirdNET-Analyzer's `table`): tabs, a row for each
  selection in each view and channel, so that rows of the same times and label count once. Of
  several sounds `Begin Time (s)` runs on over all, and `File Offset (s)` begins anew in each.
- Kaleidoscope CSV (Wildlife Acoustics' cluster.csv and id.csv, BirdNET-Analyzer's `kaleidoscope`).
  Without the columns `OFFSET` and `DURATION` a row is of its whole file.
- Selection tables of R: warbleR's (`sound.files,selec,start,end`), and what Rraven's `imp_raven`
  makes of Raven's, whose times begin anew in each file; `selec.file` tells them from Raven's own.
- BirdNET-Analyzer's CSV: `Start (s),End (s),Scientific name,Common name,Confidence,File`, and its
  table for R of version 1: `filepath,start,end,scientific_name,common_name,confidence,…`.
- Audacity's label tracks: begin, end and label between tabs, without a header. BirdNET-Analyzer
  writes the confidence behind them.
- The events that `mmat tag --format parquet` writes.

A selection that ends where it begins marks a point in time. It is a label of its clip, and as an
event too short to count.

A tool names files by its own machine's paths, from the root or from where it was run. Their longest
ends that are files here are those files. Else absolute paths are taken from the folder that all of
a table have in common, which is then the media folder.

Source: what BirdNET-Analyzer 1 and 2 write and read for these tools (analyze/utils.py,
segments/utils.py in birdnet-team/BirdNET-Analyzer); "Importing and Exporting Labels" in Audacity's
manual; imp_raven.R and relabel_colms.R in maRce10/Rraven.
"""

import collections
import math
import os
import pathlib
import re
import warnings
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import NamedTuple

from mmat.files import InputError
from mmat.tables import DELIMITERS, WrongRow, number, row_cells, row_or_none

FREQUENCIES = "\\"  # begins Audacity's second row for a label, of its lowest and highest frequency
_AUDACITY_TIME = re.compile(r"\d+[.,]\d{6}")
NO_CALL = "nocall"  # BirdNET-Analyzer's row for a file without an event
NO_TIMES = ("", "")  # of a label that is in its clip somewhere, or all over it
# What tools put behind a sound's name to name its table: `dawn.Table.1.selections.txt`.
_TABLE_SUFFIX = re.compile(
    r"((?:\.(?:table\.\d+|selections?|table|birdnet|results))*)(\.[a-z]{1,7})?$", re.IGNORECASE
)


class Tool(NamedTuple):
    """The columns of a tool's tables, in lower case.

    signs: those by which a header is known. begin, end, duration: seconds; a row has an end or a
    duration, unless the table has neither column nor a begin. begin_in_file: the begin, where
    `begin` runs on over several files. labels: the first that a row fills names its label. files:
    the first group that a row fills is its path. missing: what stands in a cell without a value.
    """

    name: str
    signs: tuple[str, ...]
    begin: str
    end: str
    duration: str
    labels: tuple[str, ...]
    files: tuple[tuple[str, ...], ...]
    begin_in_file: str = ""
    missing: str = ""

    def columns(self) -> tuple[str, ...]:
        """Return the columns that are read."""
        times = self.begin, self.end, self.duration, self.begin_in_file
        paths = (name for group in self.files for name in group)
        return tuple(filter(None, dict.fromkeys((*times, *self.labels, *paths))))


RAVEN = Tool(
    "Raven",
    ("begin time (s)",),
    "begin time (s)",
    "end time (s)",
    "delta time (s)",
    ("common name", "species", "annotation", "label", "tag", "class", "call type", "call")
    + ("scientific name", "species code"),
    (("begin path",), ("begin file",)),
    "file offset (s)",
)
KALEIDOSCOPE = Tool(
    "Kaleidoscope",
    ("in file",),
    "offset",
    "",
    "duration",
    ("manual id", "common_name", "top1match", "auto id", "scientific_name"),
    (("indir", "folder", "in file"),),
)
BIRDNET = Tool(
    "BirdNET",
    ("start (s)", "end (s)"),
    "start (s)",
    "end (s)",
    "",
    ("common name", "scientific name"),
    (("file",),),
)
BIRDNET_R = Tool(
    "BirdNET",
    ("filepath", "start", "end"),
    "start",
    "end",
    "",
    ("common_name", "scientific_name"),
    (("filepath",),),
)
WARBLER = Tool(
    "warbleR",
    ("sound.files", "start", "end"),
    "start",
    "end",
    "",
    (*RAVEN.labels, "sel.comment"),
    (("sound.files",),),
    missing="NA",
)
RRAVEN = Tool(
    "Rraven",
    ("begin time (s)", "selec.file"),
    RAVEN.begin,
    RAVEN.end,
    RAVEN.duration,
    RAVEN.labels,
    (("sound.files",), *RAVEN.files),
    missing="NA",
)
AUDACITY = Tool("Audacity", (), "begin", "end", "", ("label",), ())
EVENTS = Tool(
    "mmat tag",
    ("file", "onset_seconds", "offset_seconds", "label"),
    "onset_seconds",
    "offset_seconds",
    "",
    ("label",),
    (("file",),),
)
TOOLS = (RRAVEN, RAVEN, KALEIDOSCOPE, WARBLER, BIRDNET, BIRDNET_R, EVENTS)


def _in_r(name: str) -> str:
    """Return a column's name in lower case as R has it, where `Begin Time (s)` cannot be one."""
    return re.sub(r"[^a-z0-9_]", ".", name).rstrip(".")


_NAMES = {_in_r(name): name for tool in TOOLS for name in tool.columns()}


class AnnotationTable(NamedTuple):
    """The form of one table: its tool, what parts its cells, and its columns in lower case."""

    tool: Tool
    delimiter: str
    columns: tuple[str, ...]

    @property
    def header_lines(self) -> int:
        """How many lines stand above its rows."""
        return 0 if self.tool is AUDACITY else 1

    def rows(
        self,
        path: str | os.PathLike,
        lines: Iterable[tuple[int, bytes]],
        wrong: Callable[[int, WrongRow], object],
        is_known: Callable[[str], bool] | None = None,
    ) -> Iterator[tuple[int, list[str]]]:
        """Yield (line, [file, onset, offset, label]) of each event; of a file without one its name.

        lines: those under the header, if any. wrong: called with the line of a row that cannot be
        used. is_known: see `from_common_folder`. A table that names no file is of the sound that
        it is named after; without any row that sound has no event. The label of a whole file or of
        a point in time has `NO_TIMES`; warns of points. Raises InputError where the times of
        several files cannot be told apart.
        """
        found: dict[tuple, tuple[int, list[str]]] = {}
        is_empty = True
        for line, content in lines:
            try:
                row = self._row(_cells(content, self.delimiter))
                if row:
                    is_empty = False
                    event = self._event(row)
                    found.setdefault(tuple(event), (line, event))
            except WrongRow as error:
                is_empty = False
                wrong(line, error)
        if is_empty and self._is_of_one_sound(path):
            yield self.header_lines, [_named_after(path), "", "", ""]
        paths = dict.fromkeys(event[0] for _, event in found.values())
        column = self.tool.begin_in_file
        if column and column not in self.columns and len(paths) > 1:
            raise InputError(
                f"{path}: it is of several files and has no column 'File Offset (s)', so where in "
                "its file an event begins is not known; add this measurement in Raven"
            )
        names = from_common_folder(paths, is_known)
        for line, (file, *rest) in _points_as_labels(path, found.values()):
            yield line, [names[file] or _named_after(path), *rest]

    def _is_of_one_sound(self, path: str | os.PathLike) -> bool:
        """Return whether the table's columns name no file, or its name is a sound's for a tool."""
        names_files = any(group[-1] in self.columns for group in self.tool.files)
        return not names_files or bool(_TABLE_SUFFIX.search(os.path.basename(path))[1])

    def _row(self, cells: list[str]) -> dict[str, str]:
        """Return a row by columns, empty for one without text and for the header again."""
        if not any(cells) or _column_names(cells) == self.columns or cells[0] == FREQUENCIES:
            return {}
        if any(cells[len(self.columns) :]):
            raise WrongRow(f"{len(cells)} cells in the row, not {len(self.columns)}")
        cells += [""] * (len(self.columns) - len(cells))
        cells = ["" if cell == self.tool.missing else cell for cell in cells]
        row = dict(zip(self.columns, cells, strict=False))
        row.pop("", None)
        return row

    def _event(self, row: dict[str, str]) -> list[str]:
        groups = ([row.get(column, "") for column in group] for group in self.tool.files)
        file = next(("/".join(filter(None, group)) for group in groups if group[-1]), "")
        label = next((row[name] for name in self.tool.labels if row.get(name)), "")
        if not label:
            raise WrongRow("the row names no label")
        if label.lower() == NO_CALL:
            return [file, "", "", ""]
        return [file, *self._times(row), label]

    def _times(self, row: dict[str, str]) -> tuple[str, str]:
        """Return onset and offset as texts: those of the table where it has both."""
        tool = self.tool
        if not {tool.begin, tool.end, tool.duration} & {*self.columns}:
            return NO_TIMES
        begin = row.get(tool.begin, "0")
        end, duration = row.get(tool.end, ""), row.get(tool.duration, "")
        if not (end or duration):
            raise WrongRow("the row has no end")
        onset = row.get(tool.begin_in_file, begin)
        if end and onset == begin:
            return begin, end
        length = number(end) - number(begin) if end else number(duration)
        if not (number(onset) >= 0 and length >= 0):
            raise WrongRow(f"its times {onset or begin!r} and {end or duration!r} are no seconds")
        return onset, f"{number(onset) + length:.6f}"


def annotation_table(path: str | os.PathLike, line: int, content: bytes) -> AnnotationTable | None:
    """Return the form of the tool's table that begins with this line, None for another line.

    The line is the table's header, or the first row where `header_lines` is 0.

    Raises InputError where a column lacks.

    >>> found = annotation_table("a", 1, b"INDIR,FOLDER,IN FILE,OFFSET,DURATION,MANUAL ID*")
    >>> list(found.rows("a", [(2, b"/data,a,b.wav,1.5,2,Owl")], print))
    [(2, ['b.wav', '1.5', '3.500000', 'Owl'])]
    """
    for delimiter in DELIMITERS:
        columns = _column_names(row_or_none(content, delimiter))
        for tool in TOOLS:
            if {*tool.signs} <= {*columns}:
                _check(f"{path}:{line}: a table of {tool.name}", tool, columns)
                return AnnotationTable(tool, delimiter, columns)
    columns = (AUDACITY.begin, AUDACITY.end, *AUDACITY.labels, "confidence")
    cells = row_or_none(content, "\t")
    if _is_of_a_track(cells):
        return AnnotationTable(AUDACITY, "\t", columns[: len(cells)])
    return None


def _is_of_a_track(cells: list[str]) -> bool:
    """Return whether a row is of an Audacity label track: two times, a label, maybe a confidence.

    A label may be a number where the times have six decimals, as Audacity writes them.
    """
    if len(cells) not in (3, 4):
        return False
    begin, end, label, *confidence = cells
    if not 0 <= number(begin) <= number(end) or any(map(math.isnan, map(number, confidence))):
        return False
    return math.isnan(number(label)) or all(map(_AUDACITY_TIME.fullmatch, (begin, end)))


def _check(where: str, tool: Tool, columns: tuple[str, ...]) -> None:
    for name in tool.columns():
        if columns.count(name) > 1:
            raise InputError(f"{where} with two columns {name!r}; leave one")
    ends = [name for name in (tool.end, tool.duration) if name and tool.begin in columns]
    for names, what in ((ends, "ends"), (tool.labels, "labels")):
        if names and not {*names} & {*columns}:
            wanted = " or ".join(map(repr, names))
            raise InputError(f"{where} without a column of {what}; name one {wanted}")


def from_common_folder(
    paths: Collection[str], is_known: Callable[[str], bool] | None = None
) -> dict[str, str]:
    """Map absolute paths to those from the folder that they have in common; others to themselves.

    is_known: whether a path is that of a known file; the longest end of a path that is one comes
    first, unless another path has the same.

    >>> list(from_common_folder(["/data/a/1.wav", "/data/b/1.wav", "c/2.wav"]).values())
    ['a/1.wav', 'b/1.wav', 'c/2.wav']
    >>> list(from_common_folder(["F:\\\\owls\\\\1.wav"]).values())
    ['1.wav']
    """
    absolute = {path: parts for path in paths if (parts := _absolute_parts(path))}
    common = os.path.commonprefix([parts[:-1] for parts in absolute.values()])
    n_common = max(len(common), 1)
    names = {path: path for path in paths}
    names |= {path: "/".join(parts[n_common:]) for path, parts in absolute.items()}
    if is_known:
        ends = {path: _known_end(path, is_known) for path in paths}
        n_paths = collections.Counter(ends.values())
        names |= {path: end for path, end in ends.items() if end and n_paths[end] == 1}
    return names


def _known_end(path: str, is_known: Callable[[str], bool]) -> str | None:
    absolute = _absolute_parts(path)
    parts = absolute[1:] or pathlib.PureWindowsPath(path).parts
    ends = ["/".join(parts[n:]) for n in range(len(parts)) if ".." not in parts[n:]]
    if not absolute and ".." not in parts:
        ends.insert(0, path)  # where a backslash is a letter of a name
    return next(filter(is_known, ends), None)


def _absolute_parts(path: str) -> tuple[str, ...]:
    posix, windows = pathlib.PurePosixPath(path), pathlib.PureWindowsPath(path)
    if posix.is_absolute():
        return posix.parts
    return windows.parts if windows.anchor else ()


def _points_as_labels(
    path: str | os.PathLike, rows: Collection[tuple[int, list[str]]]
) -> Iterator[tuple[int, list[str]]]:
    """Yield rows, those of points in time without them, where the file has no range of the label.

    Warns of the points.
    """
    ranges = {
        (file, label) for _, (file, *times, label) in rows if number(times[0]) < number(times[1])
    }
    points = [line for line, (_, *times, _) in rows if _same(*times)]
    if points:
        warnings.warn(
            f"{path}: labels of a point in time: {len(points)}, first in line {points[0]}; they "
            "count for the whole clip, and not as events",
            stacklevel=2,
        )
    for line, (file, *times, label) in rows:
        if not _same(*times):
            yield line, [file, *times, label]
        elif (file, label) not in ranges:
            ranges.add((file, label))
            yield line, [file, *NO_TIMES, label]


def _same(onset: str, offset: str) -> bool:
    return number(onset) == number(offset)


def _named_after(path: str | os.PathLike) -> str:
    return _TABLE_SUFFIX.sub("", os.path.basename(path))


def _column_names(cells: list[str]) -> tuple[str, ...]:
    """Return a header's names, also as R changed them.

    Kaleidoscope marks those that it takes for settled by `*`.
    """
    names = (" ".join(cell.lower().rstrip("*").split()) for cell in cells)
    return tuple(_NAMES.get(_in_r(name), name) for name in names)


def _cells(content: bytes, delimiter: str) -> list[str]:
    """Return the cells of a line, in tables by tabs also where quotes part nothing."""
    try:
        return row_cells(content, delimiter)
    except WrongRow:
        if delimiter == "\t" and b'"' in content:
            return row_cells(content, delimiter, quotes=False)
        raise
