"""The graph of the model, as it is in inference."""

import keras
import tensorflow as tf

from mmat.training.boards.part import Part


class Graph(Part):
    """Write the operations of a model, grouped by its layers; a model without fixed inputs none."""

    def begin(self, model):
        try:
            inputs = model.input
        except (AttributeError, ValueError):
            return  # a subclass that was not called yet
        specs = keras.tree.map_structure(lambda x: tf.TensorSpec(x.shape, x.dtype), inputs)
        called = tf.function(lambda x: model(x, training=False))
        tf.summary.graph(called.get_concrete_function(specs).graph)
