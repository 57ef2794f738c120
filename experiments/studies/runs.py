"""The trainings that the studies compare: each once, kept in runs/studies/, resumed by name.

    python -m experiments.studies.runs      all of the CRNN's, about 90 minutes on 2 cores

A run is an audio branch of the mini corpus under one pooling, schedule, precision, seed and
encoder: the CRNN from scratch, or a head on frozen YAMNet. It leaves `NAME.keras` and `NAME.npz`:
clip and frame scores of validation and test, and the seconds of training.
"""

import dataclasses
import os
import pathlib
import time

from mmat.startup import ENVIRONMENT

os.environ.update(ENVIRONMENT | os.environ)

import keras
import numpy as np

from experiments.mini_systems import train_audio
from experiments.options import POOLINGS, script
from experiments.studies.embeddings import embedded
from experiments.studies.heads import HEAD_RECIPE, HeadTrainer
from experiments.studies.options import PRECISIONS, options
from mmat.corpora.mini import mini_labels
from mmat.files import atomic_path, cache_folder
from mmat.models.predict import Predictor
from mmat.models.pretrained.registry import yamnet
from mmat.shards.read import read_arrays

FOLDER = pathlib.Path("runs/studies")
SHORT_EPOCHS, FULL_EPOCHS = 12, 24
SEEDS = 5
EPOCHS = {"crnn": SHORT_EPOCHS, "yamnet": HEAD_RECIPE.epochs}
SPLITS = ("train", "validation", "test")


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


def poolings(dtype: str, seeds: int = 3, encoder: str = "crnn") -> list[Run]:
    """The five poolings on the short schedule."""
    return [
        Run(name, EPOCHS[encoder], dtype, seed, encoder)
        for name in POOLINGS
        for seed in range(seeds)
    ]


def schedules(dtype: str, seeds: int = SEEDS) -> list[Run]:
    """Linear softmax on the short and on the full schedule."""
    return [
        Run("linear", epochs, dtype, seed)
        for epochs in (SHORT_EPOCHS, FULL_EPOCHS)
        for seed in range(seeds)
    ]


def precisions(seeds: int = 3) -> list[Run]:
    """Linear softmax on the short schedule in both precisions of a CPU."""
    return [
        Run("linear", SHORT_EPOCHS, dtype, seed) for dtype in PRECISIONS for seed in range(seeds)
    ]


def heads(dtype: str, seeds: int = SEEDS) -> list[Run]:
    """Linear softmax on frozen YAMNet."""
    return [Run("linear", EPOCHS["yamnet"], dtype, seed, "yamnet") for seed in range(seeds)]


def read_data() -> dict[str, dict]:
    """The three splits of the mini corpus as arrays; `experiments/mini.py` prepares them."""
    shards = cache_folder() / "mini" / "shards"
    return {split: read_arrays(shards, split) for split in SPLITS}


def trainer(runs: list[Run], data: dict):
    """Return what trains these runs: a function from a run to its model and a split's scores."""
    encoders = {run.encoder for run in runs}
    if "yamnet" in encoders:
        heads = HeadTrainer(data, embedded(data, yamnet, FOLDER), yamnet)

    def train_one(run: Run):
        chosen = POOLINGS[run.pooling]
        if run.encoder == "yamnet":
            recipe = dataclasses.replace(HEAD_RECIPE, epochs=run.epochs)
            audio = heads.train(recipe, run.seed, run.dtype, chosen)
            return audio, lambda split: heads.scores(audio, split)
        keras.utils.set_random_seed(run.seed)
        audio = train_audio(data, mini_labels(), run.seed, run.dtype, run.epochs, pooling=chosen)
        predictor = Predictor(audio)
        return audio, lambda split: predictor(data[split])

    return train_one


def keep(run: Run, train_one, folder: pathlib.Path) -> None:
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


def main() -> None:
    chosen = options(__doc__, SEEDS)
    every = [*poolings(chosen.precision), *schedules(chosen.precision, chosen.seeds)]
    train_missing(list(dict.fromkeys(every)))


if __name__ == "__main__":
    script(lambda _: main())
