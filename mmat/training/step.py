"""One step of training: the loss of a batch, its gradients, and the weights moved by them.

The same step serves one device, several of one machine and several machines. With a strategy each
replica takes its rows of the batch, the gradients of the whole batch are summed once, and only
then clipped, checked and applied, so that the weights move as they do on one device.
"""

from collections.abc import Callable

import keras
import tensorflow as tf


def training_step(
    model: keras.Model,
    optimizer: keras.optimizers.Optimizer,
    strategy: tf.distribute.Strategy | None = None,
) -> Callable[[dict, tf.Tensor], tf.Tensor]:
    """Return a function that trains the model by one batch and gives the batch's loss.

    The function takes the model's inputs and weak labels, float32 `(batch, classes)`. The loss,
    float32 `()`, is the binary cross-entropy of the model's `clip` output, the mean over the whole
    batch and the classes. Frozen variables stay as they are. A `LossScaleOptimizer` scales the
    loss, which mixed_float16 needs.

    strategy: model and optimizer must then be made in its scope. The function takes the rows of
    this machine (`mmat.training.workers.own_share`); the loss is that of all machines' rows, which
    may differ in number. Batch normalisation takes the mean of each replica's own rows.

    >>> import numpy as np
    >>> clip = keras.layers.Dense(3, "sigmoid", name="clip")
    >>> level = keras.Input((5,), name="level")
    >>> model = keras.Model({"level": level}, {"clip": clip(level)})
    >>> step = training_step(model, keras.optimizers.Adam(0.1))
    >>> batch = {"level": np.ones((2, 5), "float32")}, np.ones((2, 3), "float32")
    >>> losses = [float(step(*batch)) for _ in range(3)]
    >>> losses[2] < losses[1] < losses[0]
    True
    """
    variables = model.trainable_variables
    if not optimizer.built:
        optimizer.build(variables)

    def gradients_of(inputs, weak_labels):
        with tf.GradientTape() as tape:
            loss = clip_loss(model(inputs, training=True), weak_labels)
            scaled = optimizer.scale_loss(loss)
        return loss, tape.gradient(scaled, variables)

    @tf.function(reduce_retracing=True)
    def step(inputs, weak_labels):
        loss, gradients = gradients_of(inputs, weak_labels)
        optimizer.apply(gradients, variables)
        return loss

    if strategy is not None:
        raise NotImplementedError("several devices: to come")
    return step


def clip_loss(outputs: dict, weak_labels) -> tf.Tensor:
    """Return the mean binary cross-entropy of the clips' probabilities, float32 `()`.

    >>> round(float(clip_loss({"clip": tf.constant([[0.5]])}, tf.constant([[1.0]]))), 4)
    0.6931
    """
    clip = tf.cast(outputs["clip"], tf.float32)
    return tf.reduce_mean(keras.losses.binary_crossentropy(tf.cast(weak_labels, tf.float32), clip))
