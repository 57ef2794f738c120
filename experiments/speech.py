"""Acted speech whose speakers are left out one after the other: clips, folds, features once."""

import dataclasses
from collections.abc import Iterator

import keras
import numpy as np

from mmat.corpora.speech_emotion import (
    fetch_speech_emotion,
    read_speech_emotion,
    speech_emotion_labels,
)
from mmat.files import cache_folder
from mmat.labels import LabelSet
from mmat.models.pretrained.hub import HubAudioEncoder
from mmat.models.pretrained.registry import AudioEncoder
from mmat.shards.prepare import prepare
from mmat.shards.read import read_arrays
from mmat.training import back_end, front_end

AT_ONCE = 32  # clips
TOGETHER = 10  # frames: batches come in few lengths, each of which is planned for
SPLITS = ("train", "validation", "test")  # of the archive; here it is speakers who are left out


@dataclasses.dataclass(frozen=True, eq=False)
class Speech:
    """Recordings of several speakers, each padded at its end to the longest.

    waveform: float32 `(clips, samples, 1)`; n_samples: int32 `(clips,)`; truth: bool `(clips,
    classes)`; speakers: str `(clips,)`.
    """

    ids: list[str]
    waveform: np.ndarray
    n_samples: np.ndarray
    truth: np.ndarray
    speakers: np.ndarray
    labels: LabelSet

    def patches(self, encoder: AudioEncoder) -> list[np.ndarray]:
        """Return a frozen network's embeddings of each clip, float32 `(patches, size)`."""
        layer = HubAudioEncoder.of(encoder)
        own = zip(self.waveform, self.n_samples, strict=True)
        return [layer(x[np.newaxis, :n])["embedding"].numpy()[0] for x, n in own]

    def folds(self) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
        """Yield each speaker, the positions of the others' clips, and those of the speaker's."""
        for speaker in np.unique(self.speakers):
            left_out = self.speakers == speaker
            yield str(speaker), np.flatnonzero(~left_out), np.flatnonzero(left_out)


def fetched_speech(progress: bool = True) -> Speech:
    """Fetch the recordings, prepare them as any other clips, and read them."""
    media, labels = fetch_speech_emotion(progress=progress), speech_emotion_labels()
    clips, shards = read_speech_emotion(), cache_folder() / "speech-emotion-shards"
    prepare(clips, media, shards, labels, clip_seconds=None, progress=progress, overwrite=True)
    parts = [read_arrays(shards, split) for split in SPLITS]
    n_samples = np.concatenate([part["n_samples"] for part in parts])
    ids = [clip for part in parts for clip in part["ids"]]
    speaker_of = {clip.id: clip.source_group for clip in clips}
    return Speech(
        ids,
        np.concatenate([_padded(part["waveform"], n_samples.max()) for part in parts]),
        n_samples,
        np.concatenate([part["weak_labels"] for part in parts]) > 0,
        np.array([speaker_of[clip] for clip in ids]),
        labels,
    )


def _padded(waveform: np.ndarray, n_samples: int) -> np.ndarray:
    return np.pad(waveform, ((0, 0), (0, n_samples - waveform.shape[1]), (0, 0)))


class Features:
    """What the front end of ragged audio branches gives of all recordings, computed once.

    own: of each clip float32 `(frames, bands, 1)`, without what its padding gave.
    """

    def __init__(self, speech: Speech, branch: keras.Model, hop_samples: int):
        self.hop_samples = hop_samples
        end = front_end(branch)
        inputs = {"waveform": speech.waveform, "n_samples": speech.n_samples}
        self.all = end.predict(inputs, batch_size=AT_ONCE, verbose=0)
        counts = -(-speech.n_samples // hop_samples)
        self.own = [frames[:n] for frames, n in zip(self.all, counts, strict=True)]
        self.n_samples = speech.n_samples

    def adapt(self, branch: keras.Model, clips: np.ndarray) -> None:
        """Let a branch normalise by the clips it is to learn from."""
        branch.get_layer("band_normalization").adapt(self.own[clip][None] for clip in clips)

    def padded(self, clips: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return frames `(clips, frames, bands, 1)` up to the longest clip's, and all lengths."""
        longest = max(len(self.own[clip]) for clip in clips)
        n_frames = -(-longest // TOGETHER) * TOGETHER
        return self.all[clips, :n_frames], self.n_samples[clips]

    def scores(self, branch: keras.Model, clips: np.ndarray) -> np.ndarray:
        """Return what a branch answers, float32 `(clips, classes)`."""
        inputs = list(self.padded(clips))
        return back_end(branch).predict(inputs, batch_size=AT_ONCE, verbose=0)["clip"]
