"""A LiteRT file is measured as the model that it was made of."""

import dataclasses

import keras
import numpy as np
import pytest

from mmat.evaluation.lite import bundle_of_file
from mmat.export.archive import Archive, members_of
from mmat.files import InputError
from mmat.labels import LabelSet
from mmat.models.audio import audio_branch
from mmat.models.bundle import Bundle
from mmat.models.fusion import fused_model
from mmat.models.predict import predict
from mmat.models.video import video_branch
from tests.export.converting import export_tflite_here

pytest_plugins = ["tests.models.tiny_encoder"]

LABELS = LabelSet.of(["Dog", "Cat, kitten"])


@pytest.fixture(scope="module")
def made(models_cache, tiny_encoder, tmp_path_factory):
    """A model of both senses and its file."""
    keras.utils.set_random_seed(0)
    similarities = np.random.default_rng(0).random((1000, 2), np.float32)
    video = video_branch(2, similarities=similarities)
    model = fused_model(audio_branch(2, encoder=tiny_encoder), video)
    bundle = Bundle(
        model, LABELS, np.float32([0.25, 0.5]), "efficientnet_lite0", n_frames=2, clip_seconds=1.0
    )
    return bundle, export_tflite_here(bundle, tmp_path_factory.mktemp("a") / "a.tflite")


@pytest.mark.parametrize("clip_seconds", [1.0, 0.5])
def test_a_file_predicts_as_its_model(made, clip_seconds):
    bundle, file = made
    again = bundle_of_file(file, clip_seconds)
    random, n_samples = np.random.default_rng(0), round(16_000 * clip_seconds)
    clips = {
        "waveform": random.normal(0, 0.1, (3, n_samples, 1)).astype(np.float32),
        "image_probabilities": random.dirichlet(np.full(1000, 0.1), (3, 2)).astype(np.float32),
        "has_audio": np.array([True, True, False]),
        "has_video": np.array([True, False, True]),
    }
    found, expected = (predict(each.model, clips) for each in (again, bundle))
    for name in ("clip", "frame"):
        np.testing.assert_allclose(found[name], expected[name], atol=1e-5)
    assert again.labels == LABELS and again.thresholds.tolist() == [0.25, 0.5]
    assert again.clip_seconds == 1.0
    assert (again.image_network, again.n_frames) == ("efficientnet_lite0", 2)


@pytest.mark.parametrize(("clip_seconds", "told"), [(2.0, "2 s"), (None, "lengths of their own")])
def test_clips_that_it_does_not_take_are_one_line(made, clip_seconds, told):
    with pytest.raises(InputError, match=f"takes clips of 1 s, and these have {told}") as error:
        bundle_of_file(made[1], clip_seconds)
    assert "\n" not in str(error.value)


def test_a_file_of_before_that_sees_says_through_no_network(made, tmp_path):
    content, older = made[1].read_bytes(), tmp_path / "older.tflite"
    with members_of(content) as archive:
        n_bytes = min(member.header_offset for member in archive.infolist())
    older.write_bytes(content[:n_bytes])
    parts = Archive.read(content, clip_seconds=1.0)
    facts = dataclasses.replace(parts.facts, image_network="")
    dataclasses.replace(parts, facts=facts).append_to(older, card="")
    with pytest.raises(InputError, match="does not say which image network it looks through"):
        bundle_of_file(older, 1.0)
