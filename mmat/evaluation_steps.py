"""Clips pass by a model, some at a time: its outputs stay, and what the figures need of them."""

import dataclasses
import math
import warnings
from collections.abc import Iterable

import numpy as np
import tqdm

from mmat.data.media import SAMPLE_RATE_HZ
from mmat.errors import InputError
from mmat.metrics.decisions import decide, to_events
from mmat.metrics.events import Event
from mmat.models.bundle import Bundle
from mmat.models.predict import SENSES, Predictor
from mmat.tasks import FRAME_HZ

CLIPS_A_STEP = 32
HOP_SECONDS = 1 / FRAME_HZ
CLIPS_EACH = 3  # best and worst
SURE = 1e-6


@dataclasses.dataclass(frozen=True)
class Outputs:
    """What a model predicts of clips; more than this and the truth is not kept of them.

    clip: float32 `(clips, classes)`; branches: the same by branch, where the model is fused;
    frames: float32 `(time, classes)` of each clip at 10 Hz, or None where they are too many;
    events: those of each clip (`mmat.metrics.decisions`), none of a regression.
    """

    clip: np.ndarray
    branches: dict[str, np.ndarray]
    frames: list[np.ndarray] | None
    events: list[list[Event]]


class ClipLog:
    """What is kept of the clips themselves, as they pass by on their way to the model."""

    def __init__(self, groups: dict[str, str] | None):
        self.ids, self.events = [], []
        self.groups = None if groups is None else []
        self._group_of, self._weak_labels, self._seconds = groups, [], []

    def record(self, step: dict) -> dict:
        """Keep what is needed of a step, and pass it on."""
        self.ids += step["ids"]
        self.events += step["events"]
        self._weak_labels.append(step["weak_labels"])
        self._seconds.append(clip_seconds(step))
        for clip in step["ids"] if self._group_of is not None else ():
            if clip not in self._group_of:
                raise InputError(f"source groups: the list has no row for the clip {clip!r}")
            self.groups.append(self._group_of[clip])
        return step

    @property
    def weak_labels(self) -> np.ndarray:
        return np.concatenate(self._weak_labels)

    @property
    def seconds(self) -> np.ndarray:
        return np.concatenate(self._seconds)


def predict_steps(
    bundle: Bundle,
    steps: Iterable[dict],
    n_clips: int,
    progress: bool = False,
    most_frame_scores: float = math.inf,
) -> Outputs:
    """Predict clips, which come some at a time.

    most_frame_scores: if there would be more, a warning tells of it, and none are kept.
    """
    task = bundle.labels.task
    predictor = Predictor(bundle.model, task)
    clip, branches, frames, events = [], {}, [], []
    n_steps = math.ceil(n_clips / CLIPS_A_STEP)
    for step in tqdm.tqdm(steps, "evaluate", n_steps, unit=" steps", disable=not progress):
        outputs = predictor(step)
        clip.append(outputs["clip"])
        for name in outputs.keys() & SENSES.keys():
            branches.setdefault(name, []).append(outputs[name])
        fired = decide(task, clip[-1], bundle.thresholds)
        for scores, fires, lasts in zip(outputs["frame"], fired, clip_seconds(step), strict=True):
            own = scores[: max(1, round(lasts / HOP_SECONDS))].copy()  # without the padding's
            times = own, bundle.thresholds, fires, HOP_SECONDS
            events.append([] if task.is_regression else to_events(task, *times))
            if frames is not None:
                frames.append(own)
        if frames and len(frames[0]) * n_clips * len(bundle.labels) > most_frame_scores:
            warnings.warn("frame scores: too many to keep, so there is no PSDS", stacklevel=3)
            frames = None
    joined = {name: np.concatenate(branches[name]) for name in SENSES if name in branches}
    return Outputs(np.concatenate(clip), joined, frames, events)


def clip_seconds(arrays: dict) -> np.ndarray:
    """Return how long each clip is; the padding at its end is no part of it where that is known."""
    n_samples = np.full(len(arrays["ids"]), arrays["waveform"].shape[1])
    known = arrays["n_samples"]
    # A clip without sound has pictures for as long as the others.
    return np.where(known > 0, known, n_samples) / SAMPLE_RATE_HZ


@dataclasses.dataclass(frozen=True)
class ShownClip:
    """A clip to draw: its row among the clips, "best" or "worst", its sound and what was predicted.

    waveform: float32 `(samples,)`; frame_scores: `(time, classes)`; events and true_events:
    `(label_index, onset_seconds, offset_seconds, …)`.
    """

    row: int
    place: str
    id: str
    waveform: np.ndarray
    frame_scores: np.ndarray
    true_events: tuple[tuple, ...]
    events: tuple[tuple, ...]


def clip_losses(truth, scores) -> np.ndarray:
    """Return the mean cross-entropy of each clip's scores in nats: float64 `(clips,)`.

    >>> clip_losses(np.array([[True, False]]), np.array([[0.5, 0.5]])).round(3).tolist()
    [0.693]
    """
    scores = np.clip(np.asarray(scores, np.float64), SURE, 1 - SURE)
    return -np.log(np.where(truth, scores, 1 - scores)).mean(axis=1)


def choose_clips(truth, scores, n_each: int = CLIPS_EACH) -> list[tuple[str, int]]:
    """Return ("best" or "worst", row) of the clips with the least and the most cross-entropy.

    The best are chosen among clips that have a label: it is easy to predict nothing of silence.
    """
    losses = clip_losses(truth, scores)
    order = np.argsort(losses, kind="stable")
    best = [int(i) for i in order if truth[i].any()][:n_each]
    worst = [int(i) for i in order[::-1] if int(i) not in best][:n_each]
    return [*(("best", i) for i in best), *(("worst", i) for i in worst)]
