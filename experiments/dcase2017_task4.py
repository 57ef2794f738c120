"""DCASE 2017 task 4 (smart cars): audio, video and fusion by the authors' recipe.

Paper: Li, Wang, Szurley, Metze and Das, "A Light-Weight Multimodal Framework for Improved
Environmental Audio Tagging", ICASSP 2018, arXiv 1712.09680. The audio recipe is that of Wang, Li
and Metze (arXiv 1810.09050) and the authors' public code: class-balanced batches of 100, Adam at
3e-4, 50 checkpoints of 500 batches, the rate halved after 3 without a better validation loss.
What of video and fusion is ours: docs/models.md.

    mmat fetch dcase2017 --out lists
    python experiments/dcase2017_task4.py --lists lists --media clips      prepare, train, score
    python experiments/dcase2017_task4.py --data SHARDS --lists lists      with clips prepared before
    python experiments/dcase2017_task4.py --lists lists --media clips --audio names     hours, no days

Killed and started again it goes on where it was. Expected duration: docs/cost.md; each training
prints its own, measured, before it starts. The paper says 6 hours on one GPU. Never run on the
whole corpus: its media cannot be had here. It leaves in OUT (runs/dcase2017_task4) a model folder
of each system, `report/` with a page and the official files of each, `report.json`, `tensorboard/`,
and in `training/` the checkpoints.

Expected scores, all theirs, tagging F1 on the 488 test clips in per cent (segment ER; F1 of 1 s):

               max              mean              linear           exp               attention
    CRNN       45.3; 84.7, 35.4 50.0; 105.9, 41.3 49.5; 84.3, 43.7 48.5; 100.6, 42.8 49.2; 102.5, 40.1
    TALNet (trained on AudioSet)
               52.6; 81.5, 42.2 53.8; 101.8, 46.8 52.3; 78.9, 45.4 52.3; 89.2, 46.2 51.4; 92.0, 45.5

The paper's gain of fusion over audio: 5.3 points of F1. Evaluation set, others: challenge baseline
18.2, winner 55.6, best published since 64.6 (arXiv 1912.04761).
"""  # noqa: E501 - the authors' table in one piece

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
import tensorflow as tf

import mmat
from experiments.clips import open_or_prepare
from experiments.figures import figures_table, gain_line
from experiments.from_names import learn_from_names
from experiments.options import (
    FUSIONS,
    MELS,
    NAMES,
    POOLINGS,
    encoder_of,
    queues_of,
    recipe_of,
    text_encoder,
    training_parser,
)
from experiments.report import evaluate_on, gain_of, write_report
from experiments.training import Training, begin
from mmat.cli.common import exit_status
from mmat.files import InputError
from mmat.lists.clip import Clip
from mmat.lists.read import ReadList, named_label_set, read_lists
from mmat.metrics.official import score_events, score_tagging
from mmat.models.audio import talnet
from mmat.models.bundle import Bundle
from mmat.models.label_map import label_similarities
from mmat.shards.corpus import Corpus
from mmat.training.recipe import Recipe

# The authors': class-balanced batches, Adam, the rate halved when validation gets no better.
AUDIO = Recipe(batch_size=100, learning_rate=3e-4, steps_per_checkpoint=500, checkpoints=50)
# Of video and fusion two weights a class are learnt, which takes a few checkpoints (ours).
SMALL_CHECKPOINTS, VIDEO_RATE, FUSION_RATE = 4, 0.05, 0.02

# Of each split: its list, its weak and its strong truth, as `mmat fetch dcase2017` names them.
RELEASE = "groundtruth_release/groundtruth"
FILES = {
    "test": (
        "testing_set.csv",
        "groundtruth_weak_label_testing_set.csv",
        "groundtruth_strong_label_testing_set.csv",
    ),
    "evaluation": (
        f"{RELEASE}_weak_label_evaluation_set.csv",
        f"{RELEASE}_weak_label_evaluation_set.csv",
        f"{RELEASE}_strong_label_evaluation_set.csv",
    ),
}


def main(argv: Sequence[str] | None = None) -> None:
    parser = training_parser(__doc__, "runs/dcase2017_task4", AUDIO, systems="audio,video,fused")
    parser.add_argument("--lists", metavar="DIR", help="the task's lists: to prepare, to score by")
    arguments = parser.parse_args(argv)
    strategy = begin(arguments)
    corpus = open_or_prepare(arguments, lambda: read_task(arguments.lists), "--lists DIR")

    if arguments.audio == NAMES:
        saved = learn_from_names(arguments, corpus)
    else:
        saved = train(arguments, corpus, strategy)
    if saved is None:
        return  # of several machines the first goes on alone

    # Figures, the task's own beside ours.
    measured, out = {}, pathlib.Path(arguments.out)
    for split in (split for split in FILES if corpus.has(split)):
        found = evaluate_on(corpus, saved, split, out)
        scores = {
            name: evaluation.report
            | official(out / "report" / f"{name}-{split}", split, arguments.lists)
            for name, evaluation in found.items()
        }
        gain = gain_of(found, "fused", "audio")
        measured[split] = {"systems": scores, "fused_over_audio": gain}
        show(split, scores, gain)
    write_report(out, arguments, saved, measured)


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


def read_task(folder: str | None) -> ReadList | None:
    """Read the lists of the task; the evaluation set's if it is there."""
    if folder is None:
        return None
    lists = pathlib.Path(folder)
    for name in ("training_set.csv", FILES["test"][0]):
        if not (lists / name).is_file():
            raise InputError(f"{lists / name}: not there; `mmat fetch dcase2017` fetches the lists")
    labels = named_label_set("dcase2017")
    paths = [lists / "training_set.csv", lists / FILES["test"][0]]
    parts = [read_lists(paths, labels, _if_there(lists / FILES["test"][2]))]
    evaluation, _, strong = (_if_there(lists / name) for name in FILES["evaluation"])
    if evaluation:
        parts.append(read_lists([evaluation], labels, strong, split="evaluation"))
    clips: dict[str, Clip] = {}  # by id; of a clip that is in two lists the first counts
    for clip in (clip for part in parts for clip in part.clips):
        clips.setdefault(clip.id, clip)
    dropped = tuple(row for part in parts for row in part.dropped)
    return ReadList([*clips.values()], labels, dropped)


def official(folder: pathlib.Path, split: str, lists: str | None) -> dict:
    """Return subtask A's figure as the challenge counts it and strictly, and subtask B's.

    All in per cent. By the task's own truth where its lists are there; else by the shards', which
    then tells of tags alone.
    """
    written = folder / "official"
    _, weak, strong = (_if_there(pathlib.Path(lists or written, name)) for name in FILES[split])
    truth, tags = weak or written / "tagging_truth.csv", written / "tagging_prediction.csv"
    events = _if_there(written / "events_prediction.csv")
    return {
        "subtask_a": {
            "official": score_tagging(truth, tags),
            "strict": score_tagging(truth, tags, strict=True),
        },
        "subtask_b": score_events(strong, events) if strong and events else None,
    }


def show(split: str, scores: dict[str, dict], gain: dict | None) -> None:
    rows = {}
    for name, of in scores.items():
        when = of["subtask_b"] and of["subtask_b"]["micro"]
        rows[name] = of | {
            "official F1": of["subtask_a"]["official"]["micro"]["f1"] / 100,
            "strict F1": of["subtask_a"]["strict"]["micro"]["f1"] / 100,
            "segment ER": when["error_rate"] / 100 if when else None,
            "segment F1": when["f1"] / 100 if when else None,
        }
    columns = ("official F1", "strict F1", "f1", "mean_average_precision")
    print(f"\n{split}\n{figures_table(rows, (*columns, 'segment ER', 'segment F1'))}")
    if gain:
        print(gain_line(gain))


def _if_there(path: pathlib.Path) -> pathlib.Path | None:
    return path if path.is_file() else None


if __name__ == "__main__":
    sys.exit(exit_status(main))
