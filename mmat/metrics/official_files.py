"""The challenge's own text files: `file, start, end, label`, tab-separated, without a header.

One row for every label of a clip, and for every event where times are those of events. A row of
the file's name alone, or without a label, names a clip without a label. Lines may end in
LF or CRLF, and `.wav` and `.flac` are no part of a clip's name.
Source: the truth lists of DCASE 2017 task 4.
"""

import math
import os
import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from mmat.errors import InputError, atomic_path

COLUMNS = "file, start, end, label (tabs)"
# The name that the public lists give a trimmed file, whose times are those of the whole video.
_TIMED_NAME = re.compile(r".+_(\d+\.\d{3})_(\d+\.\d{3})")


class Row(NamedTuple):
    """One line: its number, the clip without its suffix, its times and its label ("" for none)."""

    line: int
    clip: str
    start_seconds: float
    end_seconds: float
    label: str


def read_rows(path: str | os.PathLike) -> list[Row]:
    """Return the rows of a file; raises InputError with the line where one is none.

    >>> import tempfile
    >>> path = os.path.join(tempfile.mkdtemp(), "truth.csv")
    >>> write_tags(path, ["a_0.000_10.000"], ["Dog", "Cat"], [[True, False]])
    >>> read_rows(path)
    [Row(line=1, clip='a_0.000_10.000', start_seconds=0.0, end_seconds=10.0, label='Dog')]
    """
    try:
        with open(path, encoding="utf-8-sig") as file:
            lines = file.read().split("\n")
    except OSError as error:
        raise InputError(f"{path}: cannot read the file: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not a UTF-8 text file; is it the right one?") from error
    rows = [
        _row(line, f"{path}:{number}", number)
        for number, line in enumerate(lines, start=1)
        if line.strip()
    ]
    if not rows:
        raise InputError(f"{path}: no rows; each must be {COLUMNS}")
    return rows


def _row(line: str, where: str, number: int) -> Row:
    if "\0" in line:
        raise InputError(f"{where}: not text; is it the right file?")
    fields = [field.strip() for field in line.split("\t")]
    if len(fields) not in (1, 3, 4) or not fields[0]:
        raise InputError(f"{where}: {len(fields)} columns, where a row is {COLUMNS}")
    if len(fields) == 1 and "," in line:
        raise InputError(f"{where}: one column with commas, where a row is {COLUMNS}")
    clip = clip_name(fields[0])
    if len(fields) == 1:
        return Row(number, clip, 0.0, 0.0, "")
    times = [_seconds(text, where) for text in fields[1:3]]
    if times[1] < times[0]:
        raise InputError(f"{where}: it ends at {fields[2]} s, before it starts at {fields[1]} s")
    return Row(number, clip, *times, fields[3] if len(fields) == 4 else "")


def _seconds(text: str, where: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds < math.inf:
        raise InputError(f"{where}: {text!r} is no time in seconds; a row is {COLUMNS}")
    return seconds


def clip_name(file: str) -> str:
    """Return a file's name without `.wav` or `.flac`.

    >>> clip_name("-5QrBL6MzLg_60.000_70.000.wav")
    '-5QrBL6MzLg_60.000_70.000'
    """
    return file.removesuffix(".wav").removesuffix(".flac")


def times_of(clip: str, clip_seconds: float = 10.0) -> tuple[float, float]:
    """Return where a clip starts and ends in its video, as its name tells; else from 0 s.

    >>> times_of("-5QrBL6MzLg_60.000_70.000"), times_of("dog")
    ((60.0, 70.0), (0.0, 10.0))
    """
    match = _TIMED_NAME.fullmatch(clip)
    return (float(match[1]), float(match[2])) if match else (0.0, clip_seconds)


def write_tags(
    path: str | os.PathLike,
    ids: Sequence[str],
    labels: Sequence[str],
    decisions,
    clip_seconds: float = 10.0,
) -> None:
    """Write weak truth or predictions, `(clips, classes)` bool: a row for every label of a clip.

    A clip without a label has a row of its name alone, so that it counts. clip_seconds: the end
    of clips whose names hold no times. Raises InputError for a name with a tab or line break.
    """
    rows = []
    for clip, decided in zip(ids, np.asarray(decisions, bool), strict=True):
        times = times_of(clip_name(clip), clip_seconds)
        rows += [(clip, *times, labels[c]) for c in np.flatnonzero(decided)] or [(clip,)]
    _write(path, rows)


def write_events(
    path: str | os.PathLike,
    ids: Sequence[str],
    labels: Sequence[str],
    events: Sequence[Sequence[tuple]],
) -> None:
    """Write events, one list a clip of `(label_index, onset_seconds, offset_seconds, …)`.

    A clip without an event has a row of its name alone. Raises InputError as `write_tags` does.
    """
    rows = []
    for clip, found in zip(ids, events, strict=True):
        rows += [(clip, event[1], event[2], labels[event[0]]) for event in found] or [(clip,)]
    _write(path, rows)


def _write(path: str | os.PathLike, rows: Iterable[tuple]) -> None:
    with atomic_path(path) as part, open(part, "w", encoding="utf-8", newline="\n") as file:
        for clip, *rest in rows:
            texts = [f"{clip_name(clip)}.wav", *(f"{time:.3f}" for time in rest[:2]), *rest[2:]]
            if any(mark in text for text in texts for mark in "\t\r\n"):
                raise InputError(f"{path}: {clip!r} cannot stand in a tab-separated file")
            file.write("\t".join(texts) + "\n")
