"""A trained model against the truth of a split: what it predicts, and the figures of that."""

import dataclasses
import os
import pathlib

import keras
import numpy as np

from mmat.data.corpus import Corpus
from mmat.data.datasets import load_split, read_arrays, read_steps
from mmat.data.media import SAMPLE_RATE_HZ
from mmat.data.shards import LABELS_FILE, read_index
from mmat.errors import InputError
from mmat.evaluation_steps import (
    CLIPS_A_STEP,
    HOP_SECONDS,
    ClipLog,
    Outputs,
    ShownClip,
    choose_clips,
    clip_seconds,
    predict_steps,
)
from mmat.labels import LabelSet
from mmat.metrics.bootstrap import RESAMPLES
from mmat.metrics.decisions import decide
from mmat.models.bundle import Bundle
from mmat.report import figures
from mmat.serving.loading import bundle_of
from mmat.tasks import MULTI_LABEL, Task

# Beyond this many frame scores (400 MB) their tables would be larger than the clips themselves.
MOST_FRAME_SCORES = 100_000_000


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """What a model predicts of the clips of a split, and its figures.

    ids: one a clip; truth, fired: bool, scores: float32, all `(clips, classes)`; truth_events: of
    each clip, empty lists without strong labels; clip_seconds: `(clips,)`. shown: the best and
    the worst clips. report: the figures of the task and what else `mmat.report.figures` has,
    `per_class` by label and `best_constant`, what the best constant prediction reaches (None
    without a validation split). Of a regression the truth are the values, float32, no class is
    reported and no clip shown.
    """

    ids: list[str]
    labels: tuple[str, ...]
    truth: np.ndarray
    fired: np.ndarray
    scores: np.ndarray
    thresholds: np.ndarray
    outputs: Outputs
    truth_events: list[list[tuple]]
    clip_seconds: np.ndarray
    shown: list[ShownClip]
    report: dict
    task: Task = MULTI_LABEL


def evaluate(
    model: str | os.PathLike | Bundle | keras.Model,
    shards: str | os.PathLike | Corpus,
    split: str = "test",
    progress: bool = True,
    groups: dict[str, str] | None = None,
    resamples: int = RESAMPLES,
) -> Evaluation:
    """Predict a split of prepared clips by a model, and measure its decisions.

        found = mmat.evaluate("dogs", "shards", "test")
        found.report["f1"], found.report["per_class"]["Dog"]

    model: the folder that `mmat.save`, a training script or `mmat export` left, or what
    `mmat.serving.loading.bundle_of` takes besides. shards: their folder, or a corpus.
    A clip without what the model needs scores 0, in a regression the middle of the scale. The best
    constant prediction is chosen on the split `validation` if there is one. groups: the source
    group of each clip by its id, for intervals over groups too. Raises InputError for shards with
    other labels or another task, without the probabilities that the model looks at, or damaged, and
    for a clip without a group. The clips are read as the model comes to them: what stays of each
    are its scores, 4 bytes a class, and frame scores, 40 bytes a class and second.
    """
    bundle = bundle_of(model, shards)
    shards_folder = shards.folder if isinstance(shards, Corpus) else shards
    index = read_index(shards_folder)
    _check_fit(bundle, shards_folder, index)
    clips, steps = ClipLog(groups), read_steps(shards_folder, split, CLIPS_A_STEP)
    n_clips, passing = index["splits"][split]["clips"], map(clips.record, steps)
    outputs = predict_steps(bundle, passing, n_clips, progress, MOST_FRAME_SCORES)
    task, names = bundle.labels.task, bundle.labels.names
    truth, seconds, group_names = _truth(task, clips.weak_labels), clips.seconds, clips.groups
    fired = decide(task, outputs.clip, bundle.thresholds)
    measured = truth, fired, outputs.clip
    report = {
        "split": split,
        "task": str(task),
        "clips": len(truth),
        "resamples": resamples,
        **figures.whole(task, *measured, group_names, resamples),
        "best_constant": _best_constant(shards_folder, index, task, truth),
        "branches": {
            name: figures.branch(truth, scores, outputs.clip, group_names, resamples, task)
            for name, scores in outputs.branches.items()
        },
        "detection": None,
    }
    if not task.is_regression:
        report["per_class"] = figures.classes(*measured, bundle.thresholds, names)
        if any(clips.events):
            times = clips.events, outputs.events, outputs.frames, seconds
            report["detection"] = figures.detection(*times, HOP_SECONDS, len(names))
    return Evaluation(
        ids=clips.ids,
        labels=names,
        truth=truth,
        fired=fired,
        scores=outputs.clip,
        thresholds=bundle.thresholds,
        outputs=outputs,
        truth_events=clips.events,
        clip_seconds=seconds,
        shown=[] if task.is_regression else _shown(bundle, shards_folder, split, truth, outputs),
        report=report,
        task=task,
    )


def _truth(task: Task, weak_labels: np.ndarray) -> np.ndarray:
    return weak_labels if task.is_regression else weak_labels > 0


def _shown(bundle: Bundle, shards_folder, split: str, truth, outputs: Outputs) -> list[ShownClip]:
    """Return the best and the worst clips with what is needed to draw them."""
    chosen = choose_clips(truth, outputs.clip)
    rows = [row for _, row in chosen]
    arrays = read_arrays(shards_folder, split, rows)
    if outputs.frames is None:
        frames = predict_steps(bundle, [arrays], len(rows)).frames
    else:
        frames = [outputs.frames[row] for row in rows]
    return [
        ShownClip(
            row=row,
            place=place,
            id=arrays["ids"][i],
            waveform=arrays["waveform"][i, : round(seconds * SAMPLE_RATE_HZ), 0],
            frame_scores=frames[i],
            true_events=tuple(arrays["events"][i]),
            events=tuple(outputs.events[row]),
        )
        for i, ((place, row), seconds) in enumerate(zip(chosen, clip_seconds(arrays), strict=True))
    ]


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
    """Return figures on `truth` of the constant prediction that is best on the validation split."""
    if "validation" not in index["splits"]:
        return None
    clips = load_split(shards_folder, "validation", inputs=("has_audio",))
    validation = np.stack([weak_labels for _, weak_labels in clips.as_numpy_iterator()])
    return figures.constant(task, _truth(task, validation), truth)
