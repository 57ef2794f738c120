"""The trainings that the studies compare: each once, kept in runs/studies/, resumed by name.

    python -m experiments.studies.runs      all of them, about 90 minutes on 2 cores

A run is an audio branch of the mini corpus under one pooling, schedule, precision and seed. It
leaves `NAME.keras` and `NAME.npz`: clip and frame scores of validation and test, and the seconds.
"""

import dataclasses
import pathlib
import time

import keras
import numpy as np

from experiments.mini_systems import train_audio
from mmat.data.datasets import read_arrays
from mmat.errors import atomic_path
from mmat.fetch.mini import mini_labels
from mmat.models import pooling
from mmat.paths import cache_folder
from mmat.training import predict

FOLDER = pathlib.Path("runs/studies")
POOLINGS = {
    "max": pooling.max_pooling,
    "mean": pooling.mean_pooling,
    "linear": pooling.linear_softmax,
    "exp": pooling.exponential_softmax,
    "attention": pooling.attention,
}
SHORT_EPOCHS, FULL_EPOCHS = 12, 24
SCHEDULE_SEEDS = 5


@dataclasses.dataclass(frozen=True)
class Run:
    """One training: everything that tells it from another."""

    pooling: str
    epochs: int
    dtype: str
    seed: int

    @property
    def name(self) -> str:
        return f"{self.pooling}-{self.epochs}-{self.dtype}-seed{self.seed}"

    def scores(self) -> dict[str, np.ndarray]:
        """What the run left: `validation_clip`, `validation_frame`, `test_clip`, `test_frame`."""
        with np.load(FOLDER / f"{self.name}.npz") as kept:
            return dict(kept)


def poolings(seeds: int = 3) -> list[Run]:
    """The five poolings on the short schedule."""
    return [
        Run(name, SHORT_EPOCHS, "mixed_bfloat16", seed)
        for name in POOLINGS
        for seed in range(seeds)
    ]


def schedules(seeds: int = SCHEDULE_SEEDS) -> list[Run]:
    """Linear softmax on the short and on the full schedule."""
    return [
        Run("linear", epochs, "mixed_bfloat16", seed)
        for epochs in (SHORT_EPOCHS, FULL_EPOCHS)
        for seed in range(seeds)
    ]


def precisions(seeds: int = 3) -> list[Run]:
    """Linear softmax on the short schedule in both precisions of a CPU."""
    return [
        Run("linear", SHORT_EPOCHS, dtype, seed)
        for dtype in ("mixed_bfloat16", "float32")
        for seed in range(seeds)
    ]


def read_data() -> dict[str, dict]:
    """The three splits of the mini corpus as arrays; `experiments/mini.py` prepares them."""
    shards = cache_folder() / "mini" / "shards"
    return {split: read_arrays(shards, split) for split in ("train", "validation", "test")}


def train(run: Run, data: dict, folder: pathlib.Path = FOLDER) -> None:
    """Train one audio branch and keep it with its scores; the npz comes last."""
    keras.utils.set_random_seed(run.seed)
    began = time.perf_counter()
    audio = train_audio(
        data, mini_labels(), run.seed, run.dtype, run.epochs, pooling=POOLINGS[run.pooling]
    )
    kept = {"seconds": time.perf_counter() - began}
    for split in ("validation", "test"):
        for output, scores in predict(audio, data[split]).items():
            kept[f"{split}_{output}"] = scores
    with atomic_path(folder / f"{run.name}.keras") as part:
        keras.saving.save_model(audio, part)
    with atomic_path(folder / f"{run.name}.npz") as part, part.open("wb") as file:
        np.savez_compressed(file, **kept)


def train_missing(runs: list[Run]) -> None:
    """Train those of the runs that did not leave their scores yet, one after the other."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    missing = [run for run in runs if not (FOLDER / f"{run.name}.npz").exists()]
    print(f"{FOLDER}: {len(runs) - len(missing)} of {len(runs)} runs are there", flush=True)
    data = read_data() if missing else {}
    for number, run in enumerate(missing, 1):
        print(f"== {number} of {len(missing)}: {run.name}", flush=True)
        train(run, data)


if __name__ == "__main__":
    train_missing(list(dict.fromkeys([*poolings(), *schedules(), *precisions()])))
