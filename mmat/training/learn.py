"""Learn a tagger of prepared clips that starts from the names of its labels.

The clips are read once, as what the branches of `mmat.models.learnt` read of their frozen outputs;
`mmat.training.tiers` finds the weights of each branch, and what two branches count in their sum is
learnt from their logits out of fold, as is the decision threshold. So the scores are calibrated on
clips of sources that the weights which scored them had not learnt from.
"""

import dataclasses
from collections.abc import Callable

import keras
import numpy as np
import scipy.optimize
import scipy.special
import tqdm

from mmat.files import InputError
from mmat.labels import MULTI_LABEL, Task
from mmat.lists.splits import VALIDATION
from mmat.metrics.thresholds import best_single_threshold
from mmat.models.bundle import Bundle
from mmat.models.learnt import NO_EVIDENCE, Learnable, learnt_models, untrained_score
from mmat.models.names import zero_shot_bundle
from mmat.shards.corpus import TRAIN, Corpus
from mmat.shards.frozen import SOURCE_GROUPS
from mmat.training import tiers
from mmat.training.review import gain
from mmat.training.tiers import (
    Choice,
    Embeddings,
    Readings,
    Weights,
    calibration,
    choose_ridges,
    clip_weights,
    fit_weights,
    loss_of,
    matched_bias,
)

CLIPS_AT_ONCE = 64
UNKNOWN_THRESHOLD = 0.5  # where no clip could be held out
SOUND_ALONE = (1.0, 0.0, 0.0)  # a fusion where pictures count only in clips without sound
FUSION_PULL = 3.0  # how strongly the branches' weights are held at 1


@dataclasses.dataclass(frozen=True)
class Frozen:
    """What the branches read of clips, of shards or of a part of them.

    statistics, pooled: by sense, `(clips, classes, 5)` and `(clips, size)`; present: by sense, bool
    `(clips,)`; truth: float32 `(clips, classes)`.
    """

    ids: list[str]
    truth: np.ndarray
    groups: list[tuple[str, ...]]
    present: dict[str, np.ndarray]
    statistics: dict[str, np.ndarray]
    pooled: dict[str, np.ndarray]

    def rows(self, rows: np.ndarray) -> "Frozen":
        """Return some of the clips, in that order."""
        parts = {
            name: {sense: x[rows] for sense, x in getattr(self, name).items()}
            for name in ("present", "statistics", "pooled")
        }
        ids, groups = [self.ids[row] for row in rows], [self.groups[row] for row in rows]
        return Frozen(ids, self.truth[rows], groups, **parts)


@dataclasses.dataclass(frozen=True)
class LearntBranch:
    """A branch that was learnt: its weights, how it was chosen, and its scale of embeddings."""

    weights: Weights
    choice: Choice
    embeddings: Embeddings

    def logits(self, clips: Frozen, sense: str) -> np.ndarray:
        """Return logits `(clips, classes)`; of clips without the sense they mean nothing."""
        scaled = self.embeddings.scaled(clips.pooled[sense])
        return self.weights.logits(clips.statistics[sense], scaled)


@dataclasses.dataclass(frozen=True)
class LearntWeights:
    """What was learnt, before it is put into a model: a branch a sense, and the fusion.

    fusion: the weights of `audio` and `video` and the bias of their sum, None with one branch;
    `SOUND_ALONE` where pictures did not help. pictures: by how much, as `review.gain` says it, the
    sum is above the sound alone out of fold; None where that could not be measured.
    held_out: float64 `(clips, classes)`, logits out of fold, NaN where there are none.
    """

    task: Task
    branches: dict[str, LearntBranch]
    fusion: tuple[float, float, float] | None
    held_out: np.ndarray
    pictures: dict | None = None

    def scores(self, clips: Frozen, senses: tuple[str, ...] = ("audio", "video")) -> np.ndarray:
        """Return scores `(clips, classes)`, 0 without a sense; senses: those that may be used."""
        logits = {
            sense: branch.logits(clips, sense)
            for sense, branch in self.branches.items()
            if sense in senses
        }
        present = {sense: clips.present[sense] for sense in logits}
        found = to_scores(self.task, combined(logits, present, self.fusion))
        return np.where(np.any(list(present.values()), axis=0)[:, None], found, 0.0)


@dataclasses.dataclass(frozen=True)
class Learnt:
    """A tagger that was learnt, and how it did on clips of sources that it had not learnt from.

    bundle: what `mmat.models.bundle.save_bundle` writes. ids, truth `(clips, classes)` bool,
    groups: of the training clips. scores: float32 `(clips, classes)`, out of fold, NaN where a clip
    or a label could not be held out. untrained: what the tagger by names alone gives. chosen: by
    sense the ridges and the losses out of fold that led to them. frozen: of the bundle's weights,
    from the frozen outputs that shards hold to `clip`, `audio` and `video`; None where nothing was
    learnt.
    """

    bundle: Bundle
    ids: list[str]
    truth: np.ndarray
    scores: np.ndarray
    untrained: np.ndarray
    groups: list[tuple[str, ...]]
    chosen: dict
    frozen: keras.Model | None = None


def learn(corpus: Corpus, progress: bool = False) -> Learnt:
    """Learn a tagger of the training clips of prepared shards, starting from names.

    corpus: shards with an audio encoder's outputs or an image network's; where they have no split
    `validation` of their own, open them with `hold_out=False`, so that every training clip is
    learnt from. The threshold is tuned on that split, or else on training clips out of fold.
    Without any training clip it is `zero_shot_bundle`. progress: shows a bar on a terminal. Raises
    InputError for shards without frozen outputs, and for labels with values.
    """
    models = models_of(corpus)
    clips = read_frozen(models, corpus, TRAIN)
    if not clips.ids:
        return _untrained(corpus, clips)
    learnt = learn_weights(clips, corpus.task, progress)
    put_weights(models, learnt)
    found = to_scores(corpus.task, learnt.held_out)
    bundle = Bundle(
        models.tagger,
        corpus.labels,
        _thresholds(models, corpus, learnt, clips.truth > 0, found),
        corpus.index["image_network"] if "video" in models.branches else "",
        corpus.index["n_frames"],
        corpus.clip_seconds,
        _figures(corpus, clips, learnt),
    )
    chosen = {
        sense: dataclasses.asdict(branch.choice.ridges) | {"losses": branch.choice.losses}
        for sense, branch in learnt.branches.items()
    }
    return dataclasses.replace(_report(bundle, clips, found, chosen), frozen=models.frozen)


def models_of(corpus: Corpus, ridges: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> Learnable:
    """Return the untrained models of what a corpus holds; raises InputError as `learn` does.

    ridges: of `fit`, as `learnt_models` takes them.
    """
    encoder, network = corpus.audio_encoder, corpus.network
    if encoder is None and network is None:
        raise InputError(
            f"{corpus.folder}: holds no outputs of a frozen network; add them with `mmat prepare "
            "LIST --media DIR --out SHARDS --audio-encoder yamnet`"
        )
    if network is not None and not corpus.image_embedding_size:
        network = dataclasses.replace(network, embedding_size=0)  # its names alone
    return learnt_models(
        corpus.labels, encoder, network, corpus.ragged, ridges, corpus.clip_seconds
    )


def read_frozen(models: Learnable, corpus: Corpus, split: str) -> Frozen:
    """Read what the branches read of a split's clips; of none where there is no such split.

    Pooled embeddings are kept as float16, as in the shards: 50,000 clips of YAMNet's and an image
    network's take half a gigabyte.
    """
    inputs, flagged = list(models.features.input), [f"has_{sense}" for sense in models.branches]
    n_clips, outputs = corpus.splits.get(split, 0), models.features.output
    truth = np.zeros((n_clips, len(corpus.labels)), np.float32)
    flags = {name: np.zeros(n_clips, bool) for name in flagged}
    read = {
        name: np.zeros((n_clips, *x.shape[1:]), np.float16 if "pooled" in name else np.float32)
        for name, x in outputs.items()
    }
    ids: list[str] = []
    for given, labels in corpus.once(split, [*inputs, "ids"], CLIPS_AT_ONCE) if n_clips else ():
        rows = slice(len(ids), len(ids) + len(labels))
        ids += [each.decode() for each in given["ids"].numpy()]
        found = models.features({name: given[name] for name in inputs}, training=False)
        truth[rows] = labels
        for name, kept in (flags | read).items():
            kept[rows] = given[name] if name in flags else found[name]
    groups = _groups_of(corpus, split, ids) if n_clips else []
    none = np.zeros((n_clips, 0), np.float16)
    senses = list(models.branches)
    return Frozen(
        ids,
        truth,
        groups,
        {sense: flags[f"has_{sense}"] for sense in senses},
        {sense: read[f"{sense}_statistics"] for sense in senses},
        {sense: read.get(f"{sense}_pooled", none) for sense in senses},
    )


def _groups_of(corpus: Corpus, split: str, ids: list[str]) -> list[tuple[str, ...]]:
    stored = corpus.arrays(split, [SOURCE_GROUPS])
    of_clip = dict(zip(stored["ids"], stored[SOURCE_GROUPS], strict=True))
    return [of_clip[clip] for clip in ids]


def learn_weights(clips: Frozen, task: Task, progress: bool = False) -> LearntWeights:
    """Learn the weights of clips, one at least: the branches, then what they count together."""
    branches, held_out = {}, {}
    n_ridges = sum(len(grid) for grid in tiers.GRID.values())
    disable = None if progress else True  # None: shown on a terminal only
    with tqdm.tqdm(desc="learn", total=n_ridges * len(clips.present), disable=disable) as bar:
        for sense, present in clips.present.items():
            rows = np.flatnonzero(present & clips.truth.any(axis=1) if task.is_multi_class
                                  else present)  # fmt: skip
            if len(rows):
                branches[sense] = learn_branch(clips, rows, sense, task, bar.update)
                held_out[sense] = np.full(clips.truth.shape, np.nan)
                held_out[sense][rows] = branches[sense].choice.logits
    fusion, pictures = None, None
    if len(branches) == 2:
        fusion = learn_fusion(clips, branches, held_out, task)
        pictures = gain_by_pictures(clips, held_out, fusion, task)
        if pictures is not None and pictures["estimate"] < 0:
            fusion = SOUND_ALONE
    both = combined(held_out, clips.present, fusion)
    return LearntWeights(task, branches, fusion, both, pictures)


def gain_by_pictures(
    clips: Frozen, held_out: dict[str, np.ndarray], fusion: tuple[float, float, float], task: Task
) -> dict | None:
    """Return by how much both senses are above the sound alone, out of fold, as `review.gain` does.

    A clip without sound is judged by its pictures in both. `untrained` is the sound, `learnt` both.
    """
    alone, both = (
        to_scores(task, combined(held_out, clips.present, weights))
        for weights in (SOUND_ALONE, fusion)
    )
    return gain(clips.truth > 0, alone, both, clips.groups)


def learn_branch(
    clips: Frozen,
    rows: np.ndarray,
    sense: str,
    task: Task,
    progress: Callable[[], object] = lambda: None,
) -> LearntBranch:
    """Learn a branch of those clips that have its sense: ridges, weights, calibration."""
    readings = Readings(
        clips.statistics[sense][rows].astype(np.float64),
        clips.truth[rows].astype(np.float64),
        [clips.groups[row] for row in rows],
    )
    weights = clip_weights(readings.truth, readings.groups)
    pooled = clips.pooled[sense][rows]
    embeddings = Embeddings.of(pooled, weights)
    scaled = embeddings.scaled(pooled)
    del pooled  # the largest of all
    start = unnamed_offsets(readings, weights)
    choice = choose_ridges(readings, scaled, task, start, progress)
    loss = loss_of(task)
    found = fit_weights(readings, scaled, weights, task, choice.ridges, start)
    scale, bias = calibration(choice.logits, readings.truth, weights, loss)
    if not task.is_multi_class:
        own = found.logits(readings.statistics, scaled)
        bias = matched_bias(scale * filled(choice.logits, own), readings.truth)
    choice = dataclasses.replace(choice, logits=scale * choice.logits + bias)
    return LearntBranch(found.calibrated(scale, bias), choice, embeddings)


def filled(held_out: np.ndarray, learnt: np.ndarray) -> np.ndarray:
    """Return logits out of fold, and where there are none those of the weights themselves.

    Where clips are linked by their sources, those that could be held out are a choice of them, in
    which labels are more or less common than in all.
    """
    return np.where(np.isfinite(held_out), held_out, learnt)


def unnamed_offsets(readings: Readings, weights: np.ndarray) -> np.ndarray:
    """Return where the offset of each class starts: `(classes,)`, 0 where a name is known for it.

    A class without a name has the same evidence, none, in every clip. It starts at its rate.
    """
    untrained = readings.statistics[..., 0]
    unnamed = untrained.max(axis=0) < NO_EVIDENCE + 1e-4
    rates = (weights @ readings.truth + 0.5) / (weights.sum() + 1)
    return np.where(unnamed, scipy.special.logit(rates) - NO_EVIDENCE, 0.0)


def learn_fusion(
    clips: Frozen, branches: dict[str, LearntBranch], held_out: dict[str, np.ndarray], task: Task
) -> tuple[float, float, float]:
    """Learn what the branches' logits count in their sum, and its bias, from logits out of fold.

    The weights are held at 1, the plain sum.
    """
    known = np.isfinite(held_out["audio"]) & np.isfinite(held_out["video"])
    counted = known * clip_weights(clips.truth, clips.groups)[:, None]
    heard, seen = (np.where(known, held_out[sense], 0.0) for sense in ("audio", "video"))
    loss = loss_of(task)

    def objective(values: np.ndarray) -> tuple[float, np.ndarray]:
        losses, slopes = loss(values[0] * heard + values[1] * seen + values[2], clips.truth)
        slopes = slopes * counted
        pulled = FUSION_PULL * (values - start) * held
        gradient = np.array([(slopes * heard).sum(), (slopes * seen).sum(), slopes.sum()])
        return (losses * counted).sum() + pulled @ (values - start) / 2, gradient + pulled

    start, held = np.array([1.0, 1.0, 0.0]), np.array([1.0, 1.0, 1e-3])
    bounds = [(0, None), (0, None), (None, None)]
    found = scipy.optimize.minimize(objective, start, jac=True, method="L-BFGS-B", bounds=bounds)
    weights, bias = found.x[:2], 0.0
    both = clips.present["audio"] & clips.present["video"]
    if both.any() and not task.is_multi_class:
        logits = [
            filled(held_out[sense], branch.logits(clips, sense))
            for sense, branch in branches.items()
        ]
        total = weights[0] * logits[0] + weights[1] * logits[1]
        bias = matched_bias(total[both], clips.truth[both])
    return float(weights[0]), float(weights[1]), bias


def combined(
    logits: dict[str, np.ndarray], present: dict[str, np.ndarray], fusion: tuple | None
) -> np.ndarray:
    """Return the logits of clips by what each of them has: the sum's, or exactly one branch's."""
    if len(logits) == 1:
        ((sense, found),) = logits.items()
        return np.where(present[sense][:, None], found, np.nan)
    heard, seen = (present[sense][:, None] for sense in ("audio", "video"))
    both = fusion[0] * logits["audio"] + fusion[1] * logits["video"] + fusion[2]
    alone = np.where(heard, logits["audio"], np.where(seen, logits["video"], np.nan))
    return np.where(heard & seen, both, alone)


def to_scores(task: Task, logits: np.ndarray) -> np.ndarray:
    """Return the scores of logits `(clips, classes)`, NaN where they are NaN."""
    return (
        scipy.special.softmax(logits, axis=1)
        if task.is_multi_class
        else scipy.special.expit(logits)
    )


def untrained_scores(clips: Frozen) -> np.ndarray:
    """Return what names alone give, as if either sense were right by itself: `(clips, classes)`."""
    wrong = np.ones(clips.truth.shape)
    for sense, present in clips.present.items():
        score = untrained_score(clips.statistics[sense][..., 0])
        wrong *= 1 - np.where(present[:, None], score, 0)
    return 1 - wrong


def put_weights(models: Learnable, learnt: LearntWeights) -> None:
    """Put what was learnt into the models, which share their layers."""
    for sense, branch in learnt.branches.items():
        layer, weights = models.branches[sense], branch.weights
        for name in ("scale", "shared", "bias", "offset", "slope"):
            getattr(layer, name).assign(getattr(weights, name))
        if layer.kernel is not None:
            layer.kernel.assign(branch.embeddings.unscaled(weights.kernel))
            layer.center.assign(branch.embeddings.center)
            layer.spread.assign(branch.embeddings.spread)
    if learnt.fusion is not None:
        models.fusion.branch_weights.assign(learnt.fusion[:2])
        models.fusion.bias.assign(learnt.fusion[2])


def _thresholds(models, corpus: Corpus, learnt, truth: np.ndarray, held_out) -> np.ndarray:
    """Return one threshold for all classes, tuned where the weights have not learnt."""
    n_classes = len(corpus.labels)
    if corpus.task != MULTI_LABEL:  # none that decides: below every score
        return np.full(n_classes, corpus.task.low, np.float32)
    if corpus.held_out is None and corpus.has(VALIDATION):
        clips = read_frozen(models, corpus, VALIDATION)
        truth, scores = clips.truth > 0, learnt.scores(clips)
    else:
        known = np.isfinite(held_out).all(axis=1)
        truth, scores = truth[known], held_out[known]
    threshold = UNKNOWN_THRESHOLD
    if truth.any():
        threshold = best_single_threshold(truth, np.float32(scores))
    return np.full(n_classes, threshold, np.float32)


def _figures(corpus: Corpus, clips: Frozen, learnt: LearntWeights) -> dict:
    """Return what the model card says: the clips, and how far each tier was let go."""
    found = {
        "data": f"{len(clips.ids)} clips prepared in {corpus.folder.name}, starting from names"
    }
    for sense, branch in learnt.branches.items():
        ridges = dataclasses.asdict(branch.choice.ridges).items()
        found[f"ridges of {sense}"] = ", ".join(f"{tier} {ridge:g}" for tier, ridge in ridges)
    if learnt.fusion is not None:
        heard, seen, _ = learnt.fusion
        found["weights of the branches"] = f"audio {heard:.3g}, video {seen:.3g}"
    if learnt.pictures is not None:
        found["pictures"] = pictures_line(learnt.pictures)
    return found


def pictures_line(pictures: dict) -> str:
    """Return a gain by pictures in words, and what was made of it.

    >>> pictures_line({"estimate": -0.01, "low": -0.03, "high": 0.02})
    'left out: -1.0 points of average precision over the sound alone, 95 % interval -3.0 to +2.0'
    """
    found, low, high = (f"{100 * pictures[end]:+.1f}" for end in ("estimate", "low", "high"))
    kept = "left out" if pictures["estimate"] < 0 else "used"
    interval = f"95 % interval {low} to {high}"
    return f"{kept}: {found} points of average precision over the sound alone, {interval}"


def _untrained(corpus: Corpus, clips: Frozen) -> Learnt:
    names = {"sound": corpus.audio_encoder} if corpus.audio_encoder else {}
    names |= {"image_network": corpus.network.name} if corpus.network else {}
    bundle = zero_shot_bundle(corpus.labels, **names)
    return _report(bundle, clips, np.zeros_like(clips.truth), {})


def _report(bundle: Bundle, clips: Frozen, scores: np.ndarray, chosen: dict) -> Learnt:
    untrained = untrained_scores(clips).astype(np.float32)
    return Learnt(
        bundle,
        clips.ids,
        clips.truth > 0,
        scores.astype(np.float32),
        untrained,
        clips.groups,
        chosen,
    )
