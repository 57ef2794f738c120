"""A trained model against the truth of a split: its answers, and the figures they come to."""

import dataclasses
import os
import pathlib
import warnings
from collections.abc import Sequence

import numpy as np
import tqdm

from mmat.data.datasets import MODEL_INPUTS, load_split, read_arrays
from mmat.data.media import SAMPLE_RATE_HZ
from mmat.data.shards import LABELS_FILE, read_index
from mmat.errors import InputError
from mmat.labels import LabelSet
from mmat.metrics.bootstrap import RESAMPLES
from mmat.metrics.decisions import course, decide
from mmat.metrics.events import Event
from mmat.models.bundle import Bundle
from mmat.report import figures
from mmat.report.clips import Clip, choose_clips
from mmat.serving.windows import FRAME_HZ
from mmat.tasks import MULTI_LABEL, Task
from mmat.training import predict

CLIPS_A_STEP = 32
HOP_SECONDS = 1 / FRAME_HZ
# Beyond this many frame scores (400 MB) their tables would be larger than the clips themselves.
MOST_FRAME_SCORES = 100_000_000
BRANCHES = ("audio", "video")


@dataclasses.dataclass(frozen=True)
class Answers:
    """What a model says of clips.

    clip: float32 `(clips, classes)`; branches: the same by branch, where the model is fused;
    frames: float32 `(time, classes)` of each clip at 10 Hz, or None where they are too many;
    events: the course of each clip (`mmat.metrics.decisions`), none of a regression.
    """

    clip: np.ndarray
    branches: dict[str, np.ndarray]
    frames: list[np.ndarray] | None
    events: list[list[Event]]


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """A model's answers to the clips of a split, and its figures.

    ids: one a clip; truth, fired: bool, scores: float32, all `(clips, classes)`; truth_events: of
    each clip, empty lists without strong labels; clip_seconds: `(clips,)`. shown: the best and
    the worst clips. report: the figures of the task and what else `mmat.report.figures` has,
    `per_class` by label and `best_constant`, what the best fixed answer reaches (None without a
    validation split). Of a regression the truth are the values, float32, no class is reported and
    no clip shown.
    """

    ids: list[str]
    labels: tuple[str, ...]
    truth: np.ndarray
    fired: np.ndarray
    scores: np.ndarray
    thresholds: np.ndarray
    answers: Answers
    truth_events: list[list[tuple]]
    clip_seconds: np.ndarray
    shown: list[Clip]
    report: dict
    task: Task = MULTI_LABEL


def evaluate(
    bundle: Bundle,
    shards_folder: str | os.PathLike,
    split: str = "test",
    progress: bool = True,
    groups: dict[str, str] | None = None,
    resamples: int = RESAMPLES,
) -> Evaluation:
    """Let a model answer a split of prepared clips, and measure its decisions.

    A clip without what the model needs scores 0, in a regression the middle of the scale. The best
    constant answer is chosen on the split `validation` if there is one. groups: the source group of
    each clip by its id, for intervals over groups too. Raises InputError for shards with other
    labels or another task, without the probabilities that the model looks at, or damaged, and for
    a clip without a group.
    """
    index = read_index(shards_folder)
    _check_fit(bundle, shards_folder, index)
    arrays = read_arrays(shards_folder, split)
    group_names = None if groups is None else _groups_of(arrays["ids"], groups)
    seconds = _seconds(arrays)
    answers = _ask(bundle, arrays, seconds, progress)
    task, names = bundle.labels.task, bundle.labels.names
    truth = _truth(task, arrays["weak_labels"])
    fired = decide(task, answers.clip, bundle.thresholds)
    measured = truth, fired, answers.clip
    report = {
        "split": split,
        "task": str(task),
        "clips": len(truth),
        "resamples": resamples,
        **figures.whole(task, *measured, group_names, resamples),
        "best_constant": _best_constant(shards_folder, index, task, truth),
        "branches": {
            name: figures.branch(truth, scores, answers.clip, group_names, resamples, task)
            for name, scores in answers.branches.items()
        },
        "detection": None,
    }
    if not task.is_regression:
        report["per_class"] = figures.classes(*measured, bundle.thresholds, names)
        if any(arrays["events"]):
            times = arrays["events"], answers.events, answers.frames, seconds
            report["detection"] = figures.detection(*times, HOP_SECONDS, len(names))
    return Evaluation(
        ids=arrays["ids"],
        labels=names,
        truth=truth,
        fired=fired,
        scores=answers.clip,
        thresholds=bundle.thresholds,
        answers=answers,
        truth_events=arrays["events"],
        clip_seconds=seconds,
        shown=[] if task.is_regression else _shown(bundle, arrays, seconds, truth, answers),
        report=report,
        task=task,
    )


def _ask(bundle: Bundle, arrays: dict, seconds: np.ndarray, progress: bool) -> Answers:
    """Let the model answer clips, some at a time."""
    n_clips, task = len(arrays["ids"]), bundle.labels.task
    clip, branches, frames, events = [], {}, [], []
    starts = range(0, n_clips, CLIPS_A_STEP)
    for start in tqdm.tqdm(starts, "evaluate", unit=" steps", disable=not progress):
        step = slice(start, start + CLIPS_A_STEP)
        inputs = {name: arrays[name][step] for name in MODEL_INPUTS}
        said = predict(bundle.model, inputs, task=task)
        clip.append(said["clip"])
        for name in BRANCHES:
            if name in said:
                branches.setdefault(name, []).append(said[name])
        fired = decide(task, clip[-1], bundle.thresholds)
        for scores, fires, lasts in zip(said["frame"], fired, seconds[step], strict=True):
            own = scores[: max(1, round(lasts / HOP_SECONDS))]
            times = own, bundle.thresholds, fires, HOP_SECONDS
            events.append([] if task.is_regression else course(task, *times))
            if frames is not None:
                frames.append(own)
        if frames and len(frames[0]) * n_clips * len(bundle.labels) > MOST_FRAME_SCORES:
            warnings.warn("frame scores: too many to keep, so there is no PSDS", stacklevel=3)
            frames = None
    joined = {name: np.concatenate(parts) for name, parts in branches.items()}
    return Answers(np.concatenate(clip), joined, frames, events)


def _truth(task: Task, weak_labels: np.ndarray) -> np.ndarray:
    return weak_labels if task.is_regression else weak_labels > 0


def _shown(bundle: Bundle, arrays: dict, seconds, truth, answers: Answers) -> list[Clip]:
    """Return the best and the worst clips with what is needed to draw them."""
    chosen = choose_clips(truth, answers.clip)
    rows = [i for _, i in chosen]
    if answers.frames is None:
        parts = {name: arrays[name][rows] for name in MODEL_INPUTS} | {"ids": rows}
        frames = _ask(bundle, parts, seconds[rows], progress=False).frames or []
    else:
        frames = [answers.frames[i] for i in rows]
    return [
        Clip(
            row=i,
            place=place,
            id=arrays["ids"][i],
            waveform=arrays["waveform"][i, : round(seconds[i] * SAMPLE_RATE_HZ), 0],
            frame_scores=of_clip,
            true_events=tuple(arrays["events"][i]),
            events=tuple(answers.events[i]),
        )
        for (place, i), of_clip in zip(chosen, frames, strict=True)
    ]


def _seconds(arrays: dict) -> np.ndarray:
    """Return how long each clip is; the padding at its end is no part of it where that is known."""
    n_samples = np.full(len(arrays["ids"]), arrays["waveform"].shape[1])
    known = np.asarray(arrays.get("n_samples", n_samples))
    # A clip without sound has pictures for as long as the others.
    return np.where(known > 0, known, n_samples) / SAMPLE_RATE_HZ


def _groups_of(ids: Sequence[str], groups: dict[str, str]) -> list[str]:
    for clip in ids:
        if clip not in groups:
            raise InputError(f"source groups: the list has no row for the clip {clip!r}")
    return [groups[clip] for clip in ids]


def _check_fit(bundle: Bundle, shards_folder: str | os.PathLike, index: dict) -> None:
    if tuple(index["labels"]) != bundle.labels.names:
        raise InputError(
            f"{shards_folder}: its labels are not those of the model; prepare the clips with the "
            "model's labels.csv"
        )
    task = LabelSet.from_csv(pathlib.Path(shards_folder, LABELS_FILE)).task
    if task != bundle.labels.task:
        raise InputError(
            f"{shards_folder}: its labels are {task}, those of the model {bundle.labels.task}; "
            "prepare the clips with the model's labels.csv"
        )
    if "image_probabilities" not in bundle.model.input:
        return
    if index["image_network"] != bundle.image_network:
        raise InputError(
            f"{shards_folder}: its pictures went through {index['image_network'] or 'no network'}, "
            f"the model looks through {bundle.image_network}; prepare the clips with that"
        )


def _best_constant(shards_folder, index: dict, task: Task, truth: np.ndarray) -> dict | None:
    """Return figures on `truth` of the fixed answer that is best on the validation split."""
    if "validation" not in index["splits"]:
        return None
    clips = load_split(shards_folder, "validation", inputs=("has_audio",))
    validation = np.stack([weak_labels for _, weak_labels in clips.as_numpy_iterator()])
    return figures.constant(task, _truth(task, validation), truth)
