"""Augmentation of log-mel in training: layers that change each clip, batches that mix clips."""

import keras
import numpy as np
from keras import layers, ops


class _MelAugmentation(layers.Layer):
    """What the layers below share: `(batch, frames, bands, 1)`, changed in training alone."""

    def __init__(self, seed: int | None = None, **kwargs):
        super().__init__(**kwargs)
        self.seed = seed
        self.generator = keras.random.SeedGenerator(seed)

    def call(self, mel, training=False):
        return self.change(mel) if training else mel

    def change(self, mel):
        raise NotImplementedError("a mel augmentation says how it changes the mel")

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return super().get_config() | {"seed": self.seed}

    def uniform(self, mel, shape, low, high):
        shape = (ops.shape(mel)[0], *shape)
        return keras.random.uniform(shape, low, high, dtype=mel.dtype, seed=self.generator)


@keras.saving.register_keras_serializable(package="mmat")
class SpecAugment(_MelAugmentation):
    """Hide one stretch of time and one of frequency by the mean (Park et al., 2019).

    max_time, max_frequency: the longest stretch as a share of the whole.

    >>> ones = ops.ones((1, 400, 64, 1))
    >>> bool(ops.any(SpecAugment(0.2, 0.2, seed=0)(ones, training=True) == 0))
    True
    """

    def __init__(self, max_time: float = 0.15, max_frequency: float = 0.2, **kwargs):
        super().__init__(**kwargs)
        self.max_time = max_time
        self.max_frequency = max_frequency

    def change(self, mel):
        keep_time = self._keep(mel, ops.shape(mel)[1], self.max_time)[:, :, None, None]
        keep_band = self._keep(mel, ops.shape(mel)[2], self.max_frequency)[:, None, :, None]
        return mel * keep_time * keep_band

    def _keep(self, mel, size, longest):
        length = self.uniform(mel, (1,), 0.0, longest)
        start = self.uniform(mel, (1,), 0.0, 1.0) * (1.0 - length)
        place = (ops.arange(size, dtype=mel.dtype) + 0.5) / ops.cast(size, mel.dtype)
        hidden = ops.logical_and(place >= start, place < start + length)
        return 1.0 - ops.cast(hidden, mel.dtype)

    def get_config(self):
        return super().get_config() | {
            "max_time": self.max_time,
            "max_frequency": self.max_frequency,
        }


@keras.saving.register_keras_serializable(package="mmat")
class RandomFilter(_MelAugmentation):
    """Add a smooth random curve over the bands, and a level: another microphone, another room.

    strength: the curve's greatest height, in standard deviations of the normalised mel.

    >>> RandomFilter(0.5)(ops.ones((2, 40, 64, 1)), training=True).shape
    TensorShape([2, 40, 64, 1])
    """

    def __init__(self, strength: float = 0.5, n_waves: int = 3, **kwargs):
        super().__init__(**kwargs)
        self.strength = strength
        self.n_waves = n_waves

    def change(self, mel):
        bands = ops.shape(mel)[2]
        place = ops.arange(bands, dtype=mel.dtype) / ops.cast(bands, mel.dtype)
        waves = ops.arange(self.n_waves, dtype=mel.dtype)[:, None]
        curves = ops.cos(3.14159265 * waves * place)  # wave 0 is the level
        heights = self.uniform(mel, (self.n_waves,), -self.strength, self.strength)
        return mel + ops.matmul(heights, curves)[:, None, :, None]

    def get_config(self):
        return super().get_config() | {"strength": self.strength, "n_waves": self.n_waves}


class MixupMels(keras.utils.PyDataset):
    """Batches of time-shifted, mixed-up log-mel and weak labels; each clip comes once an epoch.

    log_mels: decibels `(clips, frames, bands, 1)` of the front end. weak_labels: `(clips,
    classes)`. Each clip is shifted in time by a random amount, what leaves at one end coming in at
    the other, and given a random level; with the probability `mix` another clip is added, and the
    labels of both hold. Magnitudes are added as if in phase, which is at most 3 dB too much. A seed
    gives the same batches in every run.

    >>> mels, labels = np.zeros((10, 400, 64, 1), "float32"), np.eye(10, 3, dtype="float32")
    >>> x, y = MixupMels(mels, labels, batch_size=4)[0]
    >>> x.shape, y.shape
    ((4, 400, 64, 1), (4, 3))
    """

    def __init__(
        self,
        log_mels: np.ndarray,
        weak_labels: np.ndarray,
        batch_size: int = 16,
        mix: float = 0.5,
        mix_db: tuple[float, float] = (-4.0, 1.0),
        level_db: tuple[float, float] = (-5.0, 3.0),
        seed: int = 0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.log_mels = log_mels
        self.weak_labels = weak_labels
        self.batch_size = batch_size
        self.mix, self.mix_db, self.level_db = mix, mix_db, level_db
        self.seed, self.epoch = seed, 0
        self._shuffle()

    def __len__(self) -> int:
        return len(self.log_mels) // self.batch_size

    def on_epoch_end(self) -> None:
        self.epoch += 1
        self._shuffle()

    def _shuffle(self) -> None:
        rng = np.random.default_rng([self.seed, self.epoch])
        self.order, self.partners = (rng.permutation(len(self.log_mels)) for _ in range(2))

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.default_rng([self.seed, self.epoch, index])
        own = slice(index * self.batch_size, (index + 1) * self.batch_size)
        pairs = zip(self.order[own], self.partners[own], strict=True)
        mels, labels = zip(*(self._clip(i, j, rng) for i, j in pairs), strict=True)
        return np.stack(mels).astype(np.float32), np.stack(labels)

    def _clip(self, i: int, j: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        mel, labels = self._shifted(i, rng), self.weak_labels[i]
        if rng.random() < self.mix:
            other = self._shifted(j, rng) + rng.uniform(*self.mix_db)
            mel = 10 * np.log10(10 ** (mel / 10) + 10 ** (other / 10))
            labels = np.maximum(labels, self.weak_labels[j])
        return mel + rng.uniform(*self.level_db), labels

    def _shifted(self, i: int, rng: np.random.Generator) -> np.ndarray:
        mel = self.log_mels[i]
        return np.roll(mel, rng.integers(len(mel)), axis=0)
