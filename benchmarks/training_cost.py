"""What the full DCASE 2017 training costs here, projected from steps that are run and timed.

    python benchmarks/training_cost.py

The 936,041-parameter network learns from class-balanced batches of 10 s clips: reading, log-mel
and step together, as `mmat.training.train` runs them. The clips are the mini corpus's, which
`experiments/mini.py` prepares. Validation is not in it. A processor without bfloat16 instructions
takes a minute a step of 100 clips in that precision, so batches of 20 are timed.
"""

import argparse
import os
import platform

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
import tabulate

from mmat.data.sampling import balanced_batches
from mmat.models.audio import adapt_normalization, audio_branch
from mmat.paths import cache_folder
from mmat.training import Recipe
from mmat.training.cost import Cost, measure_cost
from mmat.training.step import training_step

SCHEDULES = {
    "the authors' 50 checkpoints": Recipe(checkpoints=50),
    "their example's 25": Recipe(checkpoints=25),
    "ours, half of that: 12": Recipe(checkpoints=12),
}
N_CLASSES = 17


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch-size", type=int, default=20, help="of the steps that are timed")
    parser.add_argument("--rounds", type=int, default=3, help="measurements of each, interleaved")
    arguments = parser.parse_args()
    measured = {"float32": [], "mixed_bfloat16": []}
    for _ in range(arguments.rounds):
        for dtype, rates in measured.items():
            rates.append(clips_a_second(dtype, arguments.batch_size))
    print(f"{platform.machine()}, {os.cpu_count()} cores")
    rows = []
    for dtype, rates in measured.items():
        rate, low, high = np.median(rates), min(rates), max(rates)
        hours = [Cost(x.steps, x.batch_size, rate).hours for x in SCHEDULES.values()]
        rows.append([dtype, f"{rate:.1f} ({low:.1f} to {high:.1f})", *(f"{x:.1f}" for x in hours)])
    head = [f"{name}, {x.clips / 1e6:.2f} M clips, h" for name, x in SCHEDULES.items()]
    print(tabulate.tabulate(rows, ["precision", "clips a second", *head], "github"))


def clips_a_second(dtype: str, batch_size: int) -> float:
    model = audio_branch(N_CLASSES, dtype=dtype)
    shards = cache_folder() / "mini" / "shards"
    batches = balanced_batches(shards, "train", batch_size, seed=0, inputs=["waveform"])
    adapt_normalization(model, (inputs["waveform"] for inputs, _ in batches.take(1)))
    optimizer = keras.optimizers.Adam(3e-4)
    learnt = batches.map(lambda inputs, labels: (inputs, with_classes(labels)))
    step, recipe = training_step(model, optimizer), Recipe(batch_size)
    return measure_cost(model, optimizer, step, iter(learnt), recipe).clips_a_second


def with_classes(weak_labels):
    """Widen the mini corpus's labels to as many classes as DCASE 2017 has."""
    missing = N_CLASSES - weak_labels.shape[1]
    return keras.ops.pad(weak_labels, [[0, 0], [0, missing]])


if __name__ == "__main__":
    main()
