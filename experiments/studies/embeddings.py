"""Frozen embeddings of the mini corpus, computed once, and training batches mixed of them."""

import pathlib

import numpy as np

from mmat.files import atomic_path
from mmat.models.audio import PatchesToFrames
from mmat.models.augment import MixupMels
from mmat.models.pretrained.hub import HubAudioEncoder
from mmat.models.pretrained.registry import AudioEncoder

FRAME_SAMPLES = 1600  # of the audio branch, 10 Hz


def embedded(data: dict, encoder: AudioEncoder, folder: pathlib.Path) -> dict[str, np.ndarray]:
    """Each split's embeddings at 10 Hz, `(clips, frames, embedding_size, 1)`, normalised by none.

    What the front end of an audio branch on this encoder gives. Its patches are kept in `folder`
    and computed anew for other clips: about 4 minutes for the mini corpus on a core.
    """
    path = folder / f"patches-{encoder.name}.npz"
    kept = _read(path, data)
    if kept is None:
        print(f"{path}: {encoder.name} hears {sum(map(_size, data.values()))} clips", flush=True)
        kept = {split: _patches(own["waveform"], encoder) for split, own in data.items()}
        with atomic_path(path) as part, part.open("wb") as file:
            ids = {f"{split}/ids": np.array(own["ids"]) for split, own in data.items()}
            np.savez(file, **kept, **ids)
    to_frames = PatchesToFrames(encoder.hop_samples, encoder.window_samples, FRAME_SAMPLES)
    frames = {}
    for split, own in data.items():
        length = np.zeros((1, own["waveform"].shape[1], 1), np.float32)  # of all its clips
        frames[split] = to_frames([kept[split], length]).numpy()[..., None]
    return frames


def _size(own: dict) -> int:
    return len(own["waveform"])


def _read(path: pathlib.Path, data: dict) -> dict[str, np.ndarray] | None:
    if not path.exists():
        return None
    with np.load(path, allow_pickle=False) as kept:
        if any(kept[f"{split}/ids"].tolist() != list(own["ids"]) for split, own in data.items()):
            return None
        return {split: kept[split] for split in data}


def _patches(waveforms: np.ndarray, encoder: AudioEncoder) -> np.ndarray:
    layer = HubAudioEncoder.of(encoder)
    return np.concatenate(
        [layer(waveforms[i : i + 16])["embedding"].numpy() for i in range(0, len(waveforms), 16)]
    )


class MixupEmbeddings(MixupMels):
    """Batches of embeddings as `MixupMels` makes them of log-mel: shifted in time, and mixed.

    Two clips that sound at once have the mean of both embeddings: on 24 pairs its error against
    YAMNet's answer to the sum of their waveforms is 0.17, that of the greater value 0.23.
    """

    def _clip(self, i: int, j: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        embedding, labels = self._shifted(i, rng), self.weak_labels[i]
        if rng.random() < self.mix:
            embedding = (embedding + self._shifted(j, rng)) / 2
            labels = np.maximum(labels, self.weak_labels[j])
        return embedding, labels
