"""Layers that join the scores of two branches, and fall back to one where the other is missing."""

import keras
import numpy as np
from keras import layers, ops

_MARGIN = 1e-6  # so far from 0 and 1 are probabilities kept whose log-odds are taken
LATE_WEIGHTS = (0.7, 1.0)  # of audio and video, where learning starts; chosen on validation


def log_odds(probabilities):
    """Return `log(p / (1 - p))` of probabilities, finite at 0 and 1.

    >>> float(log_odds(0.5))
    0.0
    """
    p = ops.clip(ops.cast(probabilities, "float32"), _MARGIN, 1.0 - _MARGIN)
    return ops.log(p) - ops.log1p(-p)


@keras.saving.register_keras_serializable(package="mmat")
class LateFusion(layers.Layer):
    """Probability from the weighted log-odds of both branches, two learnt weights a class.

    `σ(w_audio · logit(audio) + w_video · (logit(video) - logit(rate)))`. Inputs: audio and video
    probabilities of one shape `(batch, …, classes)` and what to keep `(batch, 2)` of 0 and 1.
    label_rates: `(classes,)`. pull: how strongly a weight is held to where it started, so that a
    class with few clips stays near the common weights.

    >>> layer = LateFusion([0.5])
    >>> fused = layer([np.float32([[0.5]]), np.float32([[0.5]]), np.float32([[1, 1]])])
    >>> float(fused[0, 0])
    0.5
    """

    def __init__(self, label_rates, pull: float = 0.3, **kwargs):
        super().__init__(**kwargs | {"dtype": "float32"})
        self.label_rates = [float(rate) for rate in label_rates]
        self.pull = pull

    def build(self, input_shapes):
        self.prior = np.asarray(log_odds(np.float32(self.label_rates)))
        self.audio_weight, self.video_weight = (
            self.add_weight(
                name=f"{name}_weight",
                shape=self.prior.shape,
                initializer=keras.initializers.Constant(start),
                regularizer=L2Toward(start, self.pull),
            )
            for name, start in zip(("audio", "video"), LATE_WEIGHTS, strict=True)
        )

    def call(self, inputs):
        audio, video, keep = inputs
        shape = (-1, *[1] * (len(audio.shape) - 1))
        heard = self.audio_weight * log_odds(audio) * ops.reshape(keep[:, 0], shape)
        seen = self.video_weight * (log_odds(video) - self.prior)
        return ops.sigmoid(heard + seen * ops.reshape(keep[:, 1], shape))

    def compute_output_shape(self, input_shapes):
        return input_shapes[0]

    def get_config(self):
        return super().get_config() | {"label_rates": self.label_rates, "pull": self.pull}


@keras.saving.register_keras_serializable(package="mmat")
class Corrected(layers.Layer):
    """Add a correction `(batch, classes)` to the log-odds of scores `(batch, …, classes)`.

    >>> Corrected()([np.full((1, 2, 1), 0.5, "float32"), np.zeros((1, 1))]).numpy().tolist()
    [[[0.5], [0.5]]]
    """

    def __init__(self, **kwargs):
        super().__init__(**kwargs | {"dtype": "float32"})

    def call(self, inputs):
        scores, correction = inputs
        shape = (-1, *[1] * (len(scores.shape) - 2), scores.shape[-1])
        return ops.sigmoid(log_odds(scores) + ops.reshape(correction, shape))

    def compute_output_shape(self, input_shapes):
        return input_shapes[0]


@keras.saving.register_keras_serializable(package="mmat")
class L2Toward(keras.regularizers.Regularizer):
    """Half the mean squared distance of weights from where they started, times a strength."""

    def __init__(self, start: float, strength: float):
        self.start = start
        self.strength = strength

    def __call__(self, weights):
        return 0.5 * self.strength * ops.mean(ops.square(weights - self.start))

    def get_config(self):
        return {"start": self.start, "strength": self.strength}


@keras.saving.register_keras_serializable(package="mmat")
class ModalityDropout(layers.Layer):
    """Say which branches to keep, `(batch, 2)` of 0 and 1: in training sometimes only one.

    rate: how often one of the two is silenced, never both. The inputs give the batch size alone.

    >>> scores = np.zeros((4, 3), "float32")
    >>> bool(ops.all(ModalityDropout(0.5)([scores, scores]) == 1))
    True
    """

    def __init__(self, rate: float = 0.2, seed: int | None = None, **kwargs):
        super().__init__(**kwargs | {"dtype": "float32"})
        self.rate = rate
        self.seed = seed
        self.generator = keras.random.SeedGenerator(seed)

    def call(self, inputs, training=False):
        batch = ops.shape(inputs[0])[0]
        if not training:
            return ops.ones((batch, 2), "float32")
        draw = keras.random.uniform((batch,), seed=self.generator)
        without_audio, without_video = draw < self.rate / 2, draw > 1 - self.rate / 2
        return 1.0 - ops.cast(ops.stack([without_audio, without_video], axis=1), "float32")

    def compute_output_shape(self, input_shapes):
        return (input_shapes[0][0], 2)

    def get_config(self):
        return super().get_config() | {"rate": self.rate, "seed": self.seed}


@keras.saving.register_keras_serializable(package="mmat")
class Fallback(layers.Layer):
    """The fused scores where both are present, else exactly those of the one that is, else 0.

    Inputs: fused, audio and video scores of one shape, `has_audio` and `has_video` `(batch,)`.

    >>> one, yes, no = np.ones((1, 2), "float32"), np.array([True]), np.array([False])
    >>> Fallback()([one, one / 2, one / 4, yes, no]).numpy().tolist()
    [[0.5, 0.5]]
    """

    def __init__(self, **kwargs):
        super().__init__(**kwargs | {"dtype": "float32"})

    def call(self, inputs):
        fused, audio, video, has_audio, has_video = inputs
        shape = (-1, *[1] * (len(fused.shape) - 1))
        has_audio, has_video = ops.reshape(has_audio, shape), ops.reshape(has_video, shape)
        alone = ops.where(has_audio, audio, ops.where(has_video, video, ops.zeros_like(video)))
        return ops.where(ops.logical_and(has_audio, has_video), fused, alone)

    def compute_output_shape(self, input_shapes):
        return input_shapes[0]


@keras.saving.register_keras_serializable(package="mmat")
class WherePresent(layers.Layer):
    """A branch's scores `(batch, …, classes)`, 0 where the branch had nothing to go by.

    >>> WherePresent()([np.ones((1, 2), "float32"), np.array([False])]).numpy().tolist()
    [[0.0, 0.0]]
    """

    def __init__(self, **kwargs):
        super().__init__(**kwargs | {"dtype": "float32"})

    def call(self, inputs):
        scores, present = inputs
        shape = (-1, *[1] * (len(scores.shape) - 1))
        return ops.where(ops.reshape(present, shape), scores, ops.zeros_like(scores))

    def compute_output_shape(self, input_shapes):
        return input_shapes[0]


@keras.saving.register_keras_serializable(package="mmat")
class EitherRight(layers.Layer):
    """The probability that at least one of two independent witnesses is right: `a + b·(1 - a)`.

    Two inputs of one shape in [0, 1]; where one is 0, exactly the other.

    >>> EitherRight()([np.float32([0.5, 0.0]), np.float32([0.5, 0.25])]).numpy().tolist()
    [0.75, 0.25]
    """

    def __init__(self, **kwargs):
        super().__init__(**kwargs | {"dtype": "float32"})

    def call(self, inputs):
        one, other = inputs
        return one + other * (1.0 - one)

    def compute_output_shape(self, input_shapes):
        return input_shapes[0]


@keras.saving.register_keras_serializable(package="mmat")
class Competing(layers.Layer):
    """Labels that are asked for together compete: `x · (x / the highest at that moment) ** power`.

    `(batch, time, classes)` in [0, 1] to the same shape. The highest keeps its score, and so does
    a label that is asked for alone; a weaker one must be the surer of itself, since networks give
    half a thought to whatever resembles what they hear.

    >>> Competing()(np.float32([[[0.5, 0.25, 0.0]]])).numpy().tolist()
    [[[0.5, 0.125, 0.0]]]
    """

    def __init__(self, power: float = 1.0, **kwargs):
        super().__init__(**kwargs | {"dtype": "float32"})
        self.power = power

    def call(self, scores):
        highest = ops.max(scores, axis=-1, keepdims=True)
        return scores * ops.power(scores / ops.where(highest > 0, highest, 1.0), self.power)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return super().get_config() | {"power": self.power}
