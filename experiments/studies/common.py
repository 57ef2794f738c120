"""What the studies share: their command line, the trainings they compare, what they measure.

A run is an audio branch of the mini corpus under one pooling, schedule, precision, seed and
encoder: the CRNN from scratch, or a head on frozen YAMNet. Each is trained once and kept in
runs/studies/ by its name: `NAME.keras` is the branch, `NAME.npz` its clip and frame scores of
validation and test and the seconds of training.
"""

import argparse
import dataclasses
import json
import os
import pathlib
import statistics
import time
from collections.abc import Callable, Iterable, Mapping, Sequence

from mmat.startup import ENVIRONMENT

os.environ.update(ENVIRONMENT | os.environ)

import keras
import numpy as np
import tabulate

from experiments.figures import mean_and_spread, mean_cell, mean_gains
from experiments.heads import HEAD_RECIPE, HeadTrainer, embedded
from experiments.mini import read_data, train_audio
from experiments.options import POOLINGS
from mmat.corpora.mini import mini_groups, mini_labels
from mmat.files import atomic_path
from mmat.metrics.bootstrap import Difference
from mmat.metrics.events import frames_to_events, segment_f1
from mmat.metrics.psds import psds, segment_curves
from mmat.metrics.tagging import mean_average_precision, precision_recall_f1
from mmat.metrics.thresholds import best_single_threshold, fire
from mmat.models.predict import Predictor
from mmat.pretrained.registry import yamnet
from mmat.training.precision import fastest_dtype

FOLDER = pathlib.Path("runs/studies")
SPLITS = ("train", "validation", "test")
PRECISIONS = ("float32", "mixed_bfloat16")
ENCODERS = ("crnn", "yamnet")
SEEDS = 5
SHORT_EPOCHS, FULL_EPOCHS = 12, 24  # of the CRNN
CLIP_SECONDS = 10.0


def parse_arguments(
    study: str, seeds: int, encoder: bool = False, **flags: str
) -> argparse.Namespace:
    """Read `--precision`, `--seeds` and, where a study has it, `--encoder`.

    study: its docstring. flags: further switches of the study's own, name to help. The default
    precision is the one in which this machine trains fastest; it is measured once, and printed.
    """
    parser = argparse.ArgumentParser(description=study.splitlines()[0])
    parser.add_argument("--precision", choices=PRECISIONS, help="default: the fastest here")
    parser.add_argument(
        "--seeds", type=int, default=seeds, help=f"trainings each (default {seeds})"
    )
    if encoder:
        parser.add_argument(
            "--encoder", choices=ENCODERS, default=ENCODERS[0], help="what is heard"
        )
    for name, help_text in flags.items():
        parser.add_argument(f"--{name}", action="store_true", help=help_text)
    arguments = parser.parse_args()
    arguments.precision = arguments.precision or fastest_dtype()
    print(f"precision: {arguments.precision}", flush=True)
    return arguments


def write_json(name: str, found: dict) -> None:
    """Write what a study found as `name` in its folder, whole or not at all."""
    with atomic_path(FOLDER / name) as part:
        part.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


@dataclasses.dataclass(frozen=True)
class Run:
    """One training: everything that tells it from another."""

    pooling: str
    epochs: int
    dtype: str
    seed: int
    encoder: str = "crnn"

    @property
    def name(self) -> str:
        encoder = "" if self.encoder == "crnn" else f"{self.encoder}-"
        return f"{encoder}{self.pooling}-{self.epochs}-{self.dtype}-seed{self.seed}"

    @property
    def is_kept(self) -> bool:
        """Whether it was trained to its end."""
        return (FOLDER / f"{self.name}.npz").exists()

    def scores(self) -> dict[str, np.ndarray]:
        """What the run left: `validation_clip`, `validation_frame`, `test_clip`, `test_frame`."""
        with np.load(FOLDER / f"{self.name}.npz", allow_pickle=False) as kept:
            return dict(kept)


def schedules(dtype: str, seeds: int = SEEDS) -> list[Run]:
    """Linear softmax from scratch on the short and on the full schedule."""
    return [
        Run("linear", epochs, dtype, seed)
        for epochs in (SHORT_EPOCHS, FULL_EPOCHS)
        for seed in range(seeds)
    ]


def train_missing(runs: list[Run]) -> None:
    """Train those of the runs that did not leave their scores yet, one after the other."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    missing = [run for run in runs if not run.is_kept]
    print(f"{FOLDER}: {len(runs) - len(missing)} of {len(runs)} runs are there", flush=True)
    if not missing:
        return
    train_one = trainer(missing, read_data())
    for number, run in enumerate(missing, 1):
        print(f"== {number} of {len(missing)}: {run.name}", flush=True)
        keep(run, train_one, FOLDER)


def trainer(runs: list[Run], data: dict) -> Callable[[Run], tuple[keras.Model, Callable]]:
    """Return what trains these runs: a function from a run to its model and a split's scores."""
    encoders = {run.encoder for run in runs}
    if "yamnet" in encoders:
        heads = HeadTrainer(data, embedded(data, yamnet), yamnet)

    def train_one(run: Run):
        pooling = POOLINGS[run.pooling]
        if run.encoder == "yamnet":
            recipe = dataclasses.replace(HEAD_RECIPE, epochs=run.epochs)
            audio = heads.train(recipe, run.seed, run.dtype, pooling)
            return audio, lambda split: heads.scores(audio, split)
        keras.utils.set_random_seed(run.seed)
        audio = train_audio(data, mini_labels(), run.seed, run.dtype, run.epochs, pooling=pooling)
        predictor = Predictor(audio)
        return audio, lambda split: predictor(data[split])

    return train_one


def keep(run: Run, train_one: Callable, folder: pathlib.Path) -> None:
    """Train one audio branch and keep it with its scores; the npz comes last."""
    began = time.perf_counter()
    audio, scores_of = train_one(run)
    kept = {"seconds": time.perf_counter() - began}
    for split in ("validation", "test"):
        for output, scores in scores_of(split).items():
            kept[f"{split}_{output}"] = scores
    with atomic_path(folder / f"{run.name}.keras") as part:
        keras.saving.save_model(audio, part)
    with atomic_path(folder / f"{run.name}.npz") as part, part.open("wb") as file:
        np.savez_compressed(file, **kept)


def tagging(data: dict, scores: dict) -> dict[str, float]:
    """Validation and test figures of the clip scores, in per cent."""
    fired, threshold = decided(data, scores)
    validation, test = (data[split]["weak_labels"] > 0 for split in ("validation", "test"))
    validation_fired = fire(scores["validation_clip"], threshold)
    return {
        "validation F1": 100 * precision_recall_f1(validation, validation_fired).f1,
        "validation mAP": 100 * mean_average_precision(validation, scores["validation_clip"]),
        "F1": 100 * precision_recall_f1(test, fired).f1,
        "mAP": 100 * mean_average_precision(test, scores["test_clip"]),
    }


def localisation(data: dict, scores: dict) -> dict[str, float]:
    """Test figures of the frame scores in per cent; nothing strong was seen in training or tuning.

    Segments of 1 s: a class is active where its frames reach the threshold of the clips and the
    clip fires. Segment mAP and PSDS need no threshold.
    """
    fired, threshold = decided(data, scores)
    truth, frames = data["test"]["events"], scores["test_frame"]
    events = [
        [event for event in frames_to_events(clip, np.float32(threshold)) if tags[event[0]]]
        for clip, tags in zip(frames, fired, strict=True)
    ]
    segments = segment_f1(truth, events, fired.shape[1], CLIP_SECONDS)
    curves = segment_curves(list(frames), truth, CLIP_SECONDS)
    return {
        "segment ER": 100 * segments.error_rate,
        "segment F1": 100 * segments.f1,
        "segment mAP": 100 * statistics.fmean(curve.average_precision for curve in curves.values()),
        "PSDS": 100 * psds(list(frames), truth, CLIP_SECONDS),
    }


def gains(
    data: dict, firsts: list[dict], seconds: list[dict], figure: str = "f1"
) -> dict[str, Difference]:
    """The mean of the second system over the first's, paired: drawn by clip and by source group.

    firsts, seconds: the scores of each training. figure: a name of `headline_intervals`.
    """
    truth = data["test"]["weak_labels"] > 0
    systems = [
        [(decided(data, scores)[0], scores["test_clip"]) for scores in trainings]
        for trainings in (firsts, seconds)
    ]
    group_of = mini_groups()
    groups = [group_of[clip] for clip in data["test"]["ids"]]
    return {by: of[figure] for by, of in mean_gains(truth, *systems, groups).items()}


def decided(data: dict, scores: dict) -> tuple[np.ndarray, float]:
    """Return what fires in the test clips, and the one threshold that validation gave."""
    threshold = best_single_threshold(
        data["validation"]["weak_labels"] > 0, scores["validation_clip"]
    )
    return fire(scores["test_clip"], threshold), threshold


def summary(figures: Iterable[dict[str, float]]) -> dict[str, dict]:
    """Mean, standard deviation and single values over seeds, figure by figure.

    >>> summary([{"F1": 40.0}, {"F1": 44.0}])["F1"]["mean"]
    42.0
    """
    figures = list(figures)
    return {name: mean_and_spread(one[name] for one in figures) for name in figures[0]}


# Tables as the pages in docs/ have them.


def means_table(title: str, systems: Mapping[str, Mapping], columns: Sequence[str]) -> str:
    """A row a system of means with their spread, in Markdown."""
    rows = [[name, *(mean_cell(own[x]) for x in columns)] for name, own in systems.items()]
    return markdown_table(rows, [title, *columns])


def markdown_table(rows: Sequence[Sequence], head: Sequence[str]) -> str:
    """A table of texts as the pages in docs/ have it."""
    return tabulate.tabulate(rows, head, "github", disable_numparse=True)


def gain_rows(gains: Mapping[str, Mapping[str, Difference]]) -> tuple[list[list[str]], list[str]]:
    """Rows and head of a table: what fusions gain over audio, in points with 95 % intervals."""
    rows = [
        [name]
        + [f"{100 * x.estimate:+.1f} [{100 * x.low:.1f}, {100 * x.high:.1f}]" for x in own.values()]
        + [f"{100 * x.share_above_zero:.1f}" for x in own.values()]
        for name, own in gains.items()
    ]
    above = [f"draws by {by} above 0, %" for by in ("clip", "group")]
    return rows, ["fusion over audio", "gain, by clip", "gain, by source group", *above]
