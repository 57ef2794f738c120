"""Clips: what the rows of a list become; a list in memory is a Python list of `Clip`."""

import dataclasses
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import pandas as pd

VIDEO_ID = re.compile(r"[A-Za-z0-9_-]{11}")
SEGMENT_TIME = r"(\d{1,9}(?:\.\d+)?)"
# Downloaders put a `Y` before a video's id.
_SEGMENT_NAME = re.compile(
    rf"Y?({VIDEO_ID.pattern})_{SEGMENT_TIME}_{SEGMENT_TIME}(?:\.[A-Za-z]\w*)?", re.ASCII
)
# AudioSet's strong labels: the video's id and the start in milliseconds, without suffix.
_SEGMENT_ID = re.compile(rf"({VIDEO_ID.pattern})_(\d{{1,9}})", re.ASCII)
AUDIOSET_SECONDS = 10.0  # of a segment of AudioSet's strong labels


@dataclasses.dataclass(frozen=True, slots=True)
class Event:
    """One sounding event; the times are seconds from the beginning of the clip."""

    label: str
    onset_seconds: float
    offset_seconds: float


@dataclasses.dataclass(frozen=True, slots=True)
class Clip:
    """One clip: a media file (a path inside the media folder) or a range of it, and its labels.

    start_seconds, end_seconds: the range inside the file; None is the file's own end.
    labels: names, each once. values: in a regression the value of each label, else empty. events:
    strong times where they are known. video_id: the web video that a public list cuts the clip
    from (the range is then in that video), else empty. source_group: what must not be torn between
    splits; several by `;`.

    >>> Clip("rex", "rex.mp4", ("Dog",), end_seconds=2.0).split
    'train'
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

    @property
    def source_groups(self) -> tuple[str, ...]:
        """The names in `source_group`, each once; without any the video's id, else the file.

        >>> Clip("a", "a.wav", source_group="dog 1; dog 2").source_groups
        ('dog 1', 'dog 2')
        >>> Clip("a", "a.wav").source_groups
        ('a.wav',)
        """
        names = (name.strip() for name in self.source_group.split(";"))
        return tuple(dict.fromkeys(filter(None, names))) or (self.video_id or self.file,)


def table_of(clips: Sequence[Clip]) -> "pd.DataFrame":
    """Return clips as a table to look at: a row a clip, a column a field.

    start_seconds, end_seconds: float64, NaN for the file's own ends; labels: tuple of names;
    events: tuple of Event; the rest: str.

    >>> table_of([Clip("rex", "rex.mp4", ("Dog",), end_seconds=2.0)])[["file", "end_seconds"]]
          file  end_seconds
    0  rex.mp4          2.0
    """
    import pandas as pd  # it takes half a second, and most users of a list need no table

    names = "id file video_id start_seconds end_seconds labels split source_group events values"
    table = pd.DataFrame({name: [getattr(clip, name) for clip in clips] for name in names.split()})
    return table.astype({"start_seconds": "float64", "end_seconds": "float64"})


class Segment(NamedTuple):
    """A range of a web video, in seconds."""

    video_id: str
    start_seconds: float
    end_seconds: float

    @classmethod
    def named(cls, file: str) -> "Segment | None":
        """Return the segment that a trimmed file is named after, or None.

        >>> Segment.named("Y-5QrBL6MzLg_60.000_70.000.wav")
        Segment(video_id='-5QrBL6MzLg', start_seconds=60.0, end_seconds=70.0)
        """
        found = _SEGMENT_NAME.fullmatch(file)
        return cls(found[1], float(found[2]), float(found[3])) if found else None

    @classmethod
    def of_audioset(cls, text: str) -> "Segment | None":
        """Return the segment of a `segment_id` of AudioSet's strong labels, or None.

        >>> Segment.of_audioset("b0RFKhbpFJA_30000")
        Segment(video_id='b0RFKhbpFJA', start_seconds=30.0, end_seconds=40.0)
        """
        found = _SEGMENT_ID.fullmatch(text)
        if not found:
            return None
        start_seconds = int(found[2]) / 1000
        return cls(found[1], start_seconds, start_seconds + AUDIOSET_SECONDS)


def segment_id(video_id: str, start_seconds: float, end_seconds: float) -> str:
    """Return the official name of a segment's file, without suffix.

    >>> segment_id("-5QrBL6MzLg", 60, 70)
    '-5QrBL6MzLg_60.000_70.000'
    """
    return f"{video_id}_{start_seconds:.3f}_{end_seconds:.3f}"
