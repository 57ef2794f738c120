"""Augmentation in the pipeline: of each clip's waveform, and of clips with one another (mixup).

Both are given to a dataset's `apply`, the first to clips, the second to batches:

    clips = load_split("shards", "train", ["waveform"]).apply(augmented([Gain(), Turn()], seed=0))
    train = batches(clips, 32, shuffle_seed=0).apply(mixup(0.2, seed=0))

A seed gives the same changes in every run, and others in every epoch. What acts on the mel stands
in `mmat.models.augment`.
"""

import dataclasses
from collections.abc import Callable, Sequence

import tensorflow as tf

from mmat.data.parsing import PRESENCE
from mmat.errors import InputError

Change = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
"""A waveform float32 (samples, 1) and a seed (2,) to a waveform of the same shape."""


@dataclasses.dataclass(frozen=True)
class Gain:
    """Another level, evenly drawn in decibels.

    >>> round(float(Gain(-6.0, -6.0)(tf.ones((1, 1)), tf.constant([0, 0]))[0, 0]), 3)
    0.501
    """

    low_db: float = -6.0
    high_db: float = 6.0

    def __call__(self, waveform: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        level_db = tf.random.stateless_uniform((), seed, self.low_db, self.high_db)
        return waveform * _amplitude(level_db)


@dataclasses.dataclass(frozen=True)
class Turn:
    """Turn the clip round in time: what is pushed out at one end comes in at the other.

    max_share: how far at most, as a share of the clip's length, in either direction.

    >>> Turn()(tf.range(4.0)[:, None], tf.constant([0, 1])).numpy().ravel().tolist()
    [2.0, 3.0, 0.0, 1.0]
    """

    max_share: float = 0.5

    def __call__(self, waveform: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        share = tf.random.stateless_uniform((), seed, -self.max_share, self.max_share)
        n_samples = tf.cast(tf.shape(waveform)[0], tf.float32)
        return tf.roll(waveform, tf.cast(tf.round(share * n_samples), tf.int32), axis=0)


@dataclasses.dataclass(frozen=True)
class Noise:
    """Add white noise, by an evenly drawn number of decibels softer than the clip (RMS).

    >>> Noise()(tf.zeros((3, 1)), tf.constant([0, 0])).numpy().ravel().tolist()
    [0.0, 0.0, 0.0]
    """

    low_snr_db: float = 10.0
    high_snr_db: float = 40.0

    def __call__(self, waveform: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        level_seed, noise_seed = tf.unstack(tf.random.split(seed, 2))
        snr_db = tf.random.stateless_uniform((), level_seed, self.low_snr_db, self.high_snr_db)
        level = tf.sqrt(tf.reduce_mean(tf.square(waveform))) * _amplitude(-snr_db)
        return waveform + level * tf.random.stateless_normal(tf.shape(waveform), noise_seed)


@dataclasses.dataclass(frozen=True)
class Polarity:
    """Turn the sign of the whole waveform, which nobody hears.

    >>> float(Polarity(1.0)(tf.ones((1, 1)), tf.constant([0, 0]))[0, 0])
    -1.0
    """

    probability: float = 0.5

    def __call__(self, waveform: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        turned = tf.random.stateless_uniform((), seed) < self.probability
        return tf.where(turned, -waveform, waveform)


def augmented(changes: Sequence[Change], seed: int) -> Callable[[tf.data.Dataset], tf.data.Dataset]:
    """Return what changes each clip's waveform by all of the changes, for a dataset's `apply`.

    The dataset is one of clips, not of batches, so that padding is not changed. A waveform that
    would go beyond full scale is made softer as a whole. What is drawn hangs on the seed and, where
    one is set, on TensorFlow's global seed. Raises InputError, when applied, for clips without a
    waveform and for batches.
    """

    def change(clip, key):
        inputs, weak_labels = clip
        waveform = inputs["waveform"]
        for number, each in enumerate(changes):
            waveform = each(waveform, tf.random.fold_in(key, number))
        waveform /= tf.maximum(1.0, tf.reduce_max(tf.abs(waveform)))
        waveform = tf.ensure_shape(waveform, inputs["waveform"].shape)
        return inputs | {"waveform": waveform}, weak_labels

    def apply(clips: tf.data.Dataset) -> tf.data.Dataset:
        waveform = clips.element_spec[0].get("waveform")
        if waveform is None or waveform.shape.rank != 2:
            raise InputError("augmented: needs a dataset of clips with the input waveform")
        return _with_keys(clips, seed).map(change, num_parallel_calls=tf.data.AUTOTUNE)

    return apply


def mixup(alpha: float, seed: int) -> Callable[[tf.data.Dataset], tf.data.Dataset]:
    """Return what mixes the clips of each batch with one another, for a dataset's `apply`.

    Each clip gets a partner of its batch and a share drawn from Beta(alpha, alpha); waveforms,
    image probabilities and weak labels are mixed by it. Only clips that have the same of sound and
    pictures are mixed, the others stay as they are: labels speak of what is heard and seen, so a
    half that lacks the one or the other cannot be half there. Of different lengths, the longer.
    Raises InputError for an alpha that is not positive.

    Source: Zhang, Cisse, Dauphin and Lopez-Paz, arXiv 1710.09412.
    """
    if not alpha > 0:
        raise InputError(f"mixup: alpha must be positive, got {alpha}")

    def mix(batch, key):
        inputs, weak_labels = batch
        n_clips = tf.shape(weak_labels)[0]
        order_key, share_key = tf.unstack(tf.random.split(key, 2))
        partner = tf.random.experimental.stateless_shuffle(tf.range(n_clips), order_key)
        mixed = tf.ones((n_clips,), bool)
        for flag in set(PRESENCE.values()) & set(inputs):
            mixed &= inputs[flag] == tf.gather(inputs[flag], partner)
        share = tf.where(mixed, _beta(alpha, n_clips, share_key), 1.0)

        def blend(x):
            own = tf.reshape(share, (-1, *[1] * (len(x.shape) - 1)))
            return own * x + (1.0 - own) * tf.gather(x, partner)

        blended = {name: blend(inputs[name]) for name in PRESENCE if name in inputs}
        if "n_samples" in inputs:
            longer = tf.maximum(inputs["n_samples"], tf.gather(inputs["n_samples"], partner))
            blended["n_samples"] = tf.where(share < 1.0, longer, inputs["n_samples"])
        return inputs | blended, blend(weak_labels)

    def apply(batched: tf.data.Dataset) -> tf.data.Dataset:
        if batched.element_spec[1].shape.rank != 2:
            raise InputError("mixup: needs a dataset of batches; apply it after batches")
        mixing = _with_keys(batched, seed).map(mix, num_parallel_calls=tf.data.AUTOTUNE)
        return mixing.prefetch(1)

    return apply


def _with_keys(dataset: tf.data.Dataset, seed: int) -> tf.data.Dataset:
    """Put beside each element a random key (2,), another in every epoch.

    Where TensorFlow's global seed is set, as `keras.utils.set_random_seed` does, it is part of it.
    """
    draws = tf.data.Dataset.random(seed=seed, rerandomize_each_iteration=True)
    keys = draws.map(lambda draw: tf.stack([tf.constant(seed, tf.int64), draw]))
    return tf.data.Dataset.zip(dataset, keys)


def _amplitude(level_db: tf.Tensor) -> tf.Tensor:
    return tf.pow(10.0, level_db / 20.0)


def _beta(alpha: float, n: tf.Tensor, key: tf.Tensor) -> tf.Tensor:
    """Draw n numbers of Beta(alpha, alpha): the share of the first of two gamma draws."""
    # In float64, where gamma draws of a small alpha seldom vanish; if both do, nothing is mixed.
    draws = tf.random.stateless_gamma((2, n), key, tf.constant(alpha, tf.float64), dtype=tf.float64)
    total = tf.reduce_sum(draws, axis=0)
    return tf.cast(tf.where(total > 1e-300, draws[0] / total, 1.0), tf.float32)
