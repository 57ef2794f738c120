"""The sections of a TensorBoard log, each with the moments at which it may write.

- `Scalars`: numbers over steps, what Keras's logs hold and the learning rate;
- `Graph`: the graph of the model, as it is in inference;
- `Configuration`: what a training was called with, to read and to compare;
- `Validation`: how good it is on the validation split, as a whole, class by class, as curves.
"""

from collections.abc import Callable, Sequence

import keras
import numpy as np
import tensorflow as tf

from mmat.labels import MULTI_LABEL, Task
from mmat.metrics.tagging import (
    SHORT,
    figure_names,
    mean_average_precision,
    per_class,
    precision_recall_f1,
)
from mmat.metrics.thresholds import best_single_threshold, fire

# () -> truth bool (clips, classes), scores (clips, classes): the model as it is by now.
ValidationScores = Callable[[], tuple[np.ndarray, np.ndarray]]
STEP, CHECKPOINT = "step", "checkpoint"
IN_F1 = ("precision", "recall")  # left out where F1 stands for both
CLASS_F1, CURVES, ALL_CLASSES = "val_f1_at_best_single_threshold", "precision_recall", "all classes"
N_THRESHOLDS = 101


class Section:
    """One subject of the log; it overrides the moments at which it has something to write.

    Each is called where `tf.summary` writes into the log, at the current step. logs: what Keras
    passes on, by name; a section may add to those of a checkpoint.
    """

    def begin(self, model) -> None:
        """Called once for a log, before the first step."""

    def after_step(self, model, logs: dict) -> None:
        """Called after each training step."""

    def after_checkpoint(self, model, logs: dict, drawing: bool) -> None:
        """Called after each epoch; drawing: whether it is the turn of what is large or slow."""

    def end(self) -> None:
        """Called where the training ends of itself."""


class Scalars(Section):
    """Write `step/NAME` after each step and `checkpoint/NAME` after each epoch.

    NAME: every number in the logs, and `learning_rate`, the optimizer's where the logs have none.
    Under `fit` a step's loss is the mean of its epoch so far, which is how Keras gives it.
    """

    def after_step(self, model, logs):
        _write(STEP, model, logs)

    def after_checkpoint(self, model, logs, drawing):
        _write(CHECKPOINT, model, logs)


def _write(group: str, model, logs: dict) -> None:
    for name, value in (_learning_rate(model) | logs).items():
        tf.summary.scalar(f"{group}/{name}", float(value))


def _learning_rate(model) -> dict:
    optimizer = getattr(model, "optimizer", None)
    if not isinstance(optimizer, keras.optimizers.Optimizer):
        return {}
    return {"learning_rate": keras.ops.convert_to_numpy(optimizer.learning_rate)}


class Graph(Section):
    """Write the operations of a model, grouped by its layers; a model without fixed inputs none."""

    def begin(self, model):
        try:
            inputs = model.input
        except (AttributeError, ValueError):
            return  # a subclass that was not called yet
        specs = keras.tree.map_structure(lambda x: tf.TensorSpec(x.shape, x.dtype), inputs)
        called = tf.function(lambda x: model(x, training=False))
        tf.summary.graph(called.get_concrete_function(specs).graph)


class Configuration(Section):
    """Write a configuration as Markdown text and for the plugin of hyper-parameters."""

    def __init__(self, configuration: dict, task: Task = MULTI_LABEL):
        self.values, self.compared = flat(configuration), compared(task)

    def begin(self, model):
        from tensorboard.plugins.hparams import api

        tf.summary.text("configuration", table(self.values))
        metrics = [api.Metric(f"{CHECKPOINT}/{name}", display_name=name) for name in self.compared]
        api.hparams_config([api.HParam(name) for name in self.values], metrics)
        api.hparams(self.values)

    def end(self):
        from tensorboard.plugins.hparams import api_pb2, summary

        ended = summary.session_end_pb(api_pb2.STATUS_SUCCESS)
        tf.summary.experimental.write_raw_pb(ended.SerializeToString())


def compared(task: Task) -> tuple[str, ...]:
    """Return the names in the logs by which trainings of a task are compared.

    >>> from mmat.labels import MULTI_CLASS
    >>> compared(MULTI_CLASS)
    ('val_uar', 'val_accuracy', 'val_macro_f1', 'val_loss', 'loss')
    """
    own = [SHORT.get(name, name) for name in figure_names(task) if name not in IN_F1]
    return (*(f"val_{name}" for name in own), "val_loss", "loss")


def flat(configuration: dict) -> dict[str, bool | int | float | str]:
    """Return the configuration with one level of names; anything but a number is shown as text.

    >>> flat({"recipe": {"batch_size": 100, "seed": None}, "pooling": max})
    {'recipe.batch_size': 100, 'recipe.seed': 'None', 'pooling': 'max'}
    """
    values: dict = {}
    for name, value in configuration.items():
        if isinstance(value, dict):
            values |= {f"{name}.{inner}": each for inner, each in flat(value).items()}
        elif isinstance(value, bool | int | float | str):
            values[str(name)] = value
        else:
            values[str(name)] = getattr(value, "__name__", str(value))
    return values


def table(values: dict) -> str:
    """Return a Markdown table of names and values.

    >>> print(table({"batch_size": 100, "choice": "a|b"}))
    | name | value |
    | --- | --- |
    | batch_size | 100 |
    | choice | a\\|b |
    """
    rows = [("name", "value"), ("---", "---"), *values.items()]
    return "\n".join(f"| {_cell(name)} | {_cell(value)} |" for name, value in rows)


def _cell(value) -> str:
    return " ".join(str(value).split()).replace("|", "\\|")


class Validation(Section):
    """Add validation figures to an epoch's logs, and write each class's F1 and its curve.

    The scores are computed once an epoch. `val_f1` is micro F1 at `val_threshold`, the one
    threshold for all classes that is best for it, `val_map` mean average precision; what the logs
    hold already stays as it is. Each class's F1 is at that threshold too, the curve over all.
    """

    def __init__(self, validation_scores: ValidationScores, names: Sequence[str]):
        self.validation_scores, self.names = validation_scores, names

    def after_checkpoint(self, model, logs, drawing):
        truth, scores = self.validation_scores()
        truth, scores = np.asarray(truth) > 0, np.asarray(scores, np.float32)
        threshold = best_single_threshold(truth, scores)
        fired = fire(scores, threshold)
        logs.setdefault("val_f1", precision_recall_f1(truth, fired).f1)
        logs.setdefault("val_map", mean_average_precision(truth, scores))
        logs.setdefault("val_threshold", threshold)
        for name, figures in zip(self.names, per_class(truth, fired), strict=True):
            tf.summary.scalar(f"{CLASS_F1}/{name}", figures.f1)
        if drawing:
            write_curve(f"{CURVES}/{ALL_CLASSES}", truth.ravel(), scores.ravel())
            for name, *one in zip(self.names, truth.T, scores.T, strict=True):
                write_curve(f"{CURVES}/{name}", *one)


def write_curve(name: str, truth: np.ndarray, scores: np.ndarray) -> None:
    """Write one precision-recall curve for TensorBoard's plugin, at the current step.

    truth: bool `(clips,)`, scores: `(clips,)`.
    """
    from tensorboard.plugins.pr_curve.summary import raw_data_pb

    counts = curve_counts(truth, scores)
    hits, false, _, missed = counts
    precision = hits / np.maximum(hits + false, 1)
    recall = hits / np.maximum(hits + missed, 1)
    summary = raw_data_pb(name, *counts, precision, recall, num_thresholds=N_THRESHOLDS)
    tf.summary.experimental.write_raw_pb(summary.SerializeToString())


def curve_counts(truth: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Count hits, false alarms, silent negatives and misses at thresholds evenly in [0, 1].

    Returns int `(4, N_THRESHOLDS)`. As everywhere, a clip fires at score >= threshold.

    >>> curve_counts(np.array([True, False]), np.array([0.5, 0.25]))[:, [0, 25, 26, 50, 51]]
    array([[1, 1, 1, 1, 0],
           [1, 1, 0, 0, 0],
           [0, 0, 1, 1, 1],
           [0, 0, 0, 0, 1]])
    """
    thresholds = np.linspace(0, 1, N_THRESHOLDS).astype(np.float32)
    scores = np.asarray(scores, np.float32)
    fired = [len(x) - np.searchsorted(np.sort(x), thresholds) for x in (scores[truth], scores)]
    hits, false = fired[0], fired[1] - fired[0]
    return np.stack([hits, false, false[0] - false, hits[0] - hits])
