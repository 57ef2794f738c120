"""What tagging a file gives: plain records of NumPy arrays, texts and numbers."""

import dataclasses
from typing import NamedTuple

import numpy as np

from mmat.tasks import MULTI_LABEL, Task

AUDIO, VIDEO, BOTH = "audio", "video", "both"


@dataclasses.dataclass(frozen=True)
class Tag:
    """One class of one file: its score, whether it fired, and what each branch said (or None).

    Of classes that exclude each other the best one fires. Of a regression the score is the value,
    and every label fires.
    """

    label: str
    score: float
    fired: bool
    audio_score: float | None = None
    video_score: float | None = None


@dataclasses.dataclass(frozen=True)
class TimedTag:
    """A stretch of time in which a class that fired reaches its threshold; score: its peak.

    Of classes that exclude each other: in which it is the best of all, whatever fired. Of a
    regression: in which the value rounds to the same whole number; score: its mean.
    modality: whose own scores say so there, `audio` or `video`; `both` where both do, and where
    neither does alone.
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


@dataclasses.dataclass(frozen=True, repr=False)
class Tagging:
    """What a file holds; `print` shows it as tables of tags and events.

    file: its path, empty for an array. labels and thresholds: float32 `(classes,)`, the model's.
    clip_scores: float32 `(classes,)`; frame_scores: float32 `(time, classes)` at 10 Hz; fired: bool
    `(classes,)`; all in the label set's order. tags: every class, those that fired first, then by
    score. events: by onset. reasons: of classes that fired, and of others where they are asked for;
    the weightiest first. pictures: those in which a class that fired was seen best, by time.
    log_mel: decibels `(mel_time, bands)` at 40 Hz over the file, where they were asked for.
    problem: what kept the rest of a damaged file from being read, else empty. task: what the
    scores are.
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
    task: Task = MULTI_LABEL

    def __str__(self) -> str:
        from mmat.serving.show import as_table

        return as_table(self)

    def __repr__(self) -> str:
        fired = "; ".join(f"{tag.label} {tag.score:.2f}" for tag in self.tags if tag.fired)
        name = self.file or "waveform"
        return f"<Tagging of {name}, {self.duration_seconds:.1f} s: {fired or 'nothing fired'}>"

    def text_of(self, event: TimedTag) -> str:
        """Return what an event is called in a list: its label, of a regression with its value.

        >>> from mmat.tasks import regression
        >>> nothing = np.zeros(0)
        >>> a = ("a.wav", 1.0, ("mood",), *[nothing] * 4, (), (), True, False)
        >>> Tagging(*a, task=regression(-3, 3)).text_of(TimedTag("mood", 0.0, 1.0, 1.25))
        'mood +1'
        """
        if not self.task.is_regression:
            return event.label
        value = round(event.score)
        return f"{event.label} {'+' if self.task.low < 0 < value else ''}{value}"
