"""`mmat.metrics.decisions.decide` inside a graph, of operations that TensorFlow Lite has too."""

import numpy as np
import tensorflow as tf

from mmat.tasks import Task


def decided(task: Task, clip, thresholds: np.ndarray):
    """Return what a task decides of clips' answers, float32 `(batch, classes)`: bool.

    >>> from mmat.tasks import MULTI_CLASS
    >>> decided(MULTI_CLASS, tf.constant([[0.25, 0.75]]), [0.5, 0.5]).numpy().tolist()
    [[False, True]]
    """
    if task.is_regression:
        return tf.ones_like(clip, tf.bool)
    if not task.is_multi_class:
        return clip >= tf.constant(thresholds, tf.float32)
    best = tf.argmax(clip, axis=-1, output_type=tf.int32)[:, tf.newaxis]
    return (tf.range(clip.shape[-1]) == best) & (clip > 0)
