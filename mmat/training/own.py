"""From a folder or a list of labelled clips to a model folder, in one call.

The clips are read, prepared into shards in mmat's cache, learnt from, starting at what the names of
the labels give (`mmat.training.learn`), and where there are test clips measured on them. Killed at
any moment, the next run goes on with the clips that were prepared; the model folder appears whole.
"""

import json
import os
import pathlib

from mmat.evaluation.files import write_evaluation
from mmat.files import InputError, atomic_path
from mmat.labels import LabelSet
from mmat.models.asked import parse_label_set
from mmat.models.bundle import RECORD_FILE, Bundle, save_bundle, tuned_bundle
from mmat.models.names import unmapped_labels
from mmat.pretrained.registry import audio_encoder as encoder_of
from mmat.shards.corpus import open_corpus
from mmat.training.doubts import find_doubts
from mmat.training.learn import learn, models_of
from mmat.training.own_clips import TEST, parted, read_source, warn_of_labels_always_there
from mmat.training.own_evaluation import against_names, evaluated
from mmat.training.own_report import Trained, figures_of_labels, report_of
from mmat.training.own_shards import Settings, corpus_of_names, in_pieces, prepared
from mmat.training.review import write_review
from mmat.training.scratch import train_crnn

REPORT_FILE, REPORT_FOLDER = "report.json", "report"


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

    >>> import tempfile, numpy as np, soundfile
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
    settings = Settings.of(image_network, audio_encoder, workers, scratch, cache, progress)
    own = read_source(source, media, labels)
    other = None if test is None else read_source(test, media, labels or own.labels, TEST)
    learnt_from, tested = parted(own, other, source, test)
    if settings.audio_encoder:
        encoder_of(settings.audio_encoder).load()  # raises before anything is written

    learnt_from = in_pieces(learnt_from, settings)
    shards = prepared(learnt_from, settings)
    warn_of_labels_always_there(source, learnt_from)
    test_shards = None
    if tested is not None:  # before the learning, so that what is wrong with them is said soon
        tested = in_pieces(tested, settings)
        test_shards = prepared(tested, settings)

    if scratch:
        corpus, learnt = open_corpus(shards), None
        bundle = tuned_bundle(train_crnn(corpus, progress=progress), corpus)
    else:
        corpus = corpus_of_names(shards)
        learnt = learn(corpus, progress)
        bundle = learnt.bundle

    evaluation = None
    if tested is not None:
        evaluation = evaluated(bundle, test_shards, tested, progress)
        if learnt is not None:
            evaluation = against_names(evaluation, models_of(corpus), test_shards)
    labels_found = figures_of_labels(learnt, learnt_from)
    doubts = () if learnt is None else find_doubts(learnt, shards, learnt_from)
    trained = Trained(
        folder=out,
        shards=shards,
        report=report_of(learnt, labels_found, doubts, evaluation, bundle),
        labels=labels_found,
        unmapped=() if learnt is None else unmapped_labels(bundle),
        doubts=doubts,
        test_shards=test_shards,
        evaluation=evaluation,
    )
    _write(trained, bundle)
    return trained


def _check_out(out: pathlib.Path, *sources: str | os.PathLike | None) -> None:
    if out.exists() and not out.is_dir():
        raise InputError(f"{out}: is a file; name a folder for the model")
    if out.is_dir() and any(out.iterdir()) and not (out / RECORD_FILE).is_file():
        raise InputError(f"{out}: holds something other than a model; name a new folder")
    for source in map(pathlib.Path, filter(None, sources)):
        if source.is_dir() and out.resolve().is_relative_to(source.resolve()):
            raise InputError(f"{out}: lies in {source}, the folder of clips; name one elsewhere")


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
