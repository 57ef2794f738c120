"""What a served model is to those who ask it, whatever computes it: NumPy arrays in and out."""

import dataclasses
from collections.abc import Mapping
from typing import Protocol

import numpy as np

from mmat.labels import LabelSet

# What a model takes of the image network's outputs, by the name that they have there.
IMAGE_INPUTS = {"probabilities": "image_probabilities", "embedding": "image_embeddings"}


@dataclasses.dataclass(frozen=True)
class Facts:
    """What must be known of a model to use it.

    labels: with their task. thresholds: float32 `(classes,)`. clip_seconds: the length of clips
    that it was trained with. n_frames, image_size_px: how many pictures of which size it sees of a
    clip, 0 without pictures. image_network: the one whose probabilities the model takes, where that
    is said; empty without one.

    >>> Facts(LabelSet.of(["Dog"]), np.float32([0.5]), 10.0).are_sound
    True
    """

    labels: LabelSet
    thresholds: np.ndarray
    clip_seconds: float
    n_frames: int = 0
    image_size_px: int = 0
    image_network: str = ""

    @property
    def are_sound(self) -> bool:
        """Whether they belong together, as those of a damaged file may not."""
        numbers = [self.clip_seconds, self.n_frames, self.image_size_px]
        return (
            self.thresholds.shape == (len(self.labels),)
            and bool(np.isfinite([*self.thresholds, *numbers]).all())
            and self.clip_seconds > 0
            and min(numbers[1:]) >= 0
        )


class ServedModel(Protocol):
    """A model that answers. Outputs, by name, are those of `mmat.export.savedmodel`.

    inputs: the names of what `serve` takes: those of `waveform`, `frames`, `has_audio` and
    `has_video` that the model has, as `mmat.export.savedmodel` describes them. label_maps: the
    facts of that module's signature `label_maps`, empty without.
    """

    facts: Facts
    label_maps: Mapping[str, np.ndarray]
    inputs: frozenset[str]

    def serve(self, **inputs: np.ndarray) -> dict[str, np.ndarray]:
        """Return the outputs for clips, arrays `(batch, …)` by the names of `inputs`."""

    def audio_only(self, waveform: np.ndarray) -> dict[str, np.ndarray]:
        """Return the outputs for sound alone, float32 `(batch, samples, 1)`; if it hears."""
