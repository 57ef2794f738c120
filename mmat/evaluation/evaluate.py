"""A trained model against the truth of a split: what it predicts, and the figures of that.

Clips are read and predicted some at a time: kept are the outputs, the truth, and what the figures
need besides.
"""

import dataclasses
import math
import os
import pathlib
import warnings
from collections.abc import Iterable

import keras
import numpy as np
import tqdm

from mmat.evaluation import figures
from mmat.export.load import TFLITE_SUFFIX, facts_of, is_export, load_export
from mmat.files import InputError
from mmat.labels import FRAME_HZ, MULTI_LABEL, LabelSet, Task
from mmat.media.read import SAMPLE_RATE_HZ
from mmat.metrics.bootstrap import RESAMPLES, group_numbers
from mmat.metrics.calibration import cross_entropies
from mmat.metrics.decisions import decide, to_events
from mmat.metrics.events import Event
from mmat.models.bundle import Bundle, load_bundle, tuned_bundle
from mmat.models.predict import SENSES, Predictor
from mmat.shards.corpus import Corpus
from mmat.shards.folder import LABELS_FILE, read_index
from mmat.shards.frozen import ENCODER, SOURCE_GROUPS
from mmat.shards.read import MODEL_INPUTS, load_split, read_arrays, read_steps

CLIPS_A_STEP = 32
HOP_SECONDS = 1 / FRAME_HZ
CLIPS_EACH = 3  # best and worst, which are shown
GROUPS_BETWEEN = ";"  # between the source groups of one clip
# Beyond this many frame scores (400 MB) their tables would be larger than the clips themselves.
MOST_FRAME_SCORES = 100_000_000


@dataclasses.dataclass(frozen=True)
class Outputs:
    """What a model predicts for clips.

    clip: float32 `(clips, classes)`; branches: the same by branch, where the model is fused;
    frames: float32 `(time, classes)` of each clip at 10 Hz, or None if they are too many;
    events: those of each clip (`mmat.metrics.decisions`), none of a regression.
    """

    clip: np.ndarray
    branches: dict[str, np.ndarray]
    frames: list[np.ndarray] | None
    events: list[list[Event]]


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


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """What a model predicts for the clips of a split, and its figures.

    ids: one a clip; truth, fired: bool, scores: float32, all `(clips, classes)`; truth_events: of
    each clip, empty lists without strong labels; clip_seconds: `(clips,)`. shown: the best and
    the worst clips. report: the figures of the task and what else `mmat.evaluation.figures` has,
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
    against: str | os.PathLike | Bundle | keras.Model | None = None,
) -> Evaluation:
    """Predict a split of prepared clips by a model, and measure its decisions and its scores.

        found = mmat.evaluate("dogs", "shards", "test")
        found.report["f1"], found.report["per_class"]["Dog"]

    model: the folder that `mmat.save`, a training script or `mmat export` left, or what
    `bundle_of` takes besides. shards: their folder, or a corpus.
    A clip without what the model needs scores 0, in a regression the middle of the scale. The best
    constant prediction is chosen on the split `validation` if there is one. groups: the source
    group of each clip by its id, or several with a `;` between them, for intervals over groups too
    (`mmat.metrics.bootstrap`); default those that the shards hold. against: another model, whose
    figures on the same clips are reported too, and the paired differences.

    Raises InputError for shards with other labels or another task, without the outputs of the image
    network that a model looks at, or damaged, and for a clip that `groups` lacks. The clips are
    read as the model comes to them: what stays of each are its scores, 4 bytes a class, and frame
    scores, 40 bytes a class and second.
    """
    bundle = bundle_of(model, shards)
    other = None if against is None else bundle_of(against, shards)
    shards_folder = shards.folder if isinstance(shards, Corpus) else shards
    index = read_index(shards_folder)
    for each in (bundle, other) if other else (bundle,):
        _check_fit(each, shards_folder, index)
    clips = ClipLog(groups)
    inputs = _inputs(bundle)
    stored = [SOURCE_GROUPS] if groups is None and index.get(ENCODER) else []
    steps = map(clips.record, read_steps(shards_folder, split, CLIPS_A_STEP, [*inputs, *stored]))
    n_clips = index["splits"][split]["clips"]
    outputs = predict_steps(bundle, steps, n_clips, progress, MOST_FRAME_SCORES)
    task = bundle.labels.task
    truth, fired = _truth(task, clips.weak_labels), decide(task, outputs.clip, bundle.thresholds)
    source_groups = clips.groups
    n_groups = None
    if source_groups is not None:
        n_groups = int(group_numbers(source_groups, len(truth)).max()) + 1
    report = {
        "split": split,
        "task": str(task),
        "clips": len(truth),
        "source_groups": n_groups,
        "resamples": resamples,
        **_report(bundle, truth, fired, outputs, source_groups, resamples),
        "best_constant": _best_constant(shards_folder, index, task, truth),
        "detection": None,
        "against": None,
    }
    if any(clips.events) and not task.is_regression:
        times = clips.events, outputs.events, outputs.frames, clips.seconds
        report["detection"] = figures.detection(*times, HOP_SECONDS, len(bundle.labels))
    if other:
        scores = _clip_scores(other, shards_folder, split, n_clips, progress)
        pair = (decide(task, scores, other.thresholds), scores), (fired, outputs.clip)
        report["against"] = {
            "name": _name(against),
            **figures.comparison(task, truth, *pair, source_groups, resamples),
        }
    return Evaluation(
        ids=clips.ids,
        labels=bundle.labels.names,
        truth=truth,
        fired=fired,
        scores=outputs.clip,
        thresholds=bundle.thresholds,
        outputs=outputs,
        truth_events=clips.events,
        clip_seconds=clips.seconds,
        shown=[] if task.is_regression else _shown(bundle, shards_folder, split, truth, outputs),
        report=report,
        task=task,
    )


def _report(bundle: Bundle, truth, fired, outputs: Outputs, groups, resamples: int) -> dict:
    """Return the figures of clip scores, of the branches and of single classes."""
    task, scores = bundle.labels.task, outputs.clip
    found = {
        **figures.whole(task, truth, fired, scores, groups, resamples),
        "branches": {
            name: figures.branch(truth, alone, scores, groups, resamples, task)
            for name, alone in outputs.branches.items()
        },
    }
    if task.is_regression:
        return found
    thresholds, names = bundle.thresholds, bundle.labels.names
    return found | {
        "calibration": figures.calibration(task, truth, scores, groups, resamples),
        "per_class": figures.classes(truth, fired, scores, thresholds, names),
    }


def bundle_of(
    model: str | os.PathLike | Bundle | keras.Model, shards: str | os.PathLike | Corpus
) -> Bundle:
    """Return a model as a bundle that can be measured on prepared clips.

    model: the folder of a trained or an exported model, a LiteRT file, a bundle, or a Keras model,
    whose thresholds are then tuned on the validation clips of the corpus as `mmat.save` does. Of
    exports only those that hear alone can be measured, since shards hold no pictures, and both
    exports and files on clips of one length. Raises InputError for others, for a folder without a
    model, and as `mmat.save` does.
    """
    if isinstance(model, Bundle):
        return model
    if isinstance(model, str | os.PathLike):
        folder = pathlib.Path(model)
        if folder.suffix == TFLITE_SUFFIX and folder.is_file():
            from mmat.evaluation.lite import bundle_of_file

            return bundle_of_file(folder, _index(shards)["clip_seconds"])
        return _bundle_of_export(folder, shards) if is_export(folder) else load_bundle(folder)
    if not isinstance(shards, Corpus):
        raise InputError(
            "a model has no thresholds by itself; give the corpus that `mmat.open_corpus` opens, "
            "or a folder that `mmat.save` wrote"
        )
    return tuned_bundle(model, shards)


def _bundle_of_export(folder: pathlib.Path, shards: str | os.PathLike | Corpus) -> Bundle:
    signatures = load_export(folder).signatures
    if set(signatures["serving_default"].structured_input_signature[1]) != {"waveform"}:
        raise InputError(
            f"{folder}: an export that looks at pictures, which shards do not hold; name the "
            "folder of the trained model that it came from"
        )
    if _index(shards)["clip_seconds"] is None:
        raise InputError(
            f"{folder}: an export takes clips of one length at a time; name the folder of the "
            "trained model that it came from"
        )
    waveform = keras.Input((None, 1), name="waveform")
    outputs = keras.layers.TFSMLayer(str(folder), call_endpoint="serving_default")(waveform)
    outputs = {name: outputs[name] for name in ("clip", "frame")}
    facts = facts_of(signatures)
    return Bundle(
        keras.Model({"waveform": waveform}, outputs),
        facts.labels,
        facts.thresholds,
        clip_seconds=facts.clip_seconds,
    )


def _index(shards: str | os.PathLike | Corpus) -> dict:
    return shards.index if isinstance(shards, Corpus) else read_index(shards)


def predict_steps(
    bundle: Bundle,
    steps: Iterable[dict],
    n_clips: int,
    progress: bool = False,
    most_frame_scores: float = math.inf,
) -> Outputs:
    """Predict clips, which come some at a time.

    most_frame_scores: if there would be more, none are kept, with a warning.
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
    by_branch = {name: np.concatenate(branches[name]) for name in SENSES if name in branches}
    return Outputs(np.concatenate(clip), by_branch, frames, events)


def _clip_scores(bundle: Bundle, shards_folder, split: str, n_clips: int, progress) -> np.ndarray:
    """Return the clip scores of a model alone, float32 `(clips, classes)`."""
    predictor = Predictor(bundle.model, bundle.labels.task)
    n_steps = math.ceil(n_clips / CLIPS_A_STEP)
    steps = read_steps(shards_folder, split, CLIPS_A_STEP, _inputs(bundle))
    shown = tqdm.tqdm(steps, "against", n_steps, unit=" steps", disable=not progress)
    return np.concatenate([predictor(step)["clip"] for step in shown])


def _inputs(bundle: Bundle) -> list[str]:
    """Return what is read of clips: what the figures need, and what the model takes besides."""
    return list(dict.fromkeys([*MODEL_INPUTS, *bundle.model.input]))


class ClipLog:
    """Keeps what the figures need of the clips themselves, on their way to the model.

    groups: as `evaluate` takes them; without, the source groups that come with the clips count.
    """

    def __init__(self, groups: dict[str, str] | None):
        self.ids, self.events = [], []
        self._groups: list[tuple[str, ...]] = []
        self._group_of, self._weak_labels, self._seconds = groups, [], []

    def record(self, step: dict) -> dict:
        """Keep what is needed of a step, and pass it on."""
        self.ids += step["ids"]
        self.events += step["events"]
        self._weak_labels.append(step["weak_labels"])
        self._seconds.append(clip_seconds(step))
        if self._group_of is None:
            self._groups += step.get(SOURCE_GROUPS, ())
            return step
        for clip in step["ids"]:
            if clip not in self._group_of:
                raise InputError(f"source groups: the list has no row for the clip {clip!r}")
            names = self._group_of[clip].split(GROUPS_BETWEEN)
            self._groups.append(tuple(name.strip() for name in names))
        return step

    @property
    def groups(self) -> list[tuple[str, ...]] | None:
        """The names of each clip's source groups; None where they are not known of any."""
        known = self._group_of is not None or any(self._groups)
        return self._groups if known else None

    @property
    def weak_labels(self) -> np.ndarray:
        return np.concatenate(self._weak_labels)

    @property
    def seconds(self) -> np.ndarray:
        return np.concatenate(self._seconds)


def clip_seconds(arrays: dict) -> np.ndarray:
    """Return how long each clip is; the padding at its end is no part of it where that is known."""
    n_samples = np.full(len(arrays["ids"]), arrays["waveform"].shape[1])
    known = arrays["n_samples"]
    # A clip without sound has pictures for as long as the others.
    return np.where(known > 0, known, n_samples) / SAMPLE_RATE_HZ


def choose_clips(truth, scores, n_each: int = CLIPS_EACH) -> list[tuple[str, int]]:
    """Return ("best" or "worst", row) of the clips with the least and the most cross-entropy.

    The best are chosen among clips that have a label: it is easy to predict nothing of silence.
    """
    losses = clip_losses(truth, scores)
    order = np.argsort(losses, kind="stable")
    best = [int(i) for i in order if truth[i].any()][:n_each]
    worst = [int(i) for i in order[::-1] if int(i) not in best][:n_each]
    return [*(("best", i) for i in best), *(("worst", i) for i in worst)]


def clip_losses(truth, scores) -> np.ndarray:
    """Return the mean cross-entropy of each clip's scores in nats: float64 `(clips,)`.

    >>> clip_losses(np.array([[True, False]]), np.array([[0.5, 0.5]])).round(3).tolist()
    [0.693]
    """
    return cross_entropies(truth, scores).mean(axis=1)


def _name(model: str | os.PathLike | Bundle | keras.Model) -> str:
    """Return what a model is called: its folder, else what Keras calls it."""
    if isinstance(model, str | os.PathLike):
        return os.path.basename(os.path.abspath(model))
    return (model.model if isinstance(model, Bundle) else model).name


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
    n_frames = bundle.model.input["image_probabilities"].shape[1]
    if n_frames not in (None, index["n_frames"]):
        raise InputError(
            f"{shards_folder}: holds {index['n_frames']} pictures a clip, the model takes "
            f"{n_frames}; prepare the clips with --frames {n_frames}"
        )


def _truth(task: Task, weak_labels: np.ndarray) -> np.ndarray:
    return weak_labels if task.is_regression else weak_labels > 0


def _best_constant(shards_folder, index: dict, task: Task, truth: np.ndarray) -> dict | None:
    """Return figures on `truth` of the constant prediction that is best on the validation split."""
    if "validation" not in index["splits"]:
        return None
    clips = load_split(shards_folder, "validation", inputs=("has_audio",))
    validation = np.stack([weak_labels for _, weak_labels in clips.as_numpy_iterator()])
    return figures.constant(task, _truth(task, validation), truth)


def _shown(bundle: Bundle, shards_folder, split: str, truth, outputs: Outputs) -> list[ShownClip]:
    """Return the best and the worst clips with what is needed to draw them."""
    chosen = choose_clips(truth, outputs.clip)
    rows = [row for _, row in chosen]
    arrays = read_arrays(shards_folder, split, rows, _inputs(bundle))
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
