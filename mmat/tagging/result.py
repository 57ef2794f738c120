"""What tagging a file gives, as a record, as tables for people, and drawn.

`Tagging` holds NumPy arrays, texts and numbers.
"""

import dataclasses
import os
import re
from typing import NamedTuple

import numpy as np

from mmat.labels import MULTI_LABEL, Task
from mmat.metrics.decisions import confidence, percent_sure
from mmat.metrics.events import Event

AUDIO, VIDEO, BOTH = "audio", "video", "both"
LEAST_ROWS, MOST_ROWS = 5, 10  # of a printed table of tags, where more do not or do fire
_NUMBER = re.compile(r"(-?\d+(\.\d+)?)?")
MOST_NAMED = 5  # in the line that is a tagging's repr
_LEGENDS = {
    "multi-label": "sure: 50 and more fires, 100 is certain",
    "multi-class": "sure: shares of 100, and the surest class is the answer",
    "regression": "",
}


@dataclasses.dataclass(frozen=True)
class Tag:
    """One class of one file: its score, whether it fired, and each branch's own score (or None).

    Of classes that exclude each other the best one fires. Of a regression the score is the value,
    and every label fires. confidence: how sure that is, as `mmat.metrics.decisions.confidence` has
    it: it fires from 0.5 on; None for a value.
    """

    label: str
    score: float
    fired: bool
    audio_score: float | None = None
    video_score: float | None = None
    confidence: float | None = None


@dataclasses.dataclass(frozen=True)
class TimedTag:
    """A stretch of time in which a class that fired reaches its threshold; score: its peak.

    Of classes that exclude each other: in which it is the best of all, whatever fired. Of a
    regression: in which the value rounds to the same whole number; score: its mean.
    modality: whose own scores reach it there, `audio` or `video`; `both` where both do, where
    neither does alone, and where the picture lifts what the sound times: `video` is what is only
    seen. confidence: how sure the score is, as a `Tag`'s.
    """

    label: str
    onset_seconds: float
    offset_seconds: float
    score: float
    modality: str = AUDIO
    confidence: float | None = None


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
    """A picture in which classes were seen best: uint8 RGB `(height, width, 3)`.

    seconds: its time in the file; labels: those classes, each with its video score.
    """

    seconds: float
    image: np.ndarray
    labels: tuple[tuple[str, float], ...]


@dataclasses.dataclass(frozen=True, repr=False)
class Tagging:
    """What a file holds; `print` shows it as tables of tags and events.

    file: its path, empty for an array. labels and thresholds: float32 `(classes,)`, the model's.
    clip_scores: float32 `(classes,)`; frame_scores: float32 `(time, classes)` at 10 Hz; fired: bool
    `(classes,)`; all in the label set's order. tags: every class, those that fired first, the
    surest first. events: by onset. reasons: of classes that fired, and of others where they are
    asked for; the weightiest first. pictures: those in which a class that fired was seen best, by
    time. log_mel: decibels `(mel_time, bands)` at 40 Hz over the file, where they were asked for.
    problem: what was lost or changed in reading the file, else empty. task: what the scores are.
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
        return as_table(self, top=MOST_ROWS)

    def __repr__(self) -> str:
        fired = [f"{tag.label} ({self._how_sure(tag)})" for tag in self.tags if tag.fired]
        if fired[MOST_NAMED:]:
            fired[MOST_NAMED:] = [f"and {len(fired) - MOST_NAMED} more"]
        name = self.file or "waveform"
        return (
            f"<Tagging of {name}, {self.duration_seconds:.1f} s: "
            f"{'; '.join(fired) or 'nothing fired'}>"
        )

    def _how_sure(self, tag: Tag) -> str:
        (sure,) = self.sure(tag.label, tag.score)
        return f"{tag.score:.2f}" if sure is None else f"sure {percent_sure(sure)}"

    def sure(self, label: str, *scores: float | None) -> list[float | None]:
        """Return how sure scores of a label are, as `mmat.metrics.decisions.confidence` has it.

        None for a score that is missing, and for a value.
        """
        threshold = self.thresholds[self.labels.index(label)]
        if self.task.is_regression:
            return [None] * len(scores)
        return [
            None if score is None else float(confidence(self.task, score, threshold))
            for score in scores
        ]

    def best(self, n: int) -> "Tagging":
        """Return the tagging with the `n` surest of the tags that fired, and their events, alone.

        The arrays stay whole. Of a regression these are the first `n` values.
        """
        fired = tuple(tag for tag in self.tags if tag.fired)
        left_out = {tag.label for tag in fired[n:]}
        events = tuple(event for event in self.events if event.label not in left_out)
        return dataclasses.replace(self, tags=fired[:n], events=events)

    def text_of(self, event: TimedTag) -> str:
        """Return what an event is called in a list: its label, of a regression with its value.

        >>> from mmat.labels import regression
        >>> nothing = np.zeros(0)
        >>> a = ("a.wav", 1.0, ("mood",), *[nothing] * 4, (), (), True, False)
        >>> Tagging(*a, task=regression(-3, 3)).text_of(TimedTag("mood", 0.0, 1.0, 1.25))
        'mood +1'
        """
        if not self.task.is_regression:
            return event.label
        value = round(event.score)
        return f"{event.label} {'+' if self.task.low < 0 < value else ''}{value}"


def as_table(tagging: Tagging, explain: bool = False, top: int | None = None) -> str:
    """Return the tables of one file: of tags, how sure they are, and of events.

    The tags are those that fired, of which the `top` surest (default all), and the surest of the
    rest where these are few. explain: also the names that pretrained networks gave behind them.

    >>> tags = (Tag("Dog", 0.75, True, 0.5, 0.9),)
    >>> half, one = np.full(1, 0.5, "float32"), np.ones(1, "float32")
    >>> a = ("a.mp4", 1.0, ("Dog",), half, one, one[None], one > 0, tags, (), True, True)
    >>> Tagging(*a)
    <Tagging of a.mp4, 1.0 s: Dog (sure 75)>
    >>> print(Tagging(*a))  # the same in full
    a.mp4: 1.0 s, sound and pictures
    tag      sure  fires      audio    video
    -----  ------  -------  -------  -------
    Dog        75  yes           50       90
    sure: 50 and more fires, 100 is certain
    """
    senses = ["sound"] * tagging.has_audio + ["pictures"] * tagging.has_video
    shown = _shown(tagging, top)
    left_out = {tag.label for tag in tagging.tags[len(shown) :] if tag.fired}
    events = [event for event in tagging.events if event.label not in left_out]
    name = tagging.file or "waveform"
    is_value = tagging.task.is_regression
    head = ["value"] if is_value else ["sure", "best" if tagging.task.is_multi_class else "fires"]
    parts = [
        f"{name}: {tagging.duration_seconds:.1f} s, {' and '.join(senses)}",
        _tabulate(["tag", *head, "audio", "video"], [_tag_row(tagging, tag) for tag in shown]),
        *_legend(tagging, shown),
    ]
    if events:
        rows = [
            [e.label, f"{e.onset_seconds:.1f}", f"{e.offset_seconds:.1f}"]
            + [*_cells(tagging, e.label, e.score), e.modality]
            for e in events
        ]
        head = ["event", "from s", "to s", "mean" if is_value else "sure", "by"]
        parts.append("\n" + _tabulate(head, rows))
    if explain:
        parts.append("\n" + _reasons(tagging, shown))
    return "\n".join(parts)


def _shown(tagging: Tagging, top: int | None) -> tuple[Tag, ...]:
    """Return the tags of a table: the `top` that fired, filled up with the next."""
    n_fired = int(np.sum([tag.fired for tag in tagging.tags]))
    most = n_fired if top is None else min(n_fired, top)
    return tagging.tags[: max(most, min(LEAST_ROWS, top or LEAST_ROWS))]


def _legend(tagging: Tagging, shown: tuple[Tag, ...]) -> list[str]:
    """Return the line under a table of tags: what its numbers are, and how many tags it lacks."""
    rest = tagging.tags[len(shown) :]
    n_fired = sum(tag.fired for tag in rest)
    counts = [(n_fired, " that fire"), (len(rest) - n_fired, " that do not")]
    if tagging.task != MULTI_LABEL:
        counts = [(len(rest), "")]
    more = " and ".join(f"{n}{what}" for n, what in counts if n)
    sentences = [_LEGENDS[tagging.task.kind], f"labels not shown: {more}" if rest else ""]
    line = "; ".join(filter(None, sentences))
    return [line] if line else []


def _tag_row(tagging: Tagging, tag: Tag) -> list[str]:
    score, *branches = _cells(tagging, tag.label, tag.score, tag.audio_score, tag.video_score)
    fired = [] if tagging.task.is_regression else ["yes" if tag.fired else "no"]
    return [tag.label, score, *fired, *branches]


def _cells(tagging: Tagging, label: str, *scores: float | None) -> list[str]:
    """Return scores of a label as a table has them: how sure they are, or a value's digits."""
    if tagging.task.is_regression:
        return [_digits(score) for score in scores]
    sure = tagging.sure(label, *scores)
    return ["" if each is None else str(percent_sure(each)) for each in sure]


def _reasons(tagging: Tagging, shown: tuple[Tag, ...]) -> str:
    order = [tag.label for tag in shown]
    reasons = [reason for reason in tagging.reasons if reason.label in order]
    if not reasons:
        return "No pretrained network gave a name behind these tags."
    rows = [
        [r.label, "picture" if r.sense == "video" else "sound", r.name, _digits(r.probability)]
        + [_digits(r.similarity), f"{r.seconds:.1f}"]
        for r in sorted(reasons, key=lambda reason: order.index(reason.label))
    ]
    return _tabulate(["tag", "in the", "named", "probability", "similarity", "at s"], rows)


def _digits(score: float | None) -> str:
    return "" if score is None else f"{score:.3f}"


def _tabulate(head: list[str], rows) -> str:
    import tabulate

    rows = list(rows)
    numbers = [all(_NUMBER.fullmatch(row[c]) for row in rows) for c in range(len(head))]
    align = ["right" if is_number else "left" for is_number in numbers]
    return tabulate.tabulate(rows, head, disable_numparse=True, colalign=align)


def plot(tagging: Tagging, path_png: str | os.PathLike, top: int | None = None) -> None:
    """Draw a file that was tagged `with_mel`: mel, frame scores, and its pictures.

    top: only the tags that a table of so many has.
    """
    from mmat.plots.tagging import plot_tagging

    every = range(len(tagging.labels))
    wanted = None if top is None else {tag.label for tag in _shown(tagging, top)}
    kept = [c for c in every if wanted is None or tagging.labels[c] in wanted]
    labels = [tagging.labels[c] for c in kept]
    places = {label: place for place, label in enumerate(labels)}
    events = [
        Event(places[e.label], e.onset_seconds, e.offset_seconds, e.score)
        for e in tagging.events
        if e.label in places
    ]
    captions = [", ".join(label for label, _ in picture.labels) for picture in tagging.pictures]
    plot_tagging(
        path_png,
        tagging.log_mel,
        tagging.frame_scores[:, kept],
        labels,
        tagging.thresholds[kept],
        pictures=[
            (picture.seconds, picture.image, caption)
            for picture, caption in zip(tagging.pictures, captions, strict=True)
        ],
        events=events,
        clip_scores=tagging.clip_scores[kept],
        title=os.path.basename(tagging.file),
        task=tagging.task,
    )
