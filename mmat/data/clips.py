"""Clips: what a list names, as objects for the code that walks them and as one table."""

import dataclasses
import math
from collections.abc import Iterable, Iterator

import pandas as pd


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
    labels: names, each once. values: of a regression the value of each label, else empty. events:
    strong times where they are known. video_id: the web video that a public list cuts the clip
    from (the range is then in that video), else empty.
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
    values: tuple[float, ...] = ()


COLUMNS = (
    "id",
    "file",
    "video_id",
    "start_seconds",
    "end_seconds",
    "labels",
    "split",
    "source_group",
    "events",
    "values",
)
_TIMES = ("start_seconds", "end_seconds")


def table_from(columns: dict[str, Iterable]) -> pd.DataFrame:
    """Make the table of columns as long as each other; a time that is None becomes NaN."""
    return pd.DataFrame(
        {
            name: pd.Series(columns[name], dtype="float64" if name in _TIMES else object)
            for name in COLUMNS
        }
    )


def table_of(clips: Iterable[Clip]) -> pd.DataFrame:
    """Return clips as the one table: a row a clip, the columns of `COLUMNS`.

    start_seconds, end_seconds: float64, NaN for the file's own ends; labels: tuple of names;
    events: tuple of Event; the rest: str.

    >>> table_of([Clip("rex", "rex.mp4", ("Dog",), end_seconds=2.0)])[["file", "end_seconds"]]
          file  end_seconds
    0  rex.mp4          2.0
    """
    clips = list(clips)
    return table_from({name: [getattr(clip, name) for clip in clips] for name in COLUMNS})


def walk(table: pd.DataFrame) -> Iterator[Clip]:
    """Yield the table's rows as clips, one at a time."""
    for values in zip(*(table[name].tolist() for name in COLUMNS), strict=True):
        fields = dict(zip(COLUMNS, values, strict=True))
        for name in _TIMES:
            fields[name] = None if math.isnan(fields[name]) else fields[name]
        yield Clip(**fields)


def clips_of(table: pd.DataFrame) -> list[Clip]:
    """Return the table's rows as clips; the inverse of `table_of`.

    >>> clips = [Clip("rex", "rex.mp4", ("Dog",), start_seconds=1.5)]
    >>> clips_of(table_of(clips)) == clips
    True
    """
    return list(walk(table))
