"""What a list holds: clips, hours, labels a class and labels a clip, and which media are there."""

import collections
import dataclasses
import itertools
import os
from collections.abc import Iterable

import pandas as pd

from mmat.data.clips import walk
from mmat.data.finding import Found, MediaFolder
from mmat.data.lists import ReadList

SECONDS_AN_HOUR = 3600


@dataclasses.dataclass(frozen=True)
class MediaCount:
    """How many clips' media are there and are not, in all and of each class."""

    found: int
    missing: int
    found_by_label: dict[str, int]
    missing_by_label: dict[str, int]


@dataclasses.dataclass(frozen=True)
class Summary:
    """Counts of a list, labels in the label set's order.

    hours: of the clips whose length is known; without_length: how many clips' is not.
    labels_per_clip: how many clips have so many labels. media: where a folder was searched.
    """

    clips: int
    hours: float
    without_length: int
    splits: dict[str, int]
    labels: dict[str, int]
    labels_per_clip: dict[int, int]
    media: MediaCount | None = None


def summarise(read: ReadList, media: MediaFolder | None = None) -> Summary:
    """Count what a list holds; `media` is searched for its clips, and tells lengths not listed.

    >>> from mmat.data.lists import Clip, table_of
    >>> from mmat.labels import LabelSet
    >>> table = table_of([Clip("rex", "rex.wav", ("Dog",), 0.0, 9.0)])
    >>> summary = summarise(ReadList(table, LabelSet.of(["Cat", "Dog"]), ()))
    >>> summary.clips, summary.hours, summary.labels, summary.labels_per_clip
    (1, 0.0025, {'Cat': 0, 'Dog': 1}, {1: 1})
    """
    table = read.table
    lengths = table["end_seconds"] - table["start_seconds"].fillna(0.0)
    count = None
    if media is not None:
        names = read.labels.names
        count, measured = _searched(table, lengths.isna().tolist(), media, names)
        lengths = lengths.fillna(measured)
    return Summary(
        clips=len(table),
        hours=float(lengths.sum()) / SECONDS_AN_HOUR,
        without_length=int(lengths.isna().sum()),
        splits={str(split): int(n) for split, n in table["split"].value_counts(sort=False).items()},
        labels=_by_label(table["labels"], read.labels.names),
        labels_per_clip=dict(sorted(collections.Counter(map(len, table["labels"])).items())),
        media=count,
    )


def _by_label(labels: Iterable[tuple[str, ...]], names: tuple[str, ...]) -> dict[str, int]:
    counts = collections.Counter(itertools.chain.from_iterable(labels))
    return {name: counts[name] for name in names}


def _searched(
    table: pd.DataFrame, to_measure: list[bool], media: MediaFolder, names: tuple[str, ...]
) -> tuple[MediaCount, pd.Series]:
    """Return what is there, and the lengths in seconds of the clips to measure."""
    found, missing, lengths = [], [], [float("nan")] * len(table)
    for i, clip in enumerate(walk(table)):
        place = media.find(clip)
        (found if place else missing).append(clip.labels)
        if place and to_measure[i]:
            lengths[i] = _length_seconds(place)
    by_label = _by_label(found, names), _by_label(missing, names)
    return MediaCount(len(found), len(missing), *by_label), pd.Series(lengths, dtype="float64")


def _length_seconds(place: Found) -> float:
    """Return the length of what was found; NaN where its end cannot be told without decoding."""
    end = place.end_seconds
    if end is None:
        end = _file_seconds(place.path)
    start = place.start_seconds or 0.0
    return 0.0 if end < start else end - start


def _file_seconds(path: str | os.PathLike) -> float:
    import av
    import soundfile

    try:
        return soundfile.info(os.fspath(path)).duration
    except (soundfile.LibsndfileError, OSError):
        pass
    try:
        with av.open(os.fspath(path)) as container:
            return float("nan") if container.duration is None else container.duration / av.time_base
    except (av.FFmpegError, OSError, ValueError):
        return float("nan")
