"""The full DCASE 2017 training as `mmat.training.loop.train` runs it, a few steps of it."""

import functools
from collections.abc import Callable

import keras

from benchmarks.contest import Seconds
from benchmarks.ours.networks import POLICIES, made
from mmat.models.audio import adapt_normalization
from mmat.shards.sampling import batches_from
from mmat.training.precision import fastest_dtype, measure_cost
from mmat.training.recipe import Recipe
from mmat.training.step import training_step


@functools.cache
def chosen_precision() -> str:
    """Return what `--precision auto` takes here."""
    policy = fastest_dtype()
    return next(name for name, each in POLICIES.items() if each == policy)


def clip_seconds(folder: str, dtype: str, batch_size: int) -> Callable:
    """Return a run that says the seconds of a clip: reading, log-mel and step together."""
    model = made("crnn", dtype)
    optimizer = keras.optimizers.Adam(3e-4)
    batches = batches_from(folder, "train", batch_size, seed=0, inputs=["waveform"])(0)
    adapt_normalization(model, (inputs["waveform"] for inputs, _ in batches.take(1)))
    step, recipe = training_step(model, optimizer), Recipe(batch_size)

    def run() -> Seconds:
        cost = measure_cost(model, optimizer, step, iter(batches), recipe)
        return Seconds(1 / cost.clips_a_second)

    return run


def clips(checkpoints: int) -> int:
    """Return how many clips a training of the authors' recipe takes in so many checkpoints."""
    return Recipe(checkpoints=checkpoints).clips
