"""The outputs of a model: scores in [0, 1] become what the task of its labels asks.

- multi-label: a probability of each label, as it is;
- multi-class: shares of the labels, which sum to 1;
- regression: a value of each label between the task's ends, the same share of the way.
"""

import keras
from keras import layers, ops

from mmat.labels import MULTI_CLASS, MULTI_LABEL, Task, regression
from mmat.models.pooling import SMALLEST


def to_output(scores, task: Task):
    """Turn scores in [0, 1], float32 `(batch, …, classes)`, into the outputs of a task.

    >>> from mmat.labels import MULTI_CLASS, regression
    >>> to_output(ops.array([[0.25, 0.25]]), MULTI_CLASS).numpy().tolist()
    [[0.5, 0.5]]
    >>> to_output(ops.array([[0.25]]), regression(-3, 3)).numpy().tolist()
    [[-1.5]]
    """
    if task.is_multi_class:
        return Shares()(scores)
    if task.is_regression:
        return layers.Rescaling(task.high - task.low, task.low, dtype="float32")(scores)
    return scores


def to_score(outputs, task: Task):
    """Turn outputs of a task back into the scores in [0, 1] that `to_output` makes them of.

    >>> from mmat.labels import regression
    >>> to_score(ops.array([[-1.5]]), regression(-3, 3)).numpy().tolist()
    [[0.25]]
    """
    if task.is_regression:
        scale = 1.0 / (task.high - task.low)
        return layers.Rescaling(scale, -task.low * scale, dtype="float32")(outputs)
    return outputs


def task_of(output) -> Task:
    """Return the task that a branch is for, by the layer that `to_output` ended it with.

    output: one output of a functional model.

    >>> from mmat.labels import regression
    >>> str(task_of(to_output(keras.Input((2,)), regression(-3, 3))))
    'regression -3 3'
    """
    layer = output._keras_history.operation
    if isinstance(layer, Shares):
        return MULTI_CLASS
    if isinstance(layer, layers.Rescaling):
        return regression(layer.offset, layer.offset + layer.scale)
    return MULTI_LABEL


@keras.saving.register_keras_serializable(package="mmat")
class Shares(layers.Layer):
    """Divide scores `(batch, …, classes)` by their sum over the classes; no score at all stays so.

    >>> Shares()(ops.array([[1.0, 3.0], [0.0, 0.0]])).numpy().tolist()
    [[0.25, 0.75], [0.0, 0.0]]
    """

    def __init__(self, **kwargs):
        super().__init__(**kwargs | {"dtype": "float32"})

    def call(self, scores):
        return scores / ops.maximum(ops.sum(scores, axis=-1, keepdims=True), SMALLEST)

    def compute_output_shape(self, input_shape):
        return input_shape
