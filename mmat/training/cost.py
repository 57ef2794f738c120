"""What a training will cost, measured by a few of its own steps before it starts."""

import dataclasses
import itertools
import time
from collections.abc import Callable, Iterator

import keras
import numpy as np

from mmat.errors import InputError
from mmat.training.recipe import Recipe

WARM_STEPS = 3  # the first compiles the step, and all take batches that were read meanwhile
TIMED_STEPS, TIMED_SECONDS = 10, 5.0


@dataclasses.dataclass(frozen=True)
class Cost:
    """The steps that a training has before it, and how fast they were measured to go.

    >>> print(Cost(steps=25_000, batch_size=100, clips_a_second=20.0))
    cost: 2,500,000 clips in 25,000 steps of 100, 20.0 clips a second measured: 34.7 hours
    """

    steps: int
    batch_size: int
    clips_a_second: float

    @property
    def clips(self) -> int:
        return self.steps * self.batch_size

    @property
    def hours(self) -> float:
        return self.clips / self.clips_a_second / 3600

    def __str__(self) -> str:
        time = f"{self.hours:.1f} hours" if self.hours >= 1 else f"{60 * self.hours:.1f} minutes"
        return (
            f"cost: {self.clips:,} clips in {self.steps:,} steps of {self.batch_size}, "
            f"{self.clips_a_second:.1f} clips a second measured: {time}"
        )


def measure_cost(
    model: keras.Model,
    optimizer: keras.optimizers.Optimizer,
    step: Callable,
    batches: Iterator,
    recipe: Recipe,
    steps_done: int = 0,
    enough: Callable[[float], bool] = lambda seconds: seconds > TIMED_SECONDS,
) -> Cost:
    """Measure a few steps on real batches; model, optimizer and random state stay what they were.

    Up to 10 steps or 5 seconds are timed, after three that are not. The time of validation is not
    in it. enough: given the seconds so far, whether to stop timing; several machines must agree.
    Raises InputError for batches that end.
    """
    variables = [*model.variables, *optimizer.variables]
    before = [np.asarray(variable).copy() for variable in variables]
    try:
        for batch in itertools.islice(batches, WARM_STEPS):
            float(step(*batch))
        began, n_steps, n_clips = time.perf_counter(), 0, 0
        for inputs, weak_labels in itertools.islice(batches, TIMED_STEPS):
            float(step(inputs, weak_labels))
            n_steps, n_clips = n_steps + 1, n_clips + len(weak_labels)
            if enough(time.perf_counter() - began):
                break
        seconds = time.perf_counter() - began
    finally:
        for variable, value in zip(variables, before, strict=True):
            variable.assign(value)
    if not n_steps:
        raise InputError("cost: the batches ended; give a dataset without end")
    return Cost(recipe.steps - steps_done, recipe.batch_size, n_clips / seconds)
