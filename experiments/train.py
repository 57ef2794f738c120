"""Train on clips of your own: audio, video and fusion, thresholds, figures, models to use.

    mmat prepare list.csv --media clips --out shards
    python experiments/train.py --data shards                     with clips prepared before
    python experiments/train.py --list list.csv --media clips     prepares them first
    python experiments/train.py --list list.csv --media clips --audio names    `fit`, from names on
    mmat export runs/train/fused --out export                     what comes of it, to tag with

Paper: Li, Wang, Szurley, Metze and Das, arXiv 1712.09680, whose recipe this is from 10,000 training
clips on; fewer get a shorter one of ours (docs/training.md), and which is said first. Expected
duration: each training prints its own, measured, before it starts; killed and started again it goes
on where it was. Expected score: it depends on your clips; docs/results.md has those of the mini
corpus.

The list is a CSV of `file,labels[,split,source_group,…]` (docs/data.md). Whether a clip has several
labels, one of them or values, the column `task` of --labels says. Where none of its clips is of the
split `validation`, a tenth of the training clips is held out, whole source groups of a list, whole
videos or single clips of shards. Shards may hold clips with lengths of their own (`mmat prepare
--clip-seconds whole`). Figures are those of the split `test`, if there is one.

It leaves in OUT (runs/train) a model folder of each system, in `auto` the better of audio and fused
by validation, `report/` with a page of each, `report.json`, `tensorboard/`, and in `training/` the
checkpoints. The table has the tagger that is not trained as a row.
"""

import argparse
import dataclasses
import os
import pathlib
import sys
from collections.abc import Sequence

from mmat.startup import ENVIRONMENT

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))  # where `experiments` is found
os.environ.update(ENVIRONMENT | os.environ)

import keras
import numpy as np
import tensorflow as tf

import mmat
from experiments.clips import open_or_prepare
from experiments.figures import figures_table, gain_line
from experiments.from_names import untrained_tagger
from experiments.options import (
    FUSIONS,
    MELS,
    NAMES,
    POOLINGS,
    encoder_of,
    queues_of,
    recipe_of,
    settle_recipe,
    text_encoder,
    training_parser,
)
from experiments.report import evaluate_on, gain_of, keep_better, say_if_lost, write_report
from experiments.training import Training, begin
from mmat.cli.common import add_labels, exit_status, label_set
from mmat.files import InputError
from mmat.labels import LabelSet
from mmat.lists.read import ReadList, read_list
from mmat.metrics.tagging import figure_names
from mmat.models.audio import talnet
from mmat.models.bundle import Bundle
from mmat.models.label_map import label_similarities
from mmat.shards.corpus import Corpus
from mmat.training.learn import models_of, read_frozen
from mmat.training.tiers import DEFAULT_RIDGES, Embeddings

# Of video and fusion two weights a class are learnt, which takes a few checkpoints (ours).
SMALL_CHECKPOINTS, VIDEO_RATE, FUSION_RATE = 4, 0.05, 0.02
FIT_EPOCHS = 30  # from names on


def main(argv: Sequence[str] | None = None) -> None:
    parser = training_parser(__doc__, "runs/train", recipe=None)
    parser.add_argument("--list", metavar="CSV", help="your clips, to prepare (default: none)")
    add_labels(parser, "of the list, or what the shards must have (default: the list's own)")
    arguments = parser.parse_args(argv)
    strategy = begin(arguments)

    # Clips.
    if arguments.data and arguments.list:
        raise InputError("--data and --list: clips are prepared already, or they are not")
    labels = label_set(arguments)

    def read() -> ReadList | None:
        return arguments.list and read_list(arguments.list, labels)

    corpus = open_or_prepare(arguments, read, "--list CSV")
    check_labels(arguments.labels, labels, corpus)

    out = pathlib.Path(arguments.out)
    if arguments.audio == NAMES:
        saved = {"names": fit_from_names(corpus, out / "names")}
    else:
        settle_recipe(arguments, corpus.splits["train"])
        saved = train(arguments, corpus, strategy)
    if saved is None:
        return  # of several machines the first goes on alone

    # Figures.
    measured = {}
    if kept := keep_better(corpus, saved, out):
        measured["validation_choice"] = kept
    if corpus.has("test"):
        untrained = untrained_tagger(corpus, with_pictures=set(saved) != {"audio"})
        systems = ({"untrained": untrained} if untrained else {}) | saved
        found = evaluate_on(corpus, systems, "test", out)
        scores = {name: evaluation.report for name, evaluation in found.items()}
        gain = gain_of(found, "fused", "audio")
        measured["test"] = {"systems": scores, "fused_over_audio": gain}
        names = figure_names(corpus.task)
        print(f"\n{figures_table(scores, names)}")
        if gain:
            print(gain_line(gain, names[0]))
        if untrained:
            say_if_lost(found, corpus)
    else:
        print("no split 'test': the models are saved, and were measured on validation alone")
    write_report(out, arguments, saved, measured)


def fit_from_names(corpus: Corpus, folder: pathlib.Path) -> Bundle:
    """Fit a tagger that starts from the names of its labels, on the frozen outputs in the shards.

    What `mmat train` does, with `fit` in place of its solver, and with ridges as they come, where
    `mmat.training.learn` chooses them by cross-validation and calibrates the scores.
    """
    n_terms = corpus.splits["train"] * len(corpus.labels)  # over which Keras takes the mean
    models = models_of(corpus, tuple(x / n_terms for x in dataclasses.astuple(DEFAULT_RIDGES)))
    clips = read_frozen(models, corpus, "train")
    for sense, branch in models.branches.items():
        if branch.kernel is not None:
            embeddings = Embeddings.of(clips.pooled[sense], np.ones(len(clips.ids)))
            branch.center.assign(embeddings.center)
            branch.spread.assign(embeddings.spread)
    rate = keras.optimizers.schedules.CosineDecay(0.01, FIT_EPOCHS * -(-len(clips.ids) // 32))
    models.frozen.compile(keras.optimizers.Adam(rate), corpus.loss)
    batches = corpus.batches("train", 32, models.frozen.input).cache()
    models.frozen.fit(batches, epochs=FIT_EPOCHS, verbose=2)
    return mmat.save(models.tagger, folder, corpus)  # it shares the layers that were fitted


def train(
    arguments: argparse.Namespace, corpus: Corpus, strategy: tf.distribute.Strategy | None
) -> dict[str, Bundle] | None:
    """Train by the authors' recipe, and save the systems; None on all machines but the first.

    The fusion learns from validation clips: the audio branch knows those of training by heart, and
    would be trusted too far.
    """
    recipe = recipe_of(arguments)
    small = dataclasses.replace(recipe, checkpoints=min(recipe.checkpoints, SMALL_CHECKPOINTS))
    training = Training(arguments, corpus, strategy)
    if "audio" in training.needed:
        training.fit("audio", lambda dtype: audio(arguments, corpus, dtype), "train", recipe)
    if "video" in training.needed:
        video_recipe = dataclasses.replace(small, learning_rate=VIDEO_RATE)
        training.fit("video", lambda _: video(arguments, corpus), "train", video_recipe)
    if "fused" in training.needed:
        fused_recipe = dataclasses.replace(small, learning_rate=FUSION_RATE)
        branches = training.models["audio"], training.models["video"]
        training.fit(
            "fused", lambda _: fused(arguments, corpus, *branches), "validation", fused_recipe
        )
    return training.saved if training.is_chief else None


def audio(arguments: argparse.Namespace, corpus: Corpus, dtype: str = "float32") -> keras.Model:
    """The authors' CRNN, their TALNet, or a recurrent layer on a frozen encoder."""
    options = {"pooling": POOLINGS[arguments.pooling], "ragged": corpus.ragged}
    if arguments.net == "talnet":
        return talnet(corpus.labels, dtype=dtype, **options)
    encoder, mel = encoder_of(arguments), MELS[arguments.mel]
    return mmat.audio_branch(corpus.labels, encoder=encoder, dtype=dtype, **mel, **options)


def video(arguments: argparse.Namespace, corpus: Corpus) -> keras.Model:
    """What the image network saw, by the names of its labels, with a slope and offset a class."""
    encoder = text_encoder(arguments.text_encoder, corpus.network.name)
    similarities = label_similarities(corpus.network.labels(), corpus.labels, encoder)
    return mmat.video_branch(
        corpus.labels, similarities=similarities, clip_seconds=corpus.clip_seconds
    )


def fused(
    arguments: argparse.Namespace,
    corpus: Corpus,
    trained_audio: keras.Model,
    trained_video: keras.Model,
) -> keras.Model:
    """The fusion of both branches, built anew on the devices in use, with the weights they have."""
    branches = audio(arguments, corpus), video(arguments, corpus)
    for branch, trained in zip(branches, (trained_audio, trained_video), strict=True):
        branch.set_weights(trained.get_weights())
    fusion = FUSIONS[arguments.fusion]
    rates = corpus.label_rates(balanced=True, queues=queues_of(arguments))
    return mmat.fused_model(*branches, fusion, rates)


def check_labels(path: str | None, labels: LabelSet | None, corpus: Corpus) -> None:
    """Raise InputError where the shards have other labels, another order of them, or task."""
    if labels is None or (labels.names, labels.task) == (corpus.labels.names, corpus.task):
        return
    for i, pair in enumerate(zip(labels.names, corpus.labels.names, strict=False)):
        if pair[0] != pair[1]:
            where = f"number {i} is {pair[0]!r}, there {pair[1]!r}"
            break
    else:
        both = [f"{len(x)} labels, {x.task}" for x in (labels, corpus.labels)]
        where = f"{both[0]}, there {both[1]}"
    raise InputError(
        f"{path}: not the labels of {corpus.folder} ({where}); prepare the clips with --labels "
        f"{path}, or name {corpus.folder}/labels.csv"
    )


if __name__ == "__main__":
    sys.exit(exit_status(main))
