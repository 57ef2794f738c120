"""From a folder or a list of labelled clips to a model folder, in one call.

The clips are read, prepared into shards in mmat's cache, learnt from, starting at what the names of
the labels give (`mmat.training.learn`), and where there are test clips measured on them. Killed at
any moment, the next run goes on with the clips that were prepared; the model folder appears whole.
"""

import collections
import dataclasses
import hashlib
import json
import math
import os
import pathlib
import warnings
from collections.abc import Iterable, Sequence

import numpy as np
import tabulate
import tqdm

from mmat.evaluation import figures
from mmat.evaluation.evaluate import GROUPS_BETWEEN, Evaluation, clip_seconds, evaluate
from mmat.evaluation.files import write_evaluation
from mmat.evaluation.page import as_table, percent
from mmat.files import InputError, atomic_path, cache_folder
from mmat.labels import FRAME_HZ, LabelSet
from mmat.lists.clip import Clip
from mmat.lists.folders import read_folder
from mmat.lists.pieces import pieces
from mmat.lists.read import read_list
from mmat.lists.splits import VALIDATION
from mmat.media.find import MediaFolder
from mmat.media.folder import MEDIA_SUFFIXES, kinds_line, suffix_kind
from mmat.metrics.bootstrap import RESAMPLES
from mmat.metrics.decisions import decide
from mmat.models.asked import parse_label_set
from mmat.models.bundle import RECORD_FILE, Bundle, save_bundle, tuned_bundle
from mmat.models.learnt import Learnable
from mmat.models.name_maps import THRESHOLD
from mmat.models.names import unmapped_labels
from mmat.models.predict import Predictor
from mmat.pretrained.registry import audio_encoder as encoder_of
from mmat.pretrained.registry import image_network as network_of
from mmat.shards.clip_job import list_sha256
from mmat.shards.corpus import TRAIN, Corpus, open_corpus
from mmat.shards.folder import FAILURES_FILE, WARNINGS_FILE
from mmat.shards.prepare import prepare
from mmat.shards.read import MODEL_INPUTS, read_steps
from mmat.startup import on_terminal
from mmat.training.learn import Learnt, learn, models_of, read_frozen, untrained_scores
from mmat.training.review import (
    FEWEST_GROUPS,
    NOT_HEARD,
    NOT_LABELLED,
    REVIEW_FILE,
    Doubt,
    LabelFigures,
    doubted,
    gain,
    label_figures,
    moment,
    write_review,
)
from mmat.training.scratch import CLIP_SECONDS, train_crnn

TEST = "test"
SPLITS = (TRAIN, VALIDATION, TEST)
REPORT_FILE, REPORT_FOLDER = "report.json", "report"
KEY_DIGITS = 16  # of the sha256 that names a folder of shards
SHOWN_NAMES = 5  # of files, in a warning
CLIPS_A_STEP = 32


@dataclasses.dataclass(frozen=True)
class Trained:
    """A model that was trained on own clips; print it for tables.

    folder: of the model. shards: of the clips that it learnt from. report: what its `report.json`
    holds. labels: figures a label. unmapped: labels that no name of a pretrained network is near
    to. doubts: labels of training clips to check. test_shards, evaluation: of the test clips and
    on them, None without.
    """

    folder: pathlib.Path
    shards: pathlib.Path
    report: dict
    labels: tuple[LabelFigures, ...]
    unmapped: tuple[str, ...] = ()
    doubts: tuple[Doubt, ...] = ()
    test_shards: pathlib.Path | None = None
    evaluation: Evaluation | None = None

    def __str__(self) -> str:
        return as_text(self)


@dataclasses.dataclass(frozen=True)
class Source:
    """Labelled clips and the folder that their files lie in."""

    clips: list[Clip]
    labels: LabelSet
    media: pathlib.Path

    def of(self, splits: Iterable[str]) -> "Source":
        """Return the clips of some splits."""
        wanted = set(splits)
        clips = [clip for clip in self.clips if clip.split in wanted]
        return dataclasses.replace(self, clips=clips)


@dataclasses.dataclass(frozen=True)
class Settings:
    """How clips are prepared; see `train`."""

    image_network: str | None
    audio_encoder: str | None
    clip_seconds: float | None
    workers: int
    cache: pathlib.Path
    progress: bool


def train(
    source: str | os.PathLike,
    out: str | os.PathLike,
    test: str | os.PathLike | None = None,
    media: str | os.PathLike | None = None,
    labels: str | LabelSet | None = None,
    image_network: str | None = "efficientnet_lite0",
    audio_encoder: str = "yamnet",
    workers: int | None = None,
    scratch: bool = False,
    cache: str | os.PathLike | None = None,
    progress: bool = True,
) -> Trained:
    """Train a tagger on clips of your own; its folder is what every command and `mmat.load` take.

    source: a folder with a folder of files for each label (`mmat.lists.folders`), or a list of any
    form that `mmat.read_list` reads; its clips of the split `train` are learnt from, those of
    `validation` tune the threshold, those of `test` are measured. Files longer than 60 s become
    clips of 30 s with the labels of the whole, which are then right only by chance. test: another
    folder or list to measure on. media: where the files of lists lie, default beside the list.
    labels: a label set, or a text as `parse_label_set` reads it; default the source's own.
    image_network, audio_encoder: names of `mmat.pretrained.registry`; without an image network
    pictures are ignored. workers: decoding processes, default one a core. scratch: a convolutional
    network that learns from the clips alone, in place of pretrained ones. cache: where prepared
    clips are kept, default mmat's cache.

    out: appears whole or not at all, and replaces a model that is there. Beside the model it holds
    `report.json`, `review.csv` and `review/` (labels to check, as label tracks of Audacity too) and
    with test clips `report/`. Raises InputError for sources that cannot be read, without a training
    clip or whose labels are values, for an `out` that holds something else, and where pretrained
    weights were not fetched.

    >>> import tempfile, soundfile
    >>> folder, time = pathlib.Path(tempfile.mkdtemp()), np.arange(16000) / 16000
    >>> for i in range(3):
    ...     for label, sound in (
    ...         ("Sine wave", np.sin(2 * np.pi * (300 + 200 * i) * time) / 4),
    ...         ("White noise", np.random.default_rng(i).uniform(-0.2, 0.2, 16000)),
    ...     ):
    ...         (folder / "sounds" / label).mkdir(parents=True, exist_ok=True)
    ...         soundfile.write(folder / "sounds" / label / f"{i}.wav", sound, 16000)
    >>> options = {"image_network": None, "workers": 0, "cache": folder, "progress": False}
    >>> trained = train(folder / "sounds", folder / "model", **options)
    >>> [(label.label, label.clips) for label in trained.labels]
    [('Sine wave', 3), ('White noise', 3)]
    >>> import mmat
    >>> mmat.load(folder / "model").tag(folder / "sounds" / "Sine wave" / "0.wav").tags[0].label
    'Sine wave'
    """
    out, labels = pathlib.Path(out), parse_label_set(labels) if isinstance(labels, str) else labels
    _check_out(out, source, test)
    settings = _settings(image_network, audio_encoder, workers, scratch, cache, progress)
    own = _read(source, media, labels)
    other = None if test is None else _read(test, media, labels or own.labels, TEST)
    learnt_from, tested = _parted(own, other, source, test)
    if settings.audio_encoder:
        encoder_of(settings.audio_encoder).load()  # raises before anything is written
    learnt_from = _cut(learnt_from, settings)
    shards = _prepared(learnt_from, settings)
    _warn(
        pathlib.Path(source),
        "labels are in every training clip, so nothing tells when they are absent; add clips "
        "without them, in a folder such as _noise",
        _always_there(learnt_from),
    )
    test_shards = None
    if tested is not None:  # before the learning, so that what is wrong with them is said soon
        tested = _cut(tested, settings)
        test_shards = _prepared(tested, settings)
    corpus = open_corpus(shards) if scratch else _without_what_none_has(shards)
    learnt = None if scratch else learn(corpus, progress)
    bundle = (
        learnt.bundle if learnt else tuned_bundle(train_crnn(corpus, progress=progress), corpus)
    )
    evaluation = None
    if tested is not None:
        evaluation = _evaluated(bundle, test_shards, tested, progress)
    if evaluation is not None and learnt is not None:
        evaluation = _against_names(evaluation, models_of(corpus), test_shards)
    figures_of_labels = _label_figures(learnt, learnt_from)
    doubts = () if learnt is None else _doubts(learnt, shards, learnt_from)
    trained = Trained(
        out,
        shards,
        _report(learnt, figures_of_labels, doubts, evaluation, bundle),
        figures_of_labels,
        () if learnt is None else unmapped_labels(learnt.bundle),
        doubts,
        test_shards,
        evaluation,
    )
    _write(trained, bundle)
    return trained


def _write(trained: Trained, bundle: Bundle) -> None:
    """Write the model folder, whole or not at all."""
    text = json.dumps(trained.report, indent=1, ensure_ascii=False, allow_nan=False)
    with atomic_path(trained.folder) as part:
        save_bundle(part, bundle)
        if "doubts" in trained.report:
            write_review(part, trained.doubts)
        if trained.evaluation is not None:
            title = f"{trained.folder.name} on test clips"
            write_evaluation(part / REPORT_FOLDER, trained.evaluation, title)
        (part / REPORT_FILE).write_text(text + "\n", encoding="utf-8")


# What is read.


def _check_out(out: pathlib.Path, *sources: str | os.PathLike | None) -> None:
    if out.exists() and not out.is_dir():
        raise InputError(f"{out}: is a file; name a folder for the model")
    if out.is_dir() and any(out.iterdir()) and not (out / RECORD_FILE).is_file():
        raise InputError(f"{out}: holds something other than a model; name a new folder")
    for source in map(pathlib.Path, filter(None, sources)):
        if source.is_dir() and out.resolve().is_relative_to(source.resolve()):
            raise InputError(f"{out}: lies in {source}, the folder of clips; name one elsewhere")


def _read(
    source: str | os.PathLike,
    media: str | os.PathLike | None,
    labels: LabelSet | None,
    split: str | None = None,
) -> Source:
    """Read a folder or a list; split: that of every clip. What is left out is a warning."""
    source = pathlib.Path(source)
    if not source.exists():
        raise InputError(f"{source}: no such folder or list")
    if source.is_dir():
        found = read_folder(source, MEDIA_SUFFIXES, labels, split or TRAIN)
        kinds = kinds_line(collections.Counter(map(suffix_kind, found.left_out)))
        what = f"files are no sound and no video ({kinds}), and are left out"
        _warn(source, what, found.left_out)
        _warn(source, "files hold what another of their label holds; one counts", found.copies)
        media = source
    else:
        found = read_list(source, labels, split=split)
        _warn(source, "rows cannot be used", found.dropped)
        media = source.parent if media is None else pathlib.Path(media)
        others = [clip.id for clip in found.clips if clip.split not in SPLITS]
        _warn(source, f"clips are of none of the splits {', '.join(SPLITS)}", others)
    if found.labels.task.is_regression:
        raise InputError(
            f"{source}: its labels are values, which have no names to start from; use "
            "experiments/train.py"
        )
    return Source(found.clips, found.labels, media)


def _warn(source: pathlib.Path, what: str, names: Sequence[object]) -> None:
    if names:
        shown = ", ".join(map(str, names[:SHOWN_NAMES])) + (", …" if names[SHOWN_NAMES:] else "")
        warnings.warn(f"{source}: {len(names)} {what}: {shown}", stacklevel=3)


def _always_there(source: Source) -> list[str]:
    """Return the labels that every training clip has."""
    clips = [set(clip.labels) for clip in source.clips if clip.split == TRAIN]
    return [name for name in source.labels.names if all(name in labels for labels in clips)]


def _parted(
    own: Source, held_out: Source | None, source: str | os.PathLike, test: str | os.PathLike | None
) -> tuple[Source, Source | None]:
    """Return the clips to learn from and those to measure on, None without; raises InputError."""
    learnt_from, tested = own.of([TRAIN, VALIDATION]), own.of([TEST])
    if not any(clip.split == TRAIN for clip in learnt_from.clips):
        raise InputError(f"{source}: no clip of the split {TRAIN!r} to learn from; give some")
    if held_out is None:
        return learnt_from, tested if tested.clips else None
    if tested.clips:
        raise InputError(f"--test {test}: {source} has test clips too; name them in one place")
    places = {_place(own, clip) for clip in learnt_from.clips}
    shared = [clip.file for clip in held_out.clips if _place(held_out, clip) in places]
    if shared:
        raise InputError(
            f"{test}: {len(shared)} of its clips are learnt from too, first {shared[0]}; measure "
            "on others"
        )
    return learnt_from, dataclasses.replace(held_out, labels=own.labels)


def _place(source: Source, clip: Clip) -> tuple:
    return os.path.realpath(source.media / clip.file), clip.start_seconds, clip.end_seconds


# What is prepared and learnt.


def _settings(image_network, audio_encoder, workers, scratch, cache, progress) -> Settings:
    if scratch:
        image_network, audio_encoder, clip_seconds = None, None, CLIP_SECONDS
    else:
        clip_seconds = None
        if image_network:
            network_of(image_network)  # raises for an unknown name
    if workers is None:
        workers = len(os.sched_getaffinity(0))
    return Settings(
        image_network, audio_encoder, clip_seconds, workers, cache_folder(cache), progress
    )


def _cut(source: Source, settings: Settings) -> Source:
    """Return the clips with long files in pieces."""
    media, clips, longest = MediaFolder(source.media), [], {}
    if settings.clip_seconds is not None:
        piece = settings.clip_seconds
        longest = {"longest": 1.5 * piece, "piece": piece}
    disable = None if settings.progress else True  # None: shown on a terminal only
    for clip in tqdm.tqdm(source.clips, "read", unit=" clips", disable=disable):
        found = media.find(clip)
        seconds = math.nan if found is None else found.duration_seconds()
        clips += pieces(clip, seconds, **longest)
    return dataclasses.replace(source, clips=clips)


def _prepared(source: Source, settings: Settings) -> pathlib.Path:
    """Return the folder of shards of these clips, which are made unless they are there."""
    what = [str(source.media.resolve()), source.labels, list_sha256(source.clips)]
    what += [settings.image_network, settings.audio_encoder, settings.clip_seconds]
    key = hashlib.sha256(repr(what).encode(errors="backslashreplace")).hexdigest()
    shards = settings.cache / "train" / key[:KEY_DIGITS]
    index = prepare(
        source.clips,
        source.media,
        shards,
        source.labels,
        settings.image_network,
        clip_seconds=settings.clip_seconds,
        workers=settings.workers,
        overwrite=True,  # where media have changed
        progress=settings.progress,
        audio_encoder=settings.audio_encoder,
    )
    if index["failures"]:
        where = shards / FAILURES_FILE
        warnings.warn(f"{index['failures']} clips cannot be read, see {where}", stacklevel=3)
    if index.get("warnings"):
        where = shards / WARNINGS_FILE
        warnings.warn(f"{index['warnings']} clips with a warning: {where}", stacklevel=3)
    return shards


def _without_what_none_has(shards: pathlib.Path) -> Corpus:
    """Return the corpus to learn names from: without the image network if no clip has pictures."""
    corpus = open_corpus(shards, hold_out=False)
    if corpus.index["n_image_labels"]:
        return corpus
    return dataclasses.replace(corpus, index=corpus.index | {"image_network": None})


# What is found.


def _evaluated(bundle: Bundle, shards: pathlib.Path, tested: Source, progress: bool) -> Evaluation:
    named = {clip.id: GROUPS_BETWEEN.join(clip.source_groups) for clip in tested.clips}
    return evaluate(bundle, shards, TEST, progress and on_terminal(), named)


def _against_names(found: Evaluation, models: Learnable, shards: pathlib.Path) -> Evaluation:
    """Add to an evaluation what names alone give on its clips, and the paired differences.

    Without a model: of frozen outputs, in which clips of different lengths are not padded.
    """
    clips = read_frozen(models, open_corpus(shards, hold_out=False), TEST)
    rows = {clip: row for row, clip in enumerate(clips.ids)}
    scores = untrained_scores(clips)[[rows[clip] for clip in found.ids]].astype(np.float32)
    untrained = decide(found.task, scores, THRESHOLD), scores
    groups = [clips.groups[rows[clip]] for clip in found.ids]
    pair = untrained, (found.fired, found.scores)
    against = figures.comparison(found.task, found.truth, *pair, groups, RESAMPLES)
    report = found.report | {"against": {"name": "untrained", **against}}
    return dataclasses.replace(found, report=report)


def _label_figures(learnt: Learnt | None, source: Source) -> tuple[LabelFigures, ...]:
    names = source.labels.names
    if learnt is not None:
        return label_figures(names, learnt.truth, learnt.untrained, learnt.scores, learnt.groups)
    having = {name: [clip for clip in source.clips if name in clip.labels] for name in names}
    return tuple(
        LabelFigures(name, len(own), len({group for clip in own for group in clip.source_groups}))
        for name, own in having.items()
    )


def _doubts(learnt: Learnt, shards: pathlib.Path, source: Source) -> tuple[Doubt, ...]:
    """Return the labels of training clips to check, and the seconds of their files to hear."""
    task, bundle = source.labels.task, learnt.bundle
    places = doubted(task, learnt.truth, learnt.scores, bundle.thresholds)
    frames = _frame_scores(bundle, shards, {learnt.ids[row] for row, _ in places})
    clips, media = {clip.id: clip for clip in source.clips}, MediaFolder(source.media)
    doubts = []
    for row, c in places:
        clip = clips[learnt.ids[row]]
        found = media.find(clip)
        begins = (found and found.start_seconds) or 0.0
        start, end = moment(frames[clip.id][:, c])
        doubts.append(
            Doubt(
                file=clip.file,
                label=source.labels.names[c],
                doubt=NOT_HEARD if learnt.truth[row, c] else NOT_LABELLED,
                score=float(learnt.scores[row, c]),
                start_seconds=begins + start,
                end_seconds=begins + end,
                source_group=GROUPS_BETWEEN.join(learnt.groups[row]),
            )
        )
    return tuple(doubts)


def _frame_scores(bundle: Bundle, shards: pathlib.Path, wanted: set[str]) -> dict[str, np.ndarray]:
    """Return the frame scores `(time, classes)` of some training clips, by id."""
    predictor, found = Predictor(bundle.model, bundle.labels.task), {}
    inputs = dict.fromkeys([*MODEL_INPUTS, *predictor.inputs])
    for step in read_steps(shards, TRAIN, CLIPS_A_STEP, inputs) if wanted else ():
        rows = [row for row, clip in enumerate(step["ids"]) if clip in wanted]
        if rows:
            clips = {name: x[rows] for name, x in step.items() if isinstance(x, np.ndarray)}
            frames, seconds = predictor(clips)["frame"], clip_seconds(step)[rows]
            for row, scores, lasts in zip(rows, frames, seconds, strict=True):
                found[step["ids"][row]] = scores[: max(1, round(lasts * FRAME_HZ))]
    return found


def _report(
    learnt: Learnt | None,
    own: tuple[LabelFigures, ...],
    doubts: tuple[Doubt, ...],
    evaluation: Evaluation | None,
    bundle: Bundle,
) -> dict:
    """Return the figures as JSON holds them."""
    report = {
        "labels": {each.label: each._asdict() for each in own},
        "validation": bundle.figures,
        "test": evaluation and evaluation.report,
    }
    if learnt is None:
        return report
    found = learnt.truth, learnt.untrained, learnt.scores, learnt.groups
    return report | {
        "mean_average_precision": gain(*found),
        "threshold": float(bundle.thresholds[0]),
        "chosen": _finite(learnt.chosen),
        "doubts": len(doubts),
    }


def _finite(entry):
    """Return an entry with an infinite ridge as the text that JSON has no number for."""
    if isinstance(entry, dict):
        return {str(name): _finite(value) for name, value in entry.items()}
    return entry if math.isfinite(entry) else str(entry)


def as_text(trained: Trained) -> str:
    """Return what a training found: figures by label, on test clips, and what to do next."""
    parts = [_label_table(trained)]
    few = [each.label for each in trained.labels if each.groups < FEWEST_GROUPS]
    if few:
        parts.append(f"too little to learn from (one source, or none): {'; '.join(few)}")
    if pictures := trained.report["validation"].get("pictures"):
        parts.append(f"pictures are {pictures}")
    if trained.unmapped:
        parts.append(f"no name is near to: {'; '.join(trained.unmapped)}")
    if trained.evaluation is not None:
        parts.append(f"test clips\n{as_table(trained.evaluation)}")
    if trained.doubts:
        path = trained.folder / REVIEW_FILE
        parts.append(f"doubted labels: {len(trained.doubts)}, to listen to again: {path}")
    kept = "\n".join(str(each) for each in (trained.shards, trained.test_shards) if each)
    parts.append(f"prepared clips are kept in\n{kept}")
    parts.append(f"mmat tag FILE --model {trained.folder}")
    return "\n\n".join(parts)


def _label_table(trained: Trained) -> str:
    head = ["label", "clips", "groups"]
    if "chosen" not in trained.report:
        rows = [each[:3] for each in trained.labels]
        return tabulate.tabulate(rows, head, disable_numparse=True)
    rows = [
        [each.label, each.clips, each.groups, percent(each.untrained), percent(each.learnt)]
        + [percent(_above(each.untrained, each.learnt), signed=True), each.trust]
        for each in trained.labels
    ]
    whole = trained.report["mean_average_precision"]
    if whole:
        ends = " to ".join(percent(whole[end], signed=True) for end in ("low", "high"))
        means = [percent(whole[name]) for name in ("untrained", "learnt")]
        gained = percent(whole["estimate"], signed=True)
        rows.append(["mean", "", "", *means, f"{gained} ({ends})", ""])
    head += ["untrained", "learnt", "difference", ""]
    title = "average precision on held-out groups, %"
    return f"{title}\n{tabulate.tabulate(rows, head, disable_numparse=True)}"


def _above(first: float | None, second: float | None) -> float | None:
    return None if first is None or second is None else second - first
