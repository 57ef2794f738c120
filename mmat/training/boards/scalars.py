"""Numbers over steps: what Keras's logs hold, and the learning rate."""

import keras
import tensorflow as tf

from mmat.training.boards.part import Part

STEP, CHECKPOINT = "step", "checkpoint"


class Scalars(Part):
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
