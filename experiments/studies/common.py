"""What the studies share: their command line, the trainings they compare, what they measure.

A run is an audio branch of the mini corpus under one pooling, schedule, precision, seed and
encoder: the CRNN from scratch, or a head on frozen YAMNet. Each is trained once and kept in
runs/studies/ by its name: `NAME.keras` is the branch, `NAME.npz` its clip and frame scores of
validation and test and the seconds of training.

A head is the audio branch without its encoder, trained on embeddings that are computed once. Its
recipe is that of the CRNN as far as it applies: AdamW with a warm cosine, clips shifted in time and
mixed, a stretch of time hidden. Learning rate and dropout were chosen by `head_grid.py`.
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

from experiments.common import POOLINGS, mean_and_spread, mean_cell, mean_gains
from experiments.mini import train_audio
from mmat.corpora.mini import mini_groups, mini_labels
from mmat.files import atomic_path, cache_folder
from mmat.labels import MULTI_LABEL
from mmat.metrics.bootstrap import Difference
from mmat.metrics.events import frames_to_events, segment_f1
from mmat.metrics.psds import psds, segment_curves
from mmat.metrics.tagging import mean_average_precision, precision_recall_f1
from mmat.metrics.thresholds import best_single_threshold, fire
from mmat.models.audio import PatchesToFrames, audio_branch
from mmat.models.augment import MixupMels, SpecAugment
from mmat.models.pooling import linear_softmax
from mmat.models.predict import Predictor, fill_missing
from mmat.pretrained.hub import HubAudioEncoder
from mmat.pretrained.registry import AudioEncoder, yamnet
from mmat.shards.read import read_arrays
from mmat.training.precision import fastest_dtype
from mmat.training.submodels import back_end, compiled_back_end

FOLDER = pathlib.Path("runs/studies")
SPLITS = ("train", "validation", "test")
PRECISIONS = ("float32", "mixed_bfloat16")
ENCODERS = ("crnn", "yamnet")
SEEDS = 5
SHORT_EPOCHS, FULL_EPOCHS = 12, 24  # of the CRNN
BATCH = 32  # of a head
FRAME_SAMPLES = 1600  # of the audio branch, 10 Hz
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


def read_data() -> dict[str, dict]:
    """The three splits of the mini corpus as arrays; `experiments/mini.py` prepares them."""
    shards = cache_folder() / "mini" / "shards"
    return {split: read_arrays(shards, split) for split in SPLITS}


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
        heads = HeadTrainer(data, embedded(data, yamnet, FOLDER), yamnet)

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


@dataclasses.dataclass(frozen=True)
class Recipe:
    """What is tuned of a head's training."""

    rate: float
    dropout: float
    epochs: int


# The best of the grid in validation mAP.
HEAD_RECIPE = Recipe(rate=1e-3, dropout=0.3, epochs=8)


class HeadTrainer:
    """Trains heads on one encoder's embeddings of the corpus, one after the other.

    data: the splits; frames: their embeddings, as `embedded` gives them.
    """

    def __init__(self, data: dict, frames: dict[str, np.ndarray], encoder: AudioEncoder):
        self.data, self.frames, self.encoder = data, frames, encoder
        self.with_audio = np.flatnonzero(data["train"]["has_audio"])

    def train(self, recipe: Recipe, seed: int, dtype: str, pooling=linear_softmax) -> keras.Model:
        """Return the whole audio branch, waveform in, whose head was trained."""
        keras.utils.set_random_seed(seed)
        frames, truth = (
            x[self.with_audio] for x in (self.frames["train"], self.data["train"]["weak_labels"])
        )
        options = {
            "pooling": pooling,
            "augmentation": (SpecAugment(0.15, 0.0, seed=seed),),
            "dropout": recipe.dropout,
            "encoder": self.encoder,
        }
        audio = audio_branch(truth.shape[1], **options, dtype=dtype)
        audio.get_layer("band_normalization").adapt(
            frames[i : i + BATCH] for i in range(0, len(frames), BATCH)
        )
        batches = MixupEmbeddings(frames, truth, BATCH, seed=seed)
        head = compiled_back_end(audio, recipe.rate, recipe.epochs * len(batches), len(batches))
        head.fit(batches, epochs=recipe.epochs, verbose=2)
        if dtype == "float32":
            return audio
        plain = audio_branch(truth.shape[1], **options)  # what is evaluated is what is exported
        plain.set_weights(audio.get_weights())
        return plain

    def scores(self, audio: keras.Model, split: str) -> dict[str, np.ndarray]:
        """What the branch predicts of a split, as `predict` does from the waveforms."""
        outputs = back_end(audio).predict(self.frames[split], batch_size=50, verbose=0)
        has_audio = self.data[split]["has_audio"]
        return {name: fill_missing(MULTI_LABEL, x, has_audio) for name, x in outputs.items()}


class MixupEmbeddings(MixupMels):
    """Batches of embeddings as `MixupMels` makes them of log-mel: shifted in time, and mixed.

    Two clips that sound at once have the mean of both embeddings: on 24 pairs its error against
    YAMNet's embedding of the sum of their waveforms is 0.17, that of the greater value 0.23.
    """

    def _clip(self, i: int, j: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        embedding, labels = self._shifted(i, rng), self.weak_labels[i]
        if rng.random() < self.mix:
            embedding = (embedding + self._shifted(j, rng)) / 2
            labels = np.maximum(labels, self.weak_labels[j])
        return embedding, labels


def embedded(data: dict, encoder: AudioEncoder, folder: pathlib.Path) -> dict[str, np.ndarray]:
    """Each split's embeddings at 10 Hz, `(clips, frames, embedding_size, 1)`, not normalised.

    What the front end of an audio branch on this encoder gives. Its patches are kept in `folder`
    and computed anew for other clips: about 4 minutes for the mini corpus on a core.
    """
    path = folder / f"patches-{encoder.name}.npz"
    kept = _kept_patches(path, data)
    if kept is None:
        n_clips = sum(len(own["waveform"]) for own in data.values())
        print(f"{path}: {encoder.name} hears {n_clips} clips", flush=True)
        kept = {split: _patches(own["waveform"], encoder) for split, own in data.items()}
        with atomic_path(path) as part, part.open("wb") as file:
            ids = {f"{split}/ids": np.array(own["ids"]) for split, own in data.items()}
            np.savez(file, **kept, **ids)
    to_frames = PatchesToFrames(encoder.hop_samples, encoder.window_samples, FRAME_SAMPLES)
    frames = {}
    for split, own in data.items():
        length = np.zeros((1, own["waveform"].shape[1], 1), np.float32)  # of all its clips
        frames[split] = to_frames([kept[split], length]).numpy()[..., None]
    return frames


def _kept_patches(path: pathlib.Path, data: dict) -> dict[str, np.ndarray] | None:
    if not path.exists():
        return None
    with np.load(path, allow_pickle=False) as kept:
        if any(kept[f"{split}/ids"].tolist() != list(own["ids"]) for split, own in data.items()):
            return None
        return {split: kept[split] for split in data}


def _patches(waveforms: np.ndarray, encoder: AudioEncoder) -> np.ndarray:
    layer = HubAudioEncoder.of(encoder)
    return np.concatenate(
        [layer(waveforms[i : i + 16])["embedding"].numpy() for i in range(0, len(waveforms), 16)]
    )


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
    groups = [mini_groups()[clip] for clip in data["test"]["ids"]]
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
