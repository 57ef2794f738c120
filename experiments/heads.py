"""A head on a frozen encoder: the audio branch without its encoder, trained on kept embeddings.

Its recipe is that of the CRNN as far as it applies: AdamW with a warm cosine, clips shifted in time
and mixed, a stretch of time hidden. Learning rate and dropout were chosen by
`studies/head_grid.py`. This is what transfer learning usually is; it knows nothing of names.
"""

import dataclasses

import keras
import numpy as np

from mmat.labels import MULTI_LABEL
from mmat.media.sound import FRAME_SAMPLES
from mmat.models.audio import audio_branch
from mmat.models.augment import MixupMels, SpecAugment
from mmat.models.features import PatchesToFrames
from mmat.models.pooling import linear_softmax
from mmat.models.predict import fill_missing
from mmat.pretrained.registry import AudioEncoder
from mmat.training.submodels import back_end, compiled_back_end

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
        self.with_audio = np.flatnonzero(data["train"]["has_audio"])

    def train(self, recipe: Recipe, seed: int, dtype: str, pooling=linear_softmax) -> keras.Model:
        """Return the whole audio branch, waveform in, whose head was trained."""
        keras.utils.set_random_seed(seed)
        frames, truth = (
            x[self.with_audio] for x in (self.frames["train"], self.data["train"]["weak_labels"])
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
        head = compiled_back_end(audio, recipe.rate, recipe.epochs * len(batches), len(batches))
        head.fit(batches, epochs=recipe.epochs, verbose=2)
        if dtype == "float32":
            return audio
        plain = audio_branch(truth.shape[1], **options)  # what is evaluated is what is exported
        plain.set_weights(audio.get_weights())
        return plain

    def scores(self, audio: keras.Model, split: str) -> dict[str, np.ndarray]:
        """What the branch predicts of a split, as `predict` does from the waveforms."""
        outputs = back_end(audio).predict(self.frames[split], batch_size=50, verbose=0)
        has_audio = self.data[split]["has_audio"]
        return {name: fill_missing(MULTI_LABEL, x, has_audio) for name, x in outputs.items()}


class MixupEmbeddings(MixupMels):
    """Batches of embeddings as `MixupMels` makes them of log-mel: shifted in time, and mixed.

    Two clips that sound at once have the mean of both embeddings: on 24 pairs its error against
    YAMNet's embedding of the sum of their waveforms is 0.17, that of the greater value 0.23.
    """

    def _clip(self, i: int, j: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        embedding, labels = self._shifted(i, rng), self.weak_labels[i]
        if rng.random() < self.mix:
            embedding = (embedding + self._shifted(j, rng)) / 2
            labels = np.maximum(labels, self.weak_labels[j])
        return embedding, labels


def embedded(data: dict, encoder: AudioEncoder) -> dict[str, np.ndarray]:
    """Each split's embeddings at 10 Hz, `(clips, frames, embedding_size, 1)`, not normalised.

    What the front end of an audio branch on this encoder gives, of the `sound_embeddings` that the
    shards hold beside the waveforms, rounded as they are there.
    """
    to_frames = PatchesToFrames(encoder.hop_samples, encoder.window_samples, FRAME_SAMPLES)
    frames = {}
    for split, own in data.items():
        length = np.zeros((1, own["waveform"].shape[1], 1), np.float32)  # of all its clips
        frames[split] = to_frames([own["sound_embeddings"], length]).numpy()[..., None]
    return frames
