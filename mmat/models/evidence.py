"""From image-label probabilities to evidence of sounds, by the similarities of their names.

`mmat.models.label_map` gives the similarities, `mmat.models.video.LabelMap` is the layer.
"""

import dataclasses
from collections.abc import Callable

import keras
from keras import ops

# (probabilities (…, n_image_labels), similarities (n_image_labels, classes)) -> (…, classes)
EvidenceFunction = Callable[..., keras.KerasTensor]
SMALLEST_SHARE = 1e-6


@keras.saving.register_keras_serializable(package="mmat")
def top_label(probabilities, similarities):
    """Evidence of the likeliest image label alone: its similarity, times its probability.

    probabilities (…, n_image_labels), similarities (n_image_labels, classes); returns float32
    (…, classes) in [0, 1].

    >>> top_label(ops.array([[0.75, 0.25]]), ops.array([[0.5, 0], [0, 1]])).numpy().tolist()
    [[0.375, 0.0]]
    """
    probabilities = ops.cast(probabilities, "float32")
    top = ops.argmax(probabilities, axis=-1)
    rows = ops.take(_positive(similarities), top, axis=0)
    return ops.max(probabilities, axis=-1, keepdims=True) * rows


@keras.saving.register_keras_serializable(package="mmat")
def similarity_weighted(probabilities, similarities):
    """Evidence as the mean similarity under the image labels' probabilities.

    probabilities (…, n_image_labels), similarities (n_image_labels, classes); returns float32
    (…, classes) in [0, 1].

    >>> probabilities, similarities = ops.array([[0.75, 0.25]]), ops.array([[0.5, 0], [0, 1]])
    >>> similarity_weighted(probabilities, similarities).numpy().tolist()
    [[0.375, 0.25]]
    """
    return ops.matmul(ops.cast(probabilities, "float32"), _positive(similarities))


class _Saved:
    """What Keras needs to save a frozen dataclass, and to make it again."""

    def get_config(self):
        return dataclasses.asdict(self)

    @classmethod
    def from_config(cls, config):
        return cls(**config)


@keras.saving.register_keras_serializable(package="mmat")
@dataclasses.dataclass(frozen=True)
class Sharpened(_Saved):
    """Evidence as the mean of similarity ** power: far labels fade, however many they are.

    Call with probabilities (…, n_image_labels) and similarities (n_image_labels, classes); returns
    float32 (…, classes) in [0, 1].

    >>> probabilities, similarities = ops.array([[0.75, 0.25]]), ops.array([[0.5, 0], [0, 1]])
    >>> Sharpened(power=2)(probabilities, similarities).numpy().tolist()
    [[0.1875, 0.25]]
    """

    power: float = 16.0

    def __call__(self, probabilities, similarities):
        return similarity_weighted(probabilities, ops.power(_positive(similarities), self.power))


@keras.saving.register_keras_serializable(package="mmat")
@dataclasses.dataclass(frozen=True)
class Thresholded(_Saved):
    """Evidence as the mean similarity, where those under a threshold are 0, above it scaled to 1.

    Call with probabilities (…, n_image_labels) and similarities (n_image_labels, classes); returns
    float32 (…, classes) in [0, 1].

    >>> probabilities, similarities = ops.array([[0.75, 0.25]]), ops.array([[0.5, 0], [0, 1]])
    >>> Thresholded(threshold=0.5)(probabilities, similarities).numpy().tolist()
    [[0.0, 0.25]]
    """

    threshold: float = 0.6

    def __call__(self, probabilities, similarities):
        above = (_positive(similarities) - self.threshold) / (1 - self.threshold)
        return similarity_weighted(probabilities, above)


@keras.saving.register_keras_serializable(package="mmat")
@dataclasses.dataclass(frozen=True)
class LikeliestName(_Saved):
    """Evidence as the likeliest of the names of each class, for names that may be true together.

    The class's nearest name counts fully, others by `(similarity / the largest) ** power`; of them
    the `n_names` nearest count. A class without any similarity gets 0.
    Call with probabilities (…, n_names) and similarities (n_names, classes); returns float32
    (…, classes) in [0, 1].

    >>> probabilities, similarities = ops.array([[0.75, 0.25]]), ops.array([[0.4, 0], [0.8, 0]])
    >>> LikeliestName(power=1)(probabilities, similarities).numpy().tolist()
    [[0.375, 0.0]]
    """

    power: float = 16.0
    n_names: int = 16

    def __call__(self, probabilities, similarities):
        weights = ops.transpose(_relative(similarities, self.power))  # (classes, all names)
        weights, names = ops.top_k(weights, min(self.n_names, similarities.shape[0]))
        named = ops.take(ops.cast(probabilities, "float32"), names, axis=-1)
        return ops.max(named * weights, axis=-1)


@keras.saving.register_keras_serializable(package="mmat")
@dataclasses.dataclass(frozen=True)
class EqualPriors(_Saved):
    """Evidence as the sum of the names of each class, as if every class were equally common.

    For names of which one is true. The nearest name counts fully, others by `(similarity / the
    largest) ** power`. A class of many names (118 breeds of dog) gathers chance from all of them:
    its odds are divided by those of its share of the names, times those of `prior`.
    Call with probabilities (…, n_names) and similarities (n_names, classes); returns float32
    (…, classes) in [0, 1].

    >>> probabilities, similarities = ops.array([[0.5, 0.25, 0.25]]), ops.eye(3, 2)
    >>> EqualPriors(prior=1 / 3)(probabilities, similarities).numpy().round(3).tolist()
    [[0.5, 0.25]]
    """

    power: float = 16.0
    prior: float = 0.001  # any label is as common in pictures as one of ImageNet's thousand

    def __call__(self, probabilities, similarities):
        weights = _relative(similarities, self.power)
        share = ops.clip(ops.mean(weights, axis=0), SMALLEST_SHARE, 1.0 - SMALLEST_SHARE)
        ratio = self.prior / (1.0 - self.prior) * (1.0 - share) / share
        summed = ops.minimum(similarity_weighted(probabilities, weights), 1.0)
        return summed * ratio / (1.0 - summed + summed * ratio)


def _relative(similarities, power: float):
    positive = _positive(similarities)
    largest = ops.max(positive, axis=0)
    return ops.power(positive / ops.where(largest > 0, largest, 1.0), power)


def _positive(similarities):
    return ops.clip(ops.cast(similarities, "float32"), 0.0, 1.0)
