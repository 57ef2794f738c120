"""Clip lists: which files, with which weak labels, and (optionally) when each event sounds."""

import csv
import dataclasses
import math
import os
import pathlib
import re
from collections.abc import Iterable, Iterator

from mmat.errors import InputError
from mmat.labels import LabelSet

EVENT_COLUMNS = ("filename", "onset", "offset", "event_label")
_SPLIT_NAME = re.compile(r"[A-Za-z0-9_]+")  # it becomes the beginning of a file name


@dataclasses.dataclass(frozen=True)
class Event:
    """One sounding event; the times are seconds from the beginning of the clip."""

    label: str
    onset_seconds: float
    offset_seconds: float


@dataclasses.dataclass(frozen=True)
class Clip:
    """One clip: a media file (a path inside the media folder) or a range of it, and its labels.

    start_seconds, end_seconds: the range inside the file; None is the file's own end.
    labels: names, each once. events: strong times where they are known. video_id: the web video
    that a public list cuts the clip from (the range is then in that video), else empty.
    """

    id: str
    file: str
    labels: tuple[str, ...] = ()
    start_seconds: float | None = None
    end_seconds: float | None = None
    split: str = "train"
    source_group: str = ""
    events: tuple[Event, ...] = ()
    video_id: str = ""


def read_clip_list(
    path: str | os.PathLike, labels: LabelSet, events: str | os.PathLike | None = None
) -> list[Clip]:
    """Read a clip list (CSV), and the strong times of its events (TSV) if there are any.

    path: UTF-8 CSV with a header; `file,labels` are required (labels separated by `;`); `id`
    (default: the file without its suffix), `start_seconds,end_seconds` (blank: the file's ends),
    `split` (default: train) and `source_group` are optional, other columns are not read.
    events: UTF-8 TSV with the header `filename, onset, offset, event_label`; `filename` is the
    clip's `file`, the times are seconds from the beginning of the clip.
    Raises InputError with file, line and reason.

    >>> import tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "list.csv"
    >>> _ = path.write_text("file,labels,split\\na/rex.mp4,Dog;Train horn,test\\n")
    >>> clip, = read_clip_list(path, LabelSet.of(["Dog", "Train horn"]))
    >>> clip.id, clip.labels, clip.split
    ('a/rex', ('Dog', 'Train horn'), 'test')
    """
    clips: dict[str, Clip] = {}
    for where, row in _rows(path, ("file", "labels"), delimiter=","):
        clip = _clip(where, row, labels)
        if clip.id in clips:
            raise InputError(f"{where}: the id {clip.id!r} is there twice; give every row its own")
        clips[clip.id] = clip
    if not clips:
        raise InputError(f"{path}: the list is empty; it needs a row for each clip")
    if events is None:
        return list(clips.values())
    return _with_events(list(clips.values()), events, labels)


def write_clip_list(
    path: str | os.PathLike, clips: Iterable[Clip], events: str | os.PathLike | None = None
) -> None:
    """Write clips (and to `events` their strong times) in the form `read_clip_list` reads.

    Raises InputError for a label that holds `;`, which separates labels in the list.
    """
    clips = list(clips)
    for clip in clips:
        if any(";" in label for label in clip.labels):
            raise InputError(f"clip {clip.id!r}: a label holds ';', which separates labels")
    fields = ("id", "file", "start_seconds", "end_seconds", "split", "source_group")
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow((*fields, "labels"))
        for clip in clips:
            writer.writerow([*(getattr(clip, f) for f in fields), ";".join(clip.labels)])
    if events is None:
        return
    with open(events, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter="\t", lineterminator="\n")
        writer.writerow(EVENT_COLUMNS)
        for clip in clips:
            for e in clip.events:
                writer.writerow([clip.file, e.onset_seconds, e.offset_seconds, e.label])


def _rows(
    path: str | os.PathLike, required: tuple[str, ...], delimiter: str
) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield ("path:line", {column: text without outer spaces}) for every row that isn't blank."""
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, delimiter=delimiter, strict=True)
            columns = reader.fieldnames or ()
            for column in required:
                if column not in columns:
                    raise InputError(
                        f"{path}:1: no column {column!r}; the first line must name "
                        + ", ".join(required)
                    )
            for row in reader:
                where = f"{path}:{reader.line_num}"
                if None in row:
                    raise InputError(
                        f"{where}: more cells than columns; quote a cell that holds {delimiter!r}"
                    )
                if None in row.values():
                    raise InputError(f"{where}: fewer cells than columns")
                yield where, {key: text.strip() for key, text in row.items()}
    except OSError as error:
        raise InputError(f"{path}: cannot read the list: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not a UTF-8 text file; save the list as UTF-8") from error
    except csv.Error as error:
        raise InputError(f"{path}:{reader.reader.line_num}: not a table: {error}") from error


def _clip(where: str, row: dict[str, str], labels: LabelSet) -> Clip:
    file = _inner_path(where, row["file"])
    names = dict.fromkeys(name.strip() for name in row["labels"].split(";") if name.strip())
    for name in names:
        _known(where, name, labels)
    start, end = (_seconds(where, row, column) for column in ("start_seconds", "end_seconds"))
    if end is not None and end <= (start or 0.0):
        raise InputError(f"{where}: end_seconds {end:g} is not after start_seconds {start or 0:g}")
    split = row.get("split") or "train"
    if not _SPLIT_NAME.fullmatch(split):
        raise InputError(f"{where}: split {split!r} may hold letters, digits and _ only")
    return Clip(
        id=row.get("id") or str(pathlib.PurePosixPath(file).with_suffix("")),
        file=file,
        labels=tuple(names),
        start_seconds=start,
        end_seconds=end,
        split=split,
        source_group=row.get("source_group", ""),
    )


def _inner_path(where: str, file: str) -> str:
    """Return `file` if it is a path that stays inside the media folder."""
    if not file or "\0" in file:
        raise InputError(f"{where}: no file is named")
    posix, windows = pathlib.PurePosixPath(file), pathlib.PureWindowsPath(file)
    if posix.is_absolute() or windows.anchor:
        raise InputError(f"{where}: {file!r} is an absolute path; write it from the media folder")
    if ".." in posix.parts or ".." in windows.parts:
        raise InputError(f"{where}: {file!r} leaves the media folder by '..'")
    if not posix.name:
        raise InputError(f"{where}: {file!r} names no file")
    return file


def _seconds(where: str, row: dict[str, str], column: str) -> float | None:
    text = row.get(column, "")
    if not text:
        return None
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds < math.inf:
        raise InputError(f"{where}: {column} {text!r} is not a number of seconds from 0 up")
    return seconds


def _known(where: str, name: str, labels: LabelSet) -> None:
    try:
        labels.index(name)
    except InputError as error:
        raise InputError(f"{where}: {error}") from None


def _with_events(clips: list[Clip], path: str | os.PathLike, labels: LabelSet) -> list[Clip]:
    by_file: dict[str, list[int]] = {}
    for i, clip in enumerate(clips):
        by_file.setdefault(clip.file, []).append(i)
    events: list[list[Event]] = [[] for _ in clips]
    for where, row in _rows(path, EVENT_COLUMNS, delimiter="\t"):
        found = by_file.get(row["filename"], [])
        if len(found) != 1:
            why = "is in no clip" if not found else "is in several clips"
            raise InputError(f"{where}: the file {row['filename']!r} {why} of the list")
        name = row["event_label"]
        _known(where, name, labels)
        if name not in clips[found[0]].labels:
            raise InputError(f"{where}: {name!r} is not among the clip's labels in the list")
        onset, offset = (_seconds(where, row, column) for column in ("onset", "offset"))
        if onset is None or offset is None or offset <= onset:
            raise InputError(f"{where}: an event needs an onset, and an offset after it")
        events[found[0]].append(Event(name, onset, offset))
    return [
        dataclasses.replace(clip, events=tuple(sorted(found, key=lambda e: e.onset_seconds)))
        for clip, found in zip(clips, events, strict=True)
    ]
