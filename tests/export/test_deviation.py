"""The clip that exports are measured on, and the distance that is measured."""

import numpy as np
import pytest

from mmat.export.deviation import largest_deviation, rising_noise
from mmat.labels import MULTI_CLASS
from mmat.models.audio import SPEECH_BLOCKS, audio_branch
from mmat.models.features import SPEECH_MEL
from mmat.models.fusion import fused_model
from mmat.models.video import video_branch


def test_the_noise_rises_to_half_of_full_scale():
    noise = rising_noise(16_000)
    assert noise.shape == (1, 16_000, 1) and noise.dtype == np.float32
    levels = np.sqrt(np.square(noise.reshape(10, -1)).mean(axis=1))
    assert (np.diff(levels) > 0).all()
    # That of noise without bounds to one side: the bound divided by the root of 3.
    assert levels[-1] == pytest.approx(0.475 / np.sqrt(3), rel=0.05)
    assert noise[0, 0] == 0 and np.abs(noise).max() <= 0.5


@pytest.fixture(scope="module")
def models() -> dict:
    hearing = audio_branch(3, mel=SPEECH_MEL, blocks=SPEECH_BLOCKS, ragged=True, task=MULTI_CLASS)
    seeing = video_branch(
        3, similarities=np.random.default_rng(0).random((1000, 3)), task=MULTI_CLASS
    )
    return {"ragged": hearing, "fused": fused_model(hearing, seeing)}


@pytest.mark.parametrize("kind", ["ragged", "fused"])
@pytest.mark.parametrize("name", ["clip", "frame"])
def test_the_largest_difference_counts(models, kind, name):
    noise = rising_noise(8000)
    given = {
        "waveform": noise,
        "n_samples": np.int32([8000]),
        "image_probabilities": np.zeros((1, 1, 1000), np.float32),
        "has_audio": np.array([True]),
        "has_video": np.array([False]),
    }
    found = models[kind].predict({key: given[key] for key in models[kind].input}, verbose=0)
    assert largest_deviation(models[kind], noise, found) < 1e-6
    found[name] = found[name].copy()
    found[name].flat[1] -= 0.25
    assert largest_deviation(models[kind], noise, found) == pytest.approx(0.25, abs=1e-6)
