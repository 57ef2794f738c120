"""What tagging a file gives: plain records of NumPy arrays, texts and numbers."""

import dataclasses
from typing import NamedTuple

import numpy as np

AUDIO, VIDEO, BOTH = "audio", "video", "both"


@dataclasses.dataclass(frozen=True)
class Tag:
    """One class of one file: its score, whether it fired, and what each branch said (or None)."""

    label: str
    score: float
    fired: bool
    audio_score: float | None = None
    video_score: float | None = None


@dataclasses.dataclass(frozen=True)
class TimedTag:
    """A stretch of time in which a class that fired reaches its threshold; score: its peak.

    modality: whose own scores reach the threshold there, `audio` or `video`; `both` where both do,
    and where neither does alone.
    """

    label: str
    onset_seconds: float
    offset_seconds: float
    score: float
    modality: str = AUDIO


class Reason(NamedTuple):
    """A name that a pretrained network gave, behind a class: its probability, and how near it is.

    sense: `audio` or `video`. similarity: of the name and the class, the cosine of their text
    vectors. seconds: where in the file the network was surest of it.
    """

    label: str
    sense: str
    name: str
    probability: float
    similarity: float
    seconds: float


@dataclasses.dataclass(frozen=True)
class Picture:
    """A picture that spoke: uint8 RGB `(height, width, 3)`, and (label, video score) of those."""

    seconds: float
    image: np.ndarray
    labels: tuple[tuple[str, float], ...]


@dataclasses.dataclass(frozen=True)
class Tagging:
    """What a file holds.

    file: its path, empty for an array. labels and thresholds: float32 `(classes,)`, the model's.
    clip_scores: float32 `(classes,)`; frame_scores: float32 `(time, classes)` at 10 Hz; fired: bool
    `(classes,)`; all in the label set's order. tags: every class, those that fired first, then by
    score. events: by onset. reasons: of classes that fired, and of others where they are asked for;
    the weightiest first. pictures: those in which a class that fired was seen best, by time.
    log_mel: decibels `(mel_time, bands)` at 40 Hz over the file, where they were asked for.
    problem: what kept the rest of a damaged file from being read, else empty.
    """

    file: str
    duration_seconds: float
    labels: tuple[str, ...]
    thresholds: np.ndarray
    clip_scores: np.ndarray
    frame_scores: np.ndarray
    fired: np.ndarray
    tags: tuple[Tag, ...]
    events: tuple[TimedTag, ...]
    has_audio: bool
    has_video: bool
    reasons: tuple[Reason, ...] = ()
    pictures: tuple[Picture, ...] = ()
    log_mel: np.ndarray | None = None
    problem: str = ""
