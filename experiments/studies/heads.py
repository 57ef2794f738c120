"""MIL heads on a frozen audio encoder: the audio branch without its encoder, on kept embeddings.

The recipe is that of the CRNN as far as it applies: AdamW with a warm cosine, clips shifted in time
and mixed, a stretch of time hidden. Rate and dropout were chosen by `head_grid.py`.
"""

import dataclasses

import keras
import numpy as np

from experiments.studies.embeddings import MixupEmbeddings
from mmat.labels import MULTI_LABEL
from mmat.models.audio import audio_branch
from mmat.models.augment import SpecAugment
from mmat.models.pooling import linear_softmax
from mmat.models.predict import fill_missing
from mmat.models.pretrained.registry import AudioEncoder
from mmat.training import back_end, learning_back_end

BATCH = 32


@dataclasses.dataclass(frozen=True)
class Recipe:
    """What is tuned of a head's training."""

    rate: float
    dropout: float
    epochs: int


# The best of the grid in validation mAP.
HEAD_RECIPE = Recipe(rate=1e-3, dropout=0.3, epochs=8)


class HeadTrainer:
    """Trains heads on one encoder's embeddings of the corpus, one after the other.

    data: the splits; frames: their embeddings, as `embedded` gives them.
    """

    def __init__(self, data: dict, frames: dict[str, np.ndarray], encoder: AudioEncoder):
        self.data, self.frames, self.encoder = data, frames, encoder
        self.heard = np.flatnonzero(data["train"]["has_audio"])

    def train(self, recipe: Recipe, seed: int, dtype: str, pooling=linear_softmax) -> keras.Model:
        """Return the whole audio branch, waveform in, whose head was trained."""
        keras.utils.set_random_seed(seed)
        frames, truth = (
            x[self.heard] for x in (self.frames["train"], self.data["train"]["weak_labels"])
        )
        options = {
            "pooling": pooling,
            "augmentation": (SpecAugment(0.15, 0.0, seed=seed),),
            "dropout": recipe.dropout,
            "encoder": self.encoder,
        }
        audio = audio_branch(truth.shape[1], **options, dtype=dtype)
        audio.get_layer("band_normalization").adapt(
            frames[i : i + BATCH] for i in range(0, len(frames), BATCH)
        )
        batches = MixupEmbeddings(frames, truth, BATCH, seed=seed)
        head = learning_back_end(audio, recipe.rate, recipe.epochs * len(batches), len(batches))
        head.fit(batches, epochs=recipe.epochs, verbose=2)
        if dtype == "float32":
            return audio
        plain = audio_branch(truth.shape[1], **options)  # what is evaluated is what is exported
        plain.set_weights(audio.get_weights())
        return plain

    def scores(self, audio: keras.Model, split: str) -> dict[str, np.ndarray]:
        """What the branch predicts of a split, as `predict` does from the waveforms."""
        outputs = back_end(audio).predict(self.frames[split], batch_size=50, verbose=0)
        heard = self.data[split]["has_audio"]
        return {name: fill_missing(MULTI_LABEL, x, heard) for name, x in outputs.items()}
