"""A clip in a long file gives the same events wherever it lies, whatever the windows are."""

import numpy as np
import pytest

import mmat
from mmat.media.read import SAMPLE_RATE_HZ, read_audio

BARK = "dog-gc-lrbark-1-la-cut"
CLIP_SECONDS, FILE_SECONDS = 8, 36


@pytest.fixture(scope="module")
def tagger(models_cache):
    return mmat.load(labels="Dog;Siren")


@pytest.fixture(scope="module")
def clip(recordings) -> np.ndarray:
    """Faint noise, in which a dog barks from 3 s on."""
    bark = read_audio(recordings[BARK])[: 3 * SAMPLE_RATE_HZ]
    clip = np.random.default_rng(1).normal(0, 0.003, CLIP_SECONDS * SAMPLE_RATE_HZ)
    clip[3 * SAMPLE_RATE_HZ :][: len(bark)] += 0.5 * bark / np.abs(bark).max()
    return clip.astype(np.float32)


def events_of(tagger, waveform, origin=0.0) -> list[tuple]:
    events = tagger.tag(waveform).events
    return [(e.label, e.onset_seconds - origin, e.offset_seconds - origin) for e in events]


@pytest.mark.parametrize("origin", [0.0, 3.3, 5.0, 7.7, 12.4, 17.1, 28.0])
def test_wherever_it_lies(origin, tagger, clip):
    ((label, onset, offset),) = events_of(tagger, clip)
    assert label == "Dog" and 2.5 < onset < 3.5
    rng = np.random.default_rng(2)
    whole = rng.normal(0, 0.003, FILE_SECONDS * SAMPLE_RATE_HZ).astype(np.float32)
    first = round(origin * SAMPLE_RATE_HZ)
    whole[first : first + len(clip)] = clip
    ((label, *times),) = events_of(tagger, whole, origin)
    # The sound network predicts every 0.48 s, on a grid of each window's own.
    assert label == "Dog"
    assert times == pytest.approx([onset, offset], abs=0.48)
