"""Training batches of log-mel in which clips are shifted, levelled and mixed with one another."""

import keras
import numpy as np


class MixedMels(keras.utils.PyDataset):
    """Batches of augmented log-mel and their weak labels; each epoch sees every clip once.

    log_mels: decibels `(clips, frames, bands, 1)` of the front end. weak_labels: `(clips,
    classes)`. Each clip is turned round in time by a random amount and given a random level; with
    the probability `mix` another clip is added, and the labels of both hold. Magnitudes are added
    as if in phase, which is at most 3 dB too much. A seed gives the same batches in every run.

    >>> mels, labels = np.zeros((10, 400, 64, 1), "float32"), np.eye(10, 3, dtype="float32")
    >>> x, y = MixedMels(mels, labels, batch_size=4)[0]
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
        mel, labels = self._turned(i, rng), self.weak_labels[i]
        if rng.random() < self.mix:
            other = self._turned(j, rng) + rng.uniform(*self.mix_db)
            mel = 10 * np.log10(10 ** (mel / 10) + 10 ** (other / 10))
            labels = np.maximum(labels, self.weak_labels[j])
        return mel + rng.uniform(*self.level_db), labels

    def _turned(self, i: int, rng: np.random.Generator) -> np.ndarray:
        mel = self.log_mels[i]
        return np.roll(mel, rng.integers(len(mel)), axis=0)
