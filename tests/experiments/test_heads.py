"""Heads on kept embeddings."""

import numpy as np

from experiments import heads
from mmat.models.predict import predict
from mmat.pretrained.hub import HubAudioEncoder
from mmat.training.submodels import front_end

pytest_plugins = ["tests.models.tiny_encoder"]


def corpus(encoder, n_clips: int = 40, n_samples: int = 3200) -> dict[str, dict]:
    """Three splits of noise with what the encoder makes of it; every fifth clip has no sound."""
    rng = np.random.default_rng(0)
    data = {}
    for split in ("train", "validation", "test"):
        waveform = rng.normal(0, 0.1, (n_clips, n_samples, 1)).astype(np.float32)
        data[split] = {
            "waveform": waveform,
            "sound_embeddings": HubAudioEncoder.of(encoder)(waveform)["embedding"].numpy(),
            "has_audio": np.arange(n_clips) % 5 > 0,
            "weak_labels": np.eye(11, dtype=np.float32)[rng.integers(11, size=n_clips)],
        }
    return data


def test_a_head_is_trained_on_kept_embeddings_and_answers_waveforms_alike(tiny_encoder):
    data = corpus(tiny_encoder)
    frames = heads.embedded(data, tiny_encoder)
    trainer = heads.HeadTrainer(data, frames, tiny_encoder)
    audio = trainer.train(heads.Recipe(1e-2, 0.1, 1), seed=0, dtype="float32")
    heard = front_end(audio)(data["test"]["waveform"])
    np.testing.assert_allclose(frames["test"], heard, atol=1e-5)
    expected = predict(audio, data["test"])
    for name, scores in trainer.scores(audio, "test").items():
        np.testing.assert_allclose(scores, expected[name], atol=1e-5)
    assert not expected["clip"][0].any()  # which has no sound


def test_mixed_embeddings_are_means_with_the_labels_of_both():
    rng = np.random.default_rng(0)
    frames, labels = rng.normal(size=(8, 1, 5, 1)).astype("float32"), np.eye(8, dtype="float32")
    mixed, mixed_labels = heads.MixupEmbeddings(frames, labels, batch_size=8, mix=1.0)[0]
    for frame, label in zip(mixed, mixed_labels, strict=True):
        np.testing.assert_allclose(frame, frames[label > 0].mean(axis=0), atol=1e-6)
    assert (mixed_labels.sum(axis=1) == 2).any()
    apart, labels = heads.MixupEmbeddings(frames, labels, batch_size=8, mix=0.0)[0]
    np.testing.assert_array_equal(apart, frames[labels.argmax(axis=1)])
