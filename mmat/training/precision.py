"""Which precision to train in, and what a training will cost: both measured by a few steps."""

import dataclasses
import functools
import itertools
import time
import warnings
from collections.abc import Callable, Iterator

import keras
import numpy as np
import tensorflow as tf

from mmat.files import InputError
from mmat.labels import MULTI_LABEL, Task
from mmat.training.recipe import Recipe
from mmat.training.step import training_step

POLICIES = {"float32": "float32", "bfloat16": "mixed_bfloat16", "float16": "mixed_float16"}
MEASURED_CLIPS = 4  # at a time, on a CPU
MEASURED_SECONDS = 0.5  # of each candidate; a step that is begun is ended
# Of `measure_cost`: the first compiles, all take batches that were read meanwhile. Slow ones are
# timed from the second on, so that the cost is soon told.
WARM_STEPS = 3
TIMED_STEPS, TIMED_SECONDS = 10, 5.0


def convolution_rate(dtype: str, seconds: float = MEASURED_SECONDS) -> float:
    """Return how many training steps a second one convolution of the audio branch takes."""
    inputs = keras.Input((100, 32, 32), name="maps")
    x = keras.layers.Conv2D(64, 5, padding="same", dtype=dtype)(inputs)
    clip = keras.layers.Activation("sigmoid")(keras.layers.GlobalMaxPooling2D()(x))
    model = keras.Model({"maps": inputs}, {"clip": clip})
    batch = {"maps": np.zeros((4, 100, 32, 32), np.float32)}, np.zeros((4, 64), np.float32)
    return training_rate(dtype, lambda dtype: model, batch, seconds)


def training_rate(
    dtype: str,
    build: Callable[[str], keras.Model],
    batch: tuple[dict, np.ndarray],
    seconds: float = MEASURED_SECONDS,
    task: Task = MULTI_LABEL,
) -> float:
    """Return how many training steps a second a model takes in a policy, by a few of them.

    build: given the policy, the model. batch: inputs and weak labels, few and short, since the
    first step, which compiles, and one more are always taken. task: whose loss is learnt by. The
    random state of Keras moves on.
    """
    step = training_step(build(dtype), keras.optimizers.Adam(), task=task)
    return steps_a_second(lambda: float(step(*batch)), seconds)


def clips_to_measure(batch_size: int, has_gpu: bool) -> int:
    """Return by how many clips at a time to compare policies: few on a CPU, a batch on a GPU.

    A GPU's time for few clips is that of starting its kernels, and alike in all policies.

    >>> clips_to_measure(100, has_gpu=False), clips_to_measure(100, has_gpu=True)
    (4, 100)
    """
    return batch_size if has_gpu else min(batch_size, MEASURED_CLIPS)


def steps_a_second(step: Callable[[], object], seconds: float) -> float:
    """Return the rate of a step over so many seconds, after one step that is not timed.

    >>> taken = []
    >>> steps_a_second(lambda: taken.append(0), seconds=0.0) > 0, len(taken)
    (True, 2)
    """
    step()
    began, n_steps = time.perf_counter(), 0
    while not n_steps or time.perf_counter() - began < seconds:
        step()
        n_steps += 1
    return n_steps / (time.perf_counter() - began)


def candidates(has_gpu: bool) -> tuple[str, ...]:
    """Return the policies that `auto` measures; float16 on a CPU is never worth the time.

    >>> candidates(has_gpu=False)
    ('float32', 'mixed_bfloat16')
    """
    return ("float32", "mixed_bfloat16", *(["mixed_float16"] if has_gpu else []))


def choose_dtype(
    precision: str,
    rate_of: Callable[[str], float] = convolution_rate,
    has_gpu: bool | None = None,
) -> str:
    """Return the Keras policy of `float32`, `bfloat16`, `float16`, or of `auto` the fastest.

    rate_of: given a policy, how fast it trains; measured for `auto` alone. A processor without
    instructions for a precision is slower in it by far, so that none can be believed unmeasured.
    has_gpu: None asks TensorFlow. Warns of float16 without one. Raises InputError for
    another precision.

    >>> choose_dtype("bfloat16")
    'mixed_bfloat16'
    """
    if precision not in ("auto", *POLICIES):
        raise InputError(f"precision {precision!r}: choose one of auto, {', '.join(POLICIES)}")
    if has_gpu is None and precision in ("auto", "float16"):
        has_gpu = bool(tf.config.list_physical_devices("GPU"))
    if precision == "auto":
        return max(candidates(has_gpu), key=rate_of)
    if precision == "float16" and not has_gpu:
        warnings.warn(
            "float16 without a GPU is about a hundred times slower than float32", stacklevel=2
        )
    return POLICIES[precision]


def fastest_dtype(seconds: float = MEASURED_SECONDS) -> str:
    """Return the policy in which one convolution trains fastest here, of `candidates`."""
    return choose_dtype("auto", functools.partial(convolution_rate, seconds=seconds))


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

    Up to 10 steps or 5 seconds are timed, after three or 5 seconds that are not. The time of
    validation is not in it. enough: given the seconds so far, whether to stop timing; several
    machines must agree. Raises InputError for batches that end.
    """
    variables = [*model.variables, *optimizer.variables]
    before = [np.asarray(variable).copy() for variable in variables]
    try:
        began = time.perf_counter()
        for batch in itertools.islice(batches, WARM_STEPS):
            float(step(*batch))
            if enough(time.perf_counter() - began):
                break
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
