"""Layers for batches of clips of different length, padded at the end to the longest.

What lies beyond a clip's end is held at zero after every step, as the padding of a convolution
is, so that a clip gets in any batch what it gets alone.
"""

import keras
from keras import layers, ops

LARGE = 1e9
ENDLESS = 2**31 - 1  # samples; the largest int32


class _StopsMask(layers.Layer):
    """What all layers below share: the mask that Keras attaches to a recurrent layer ends here."""

    def compute_mask(self, inputs, previous_mask):
        return None


class _ByLength(_StopsMask):
    """What `ValidSteps` and `MaskPadding` share: `[x (batch, time, …), n_samples (batch,)]`.

    samples_per_step: from one time step of x to the next. Step t is the clip's own where
    `t · samples_per_step < n_samples`. at_least: so many steps count as any clip's own.
    """

    def __init__(self, samples_per_step: int, at_least: int = 0, **kwargs):
        super().__init__(**kwargs)
        self.samples_per_step = samples_per_step
        self.at_least = at_least

    def own(self, x, n_samples):
        """Bool `(batch, time)`."""
        steps = ops.arange(ops.shape(x)[1], dtype="int32")
        starts_inside = steps * self.samples_per_step < ops.cast(n_samples, "int32")[:, None]
        return ops.logical_or(starts_inside, steps < self.at_least)

    def get_config(self):
        own = {"samples_per_step": self.samples_per_step, "at_least": self.at_least}
        return super().get_config() | own


@keras.saving.register_keras_serializable(package="mmat")
class ValidSteps(_ByLength):
    """Tell which time steps are a clip's own, bool `(batch, time)`: a mask for what follows.

    Inputs: `[x (batch, time, …), n_samples (batch,)]`; step t is the clip's own where
    `t · samples_per_step < n_samples`. at_least: so many steps count as any clip's own.

    >>> ValidSteps(1600)([ops.zeros((1, 3, 2)), ops.array([3200])]).numpy().tolist()
    [[True, True, False]]
    """

    def call(self, inputs):
        return self.own(*inputs)

    def compute_output_spec(self, inputs):
        return keras.KerasTensor(inputs[0].shape[:2], "bool")


@keras.saving.register_keras_serializable(package="mmat")
class MaskPadding(_ByLength):
    """Set the time steps beyond a clip's end to zero, whatever stood there, even NaN.

    Inputs: `[x (batch, time, …), n_samples (batch,)]`, output as x. The arguments are those of
    `ValidSteps`.

    >>> MaskPadding(1600)([ops.ones((1, 3, 1)), ops.array([1601])]).numpy().ravel().tolist()
    [1.0, 1.0, 0.0]
    """

    def call(self, inputs):
        x, n_samples = inputs
        own = self.own(x, n_samples)
        shape = (-1, ops.shape(x)[1], *[1] * (len(x.shape) - 2))
        # One zero: as many as x has would lie in every LiteRT file.
        return ops.where(ops.reshape(own, shape), x, ops.zeros((), x.dtype))

    def compute_output_shape(self, input_shapes):
        return input_shapes[0]


@keras.saving.register_keras_serializable(package="mmat")
class HoldOwnFrames(_StopsMask):
    """Hold each of a few evenly spaced frames for its share of the clip's own time steps.

    Inputs: `[frames (batch, n_frames, classes), own bool (batch, time)]`; output `(batch, time,
    classes)`, 0 beyond the clip's end. A clip without own steps, since it has no sound, has its
    frames held over the whole time.

    >>> own = ops.array([[True, True, True, True, False]])
    >>> HoldOwnFrames()([ops.array([[[1.0], [2.0]]]), own]).numpy().ravel().tolist()
    [1.0, 1.0, 2.0, 2.0, 0.0]
    """

    def __init__(self, **kwargs):
        super().__init__(**kwargs | {"dtype": "float32"})

    def call(self, inputs):
        frames, own = inputs
        n_frames, n_steps = ops.shape(frames)[1], ops.shape(own)[1]
        n_own = ops.sum(ops.cast(own, "int32"), axis=1, keepdims=True)
        n_own = ops.where(n_own > 0, n_own, n_steps)  # (batch, 1)
        steps = ops.arange(n_steps, dtype="int32")[None]
        which = ops.minimum(steps * n_frames // n_own, n_frames - 1)  # (batch, time)
        held = ops.take_along_axis(frames, which[:, :, None], axis=1)
        return ops.where((steps < n_own)[:, :, None], held, 0.0)

    def compute_output_shape(self, input_shapes):
        frames, own = input_shapes
        return (frames[0], own[1], frames[2])


@keras.saving.register_keras_serializable(package="mmat")
class OwnMeanAndMax(_StopsMask):
    """Mean and maximum over the clip's own time steps, 0 where there are none.

    Inputs: `[x (batch, time, units), own bool (batch, time)]`; output `(batch, 2 · units)`.

    >>> x, own = ops.array([[[1.0], [3.0], [9.0]]]), ops.array([[True, True, False]])
    >>> OwnMeanAndMax()([x, own]).numpy().tolist()
    [[2.0, 3.0]]
    """

    def __init__(self, **kwargs):
        super().__init__(**kwargs | {"dtype": "float32"})

    def call(self, inputs):
        x, own = inputs
        own = own[:, :, None]
        n_own = ops.sum(ops.cast(own, "float32"), axis=1)  # (batch, 1)
        mean = ops.sum(ops.where(own, x, 0.0), axis=1) / ops.maximum(n_own, 1.0)
        highest = ops.max(ops.where(own, x, -LARGE), axis=1)
        return ops.concatenate([mean, ops.where(n_own > 0, highest, 0.0)], axis=-1)

    def compute_output_shape(self, input_shapes):
        (batch, _, units), _ = input_shapes
        return (batch, 2 * units)


def mask_padding(x, n_samples, samples_per_step: int, dtype: str = "float32"):
    """Apply `MaskPadding` where clips have lengths of their own; without (None), x as it is."""
    return x if n_samples is None else MaskPadding(samples_per_step, dtype=dtype)([x, n_samples])
