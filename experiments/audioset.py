"""AudioSet, 527 classes: TALNet by default, mean average precision, AUC and d'.

Paper: Wang, Li and Metze, "A Comparison of Five Multiple Instance Learning Pooling Functions for
Sound Event Detection with Weak Labeling", ICASSP 2019, arXiv 1810.09050, whose larger net this is:
9,980,527 trainable parameters. Recipe as in dcase2017_task4.py.

    mmat fetch audioset --trust-server --out lists
    python experiments/audioset.py --lists lists --media clips         the balanced list
    python experiments/audioset.py --lists lists --media clips --unbalanced --net crnn

Killed and started again it goes on where it was. Expected duration: each training prints its own,
measured, before it starts. Never run on the whole corpus: its media cannot be had here. Expected
score: the authors give none of AudioSet itself that we hold; of their TALNet on DCASE 2017 see
dcase2017_task4.py. It leaves in OUT (runs/audioset) a model folder of each system, `report/` with a
page of each, `report.json`, `tensorboard/`, and in `training/` the checkpoints.

Test clips are the list eval_segments.csv. Ranking figures need no thresholds; micro F1 stands
beside them. `--systems audio,video,fused` looks at the pictures too.
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

import mmat
from experiments.clips import open_or_prepare
from experiments.figures import figures_table
from experiments.options import (
    FUSIONS,
    MELS,
    POOLINGS,
    encoder_of,
    queues_of,
    recipe_of,
    text_encoder,
    training_parser,
)
from experiments.report import evaluate_on, write_report
from experiments.training import Training, begin
from mmat.cli.common import exit_status
from mmat.files import InputError
from mmat.lists.read import ReadList, named_label_set, read_lists
from mmat.models.audio import talnet
from mmat.models.label_map import label_similarities
from mmat.shards.corpus import Corpus
from mmat.training.recipe import Recipe

# The authors': class-balanced batches, Adam, the rate halved when validation gets no better.
AUDIO = Recipe(batch_size=100, learning_rate=3e-4, steps_per_checkpoint=500, checkpoints=50)
# Of video and fusion two weights a class are learnt, which takes a few checkpoints (ours).
SMALL_CHECKPOINTS, VIDEO_RATE, FUSION_RATE = 4, 0.05, 0.02

LABELS, BALANCED, TEST = (
    "class_labels_indices.csv",
    "balanced_train_segments.csv",
    "eval_segments.csv",
)
UNBALANCED = "unbalanced_train_segments.csv"
FIGURES = ("mean_average_precision", "mean_roc_auc", "f1")


def main(argv: Sequence[str] | None = None) -> None:
    parser = training_parser(__doc__, "runs/audioset", AUDIO, net="talnet", systems="audio")
    parser.add_argument("--lists", metavar="DIR", help="the corpus's lists, to prepare")
    parser.add_argument("--unbalanced", action="store_true", help="its two million clips too")
    arguments = parser.parse_args(argv)
    strategy = begin(arguments)
    corpus = open_or_prepare(
        arguments, lambda: read_audioset(arguments.lists, arguments.unbalanced), "--lists DIR"
    )

    # Training. The fusion learns from validation clips: the audio branch knows those of training
    # by heart, and would be trusted too far.
    recipe = recipe_of(arguments)
    small = dataclasses.replace(recipe, checkpoints=min(recipe.checkpoints, SMALL_CHECKPOINTS))
    training = Training(arguments, corpus, strategy, monitor="val_map")
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
    if not training.is_chief:
        return  # of several machines the first goes on alone

    # Figures.
    measured = {}
    if corpus.has("test"):
        found = evaluate_on(corpus, training.saved, "test", training.out)
        measured["test"] = {name: evaluation.report for name, evaluation in found.items()}
        print(f"\n{figures_table(measured['test'], FIGURES)}")
        for name, of in measured["test"].items():
            print(f"{name}: d' {of['d_prime']}")
    write_report(training.out, arguments, training.saved, measured)


def audio(arguments: argparse.Namespace, corpus: Corpus, dtype: str = "float32") -> keras.Model:
    """The authors' TALNet, their CRNN, or a recurrent layer on a frozen encoder."""
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


def read_audioset(folder: str | None, unbalanced: bool) -> ReadList | None:
    """Read the corpus's lists and its label set, all from one folder."""
    if folder is None:
        return None
    lists = pathlib.Path(folder)
    names = (BALANCED, *((UNBALANCED,) if unbalanced else ()), TEST)
    for name in (LABELS, *names):
        if not (lists / name).is_file():
            raise InputError(f"{lists / name}: not there; `mmat fetch audioset` fetches the lists")
    return read_lists([lists / name for name in names], named_label_set(lists / LABELS))


if __name__ == "__main__":
    sys.exit(exit_status(main))
