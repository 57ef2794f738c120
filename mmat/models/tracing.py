"""Functions that TensorFlow traces for each model anew, as is meant here, without a warning."""

from collections.abc import Callable

import tensorflow as tf


def traced(function: Callable, autograph: bool = True) -> Callable:
    """Return a `tf.function` that is traced at most twice for inputs of several sizes.

    TensorFlow counts how often functions of one place in the code are traced, and from the fifth
    model on warns of it, though each model needs a trace of its own. There is no public way to ask
    it not to.

    >>> float(traced(lambda x: 2 * x)(tf.constant(1.5)))
    3.0
    """
    made = tf.function(function, reduce_retracing=True, autograph=autograph)
    made._omit_frequent_tracing_warning = True
    return made
