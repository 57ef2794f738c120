"""Which precision to train in: the one asked for, or the fastest by measurement."""

import functools
import time
import warnings
from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from mmat.errors import InputError
from mmat.tasks import MULTI_LABEL, Task
from mmat.training.step import training_step

POLICIES = {"float32": "float32", "bfloat16": "mixed_bfloat16", "float16": "mixed_float16"}
MEASURED_SECONDS = 0.5  # of each candidate; a step that is begun is ended


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
    has_gpu: None asks TensorFlow. A warning tells of float16 without one. Raises InputError for
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
