"""Clips pass by a model, some at a time: its answers stay, and what the figures need of them."""

import dataclasses
import math
import warnings
from collections.abc import Iterable

import numpy as np
import tqdm

from mmat.data.datasets import MODEL_INPUTS
from mmat.data.media import SAMPLE_RATE_HZ
from mmat.errors import InputError
from mmat.metrics.decisions import course, decide
from mmat.metrics.events import Event
from mmat.models.bundle import Bundle
from mmat.serving.windows import FRAME_HZ
from mmat.training import predict

CLIPS_A_STEP = 32
HOP_SECONDS = 1 / FRAME_HZ
BRANCHES = ("audio", "video")


@dataclasses.dataclass(frozen=True)
class Answers:
    """What a model says of clips; more than this and the truth is not kept of them.

    clip: float32 `(clips, classes)`; branches: the same by branch, where the model is fused;
    frames: float32 `(time, classes)` of each clip at 10 Hz, or None where they are too many;
    events: the course of each clip (`mmat.metrics.decisions`), none of a regression.
    """

    clip: np.ndarray
    branches: dict[str, np.ndarray]
    frames: list[np.ndarray] | None
    events: list[list[Event]]


class PassedClips:
    """What is kept of the clips themselves, as they pass by on their way to the model."""

    def __init__(self, groups: dict[str, str] | None):
        self.ids, self.events = [], []
        self.groups = None if groups is None else []
        self._group_of, self._weak_labels, self._seconds = groups, [], []

    def noted(self, step: dict) -> dict:
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


def ask(
    bundle: Bundle,
    steps: Iterable[dict],
    n_clips: int,
    progress: bool = False,
    most_frame_scores: float = math.inf,
) -> Answers:
    """Let the model answer clips, which come some at a time.

    most_frame_scores: if there would be more, a warning tells of it, and none are kept.
    """
    task = bundle.labels.task
    clip, branches, frames, events = [], {}, [], []
    n_steps = math.ceil(n_clips / CLIPS_A_STEP)
    for step in tqdm.tqdm(steps, "evaluate", n_steps, unit=" steps", disable=not progress):
        said = predict(bundle.model, {name: step[name] for name in MODEL_INPUTS}, task=task)
        clip.append(said["clip"])
        for name in BRANCHES:
            if name in said:
                branches.setdefault(name, []).append(said[name])
        fired = decide(task, clip[-1], bundle.thresholds)
        for scores, fires, lasts in zip(said["frame"], fired, clip_seconds(step), strict=True):
            own = scores[: max(1, round(lasts / HOP_SECONDS))].copy()  # without the padding's
            times = own, bundle.thresholds, fires, HOP_SECONDS
            events.append([] if task.is_regression else course(task, *times))
            if frames is not None:
                frames.append(own)
        if frames and len(frames[0]) * n_clips * len(bundle.labels) > most_frame_scores:
            warnings.warn("frame scores: too many to keep, so there is no PSDS", stacklevel=3)
            frames = None
    joined = {name: np.concatenate(parts) for name, parts in branches.items()}
    return Answers(np.concatenate(clip), joined, frames, events)


def clip_seconds(arrays: dict) -> np.ndarray:
    """Return how long each clip is; the padding at its end is no part of it where that is known."""
    n_samples = np.full(len(arrays["ids"]), arrays["waveform"].shape[1])
    known = arrays["n_samples"]
    # A clip without sound has pictures for as long as the others.
    return np.where(known > 0, known, n_samples) / SAMPLE_RATE_HZ
