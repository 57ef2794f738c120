"""Models ready to learn, without what Keras does twice at the first step."""

import keras


def compile_for_clips(model: keras.Model, optimizer: str | keras.optimizers.Optimizer) -> None:
    """Compile a model to learn by its clip scores, its optimizer built: Keras traces its step once.

    An optimizer without variables makes them in the first step, which is then traced again.
    """
    model.compile(optimizer, {"clip": "binary_crossentropy"})
    model.optimizer.build(model.trainable_variables)
