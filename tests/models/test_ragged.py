"""The ragged form of a model gives a padded clip what the model gives the clip alone."""

import keras
import numpy as np
import pytest
from keras import ops

from mmat.labels import LabelSet
from mmat.models.audio import audio_branch, talnet
from mmat.models.bundle import Bundle
from mmat.models.fusion import fused_model, middle_fusion
from mmat.models.names import zero_shot_bundle
from mmat.models.ragged import ragged_form
from mmat.models.video import video_branch

LABELS = LabelSet.of(["Dog", "Siren", "Banana"])
N_OWN, N_SAMPLES, N_FRAMES = 20_000, 32_000, 3


def made(name: str) -> Bundle:
    if name == "untrained":
        return zero_shot_bundle(LABELS)
    video = video_branch(3, similarities=np.random.default_rng(0).random((1000, 3), np.float32))
    model = {
        "audio": lambda: audio_branch(3),
        "talnet": lambda: talnet(3),
        "fused": lambda: fused_model(audio_branch(3), video),
        "middle": lambda: fused_model(audio_branch(3), video, middle_fusion),
    }[name]()
    return Bundle(model, LABELS, np.full(3, 0.5, np.float32), "efficientnet_lite0")


@pytest.mark.parametrize("name", ["audio", "talnet", "fused", "middle", "untrained"])
def test_padding_changes_nothing(models_cache, name):
    keras.utils.set_random_seed(0)
    bundle, random = made(name), np.random.default_rng(1)
    waveform = np.zeros((1, N_SAMPLES, 1), np.float32)
    waveform[:, :N_OWN] = random.normal(0, 0.1, (1, N_OWN, 1))
    pictures = random.dirichlet(np.full(1000, 0.1), (1, N_FRAMES)).astype(np.float32)
    inputs = {"image_probabilities": ops.array(pictures)}
    inputs |= {flag: ops.array([True]) for flag in ("has_audio", "has_video")}
    inputs = {key: x for key, x in inputs.items() if key in bundle.model.input}
    expected = bundle.model(inputs | {"waveform": ops.array(waveform[:, :N_OWN])})
    padded = inputs | {"waveform": ops.array(waveform), "n_samples": ops.array([N_OWN], "int32")}
    found = ragged_form(bundle)(padded)
    for key, scores in expected.items():
        own = np.asarray(found[key])[:, : scores.shape[1]]
        np.testing.assert_allclose(own, scores, atol=1e-5, err_msg=key)
    assert not np.asarray(found["frame"])[:, -(-N_OWN // 1600) :].any()
