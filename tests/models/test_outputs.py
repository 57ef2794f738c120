"""Heads by task: what the branches answer, learn by and say where padding is."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from mmat.labels import MULTI_CLASS, MULTI_LABEL, regression
from mmat.models.audio import SPEECH_BLOCKS, adapt_normalization, audio_branch, talnet
from mmat.models.features import SPEECH_MEL
from mmat.models.fusion import fused_model, middle_fusion
from mmat.models.outputs import Shares, to_output, to_score
from mmat.models.pooling import POOLINGS
from mmat.models.video import video_branch
from mmat.training.step import clip_loss, training_step
from tests.models.layer_checks import check_layer

VALUES = regression(-3, 3)
RNG = np.random.default_rng(0)
SOUND = RNG.normal(0, 0.1, (3, 4800, 1)).astype("float32")
SIGHT = RNG.dirichlet(np.ones(5), (3, 2)).astype("float32")


def check(answers, task, n_frames):
    clip, frame = np.asarray(answers["clip"]), np.asarray(answers["frame"])
    assert frame.shape == (3, n_frames, clip.shape[1])
    assert np.isfinite(clip).all() and np.ptp(clip, axis=0).max() > 0
    if task.is_multi_class:
        np.testing.assert_allclose(clip.sum(axis=-1), 1, atol=1e-5)
        np.testing.assert_allclose(frame.sum(axis=-1), 1, atol=1e-5)
    for said in (clip, frame):
        assert (said >= task.low).all() and (said <= task.high).all()


def test_shares_hold_to_what_every_layer_must():
    check_layer(Shares, {}, np.float32([[[0.2, 0.6], [0.0, 0.0]]]))


@pytest.mark.parametrize("task", [MULTI_LABEL, MULTI_CLASS, VALUES])
def test_scores_come_back_from_the_answers(task):
    scores = RNG.dirichlet(np.ones(4), (5, 3)).astype("float32")
    np.testing.assert_allclose(to_score(to_output(scores, task), task), scores, atol=1e-6)


@pytest.mark.parametrize("task", [MULTI_CLASS, VALUES])
@pytest.mark.parametrize("pooling", POOLINGS)
def test_every_pooling_answers_what_the_task_asks(task, pooling):
    model = audio_branch(3, pooling=POOLINGS[pooling], task=task)
    check(model({"waveform": SOUND}), task, n_frames=3)


@pytest.mark.parametrize("task", [MULTI_CLASS, VALUES])
def test_talnet_video_and_fusion_answer_what_the_task_asks(task, tmp_path):
    check(talnet(3, task=task)({"waveform": SOUND}), task, n_frames=3)
    video = video_branch(3, similarities=RNG.random((5, 3)), clip_seconds=0.3, task=task)
    check(video({"image_probabilities": SIGHT}), task, n_frames=3)
    audio = audio_branch(3, task=task)
    fused = fused_model(audio, video, middle_fusion)
    yes, no = np.ones(3, bool), np.zeros(3, bool)
    inputs = {"waveform": SOUND, "image_probabilities": SIGHT}
    both = fused(inputs | {"has_audio": yes, "has_video": yes})
    check(both, task, n_frames=3)
    alone = fused(inputs | {"has_audio": yes, "has_video": no})
    np.testing.assert_array_equal(alone["clip"], audio({"waveform": SOUND})["clip"])
    seen = fused(inputs | {"has_audio": no, "has_video": yes})
    for name in ("clip", "frame"):
        found, wanted = seen[name], video({"image_probabilities": SIGHT})[name]
        np.testing.assert_allclose(found, wanted, atol=1e-6)
    fused.save(tmp_path / "fused.keras")
    again = keras.models.load_model(tmp_path / "fused.keras")
    np.testing.assert_array_equal(
        again(inputs | {"has_audio": yes, "has_video": yes})["clip"], both["clip"]
    )


@pytest.mark.parametrize("task", [MULTI_CLASS, VALUES])
def test_in_a_ragged_batch_a_clip_gets_what_it_gets_alone(task):
    ragged = audio_branch(2, task=task, ragged=True)
    plain = audio_branch(2, task=task)
    plain.set_weights(ragged.get_weights())
    batch = ragged({"waveform": SOUND, "n_samples": np.int32([4800, 3200, 1601])})
    for i, n_samples in enumerate([4800, 3200, 1601]):
        alone = plain({"waveform": SOUND[i : i + 1, :n_samples]})
        np.testing.assert_allclose(batch["clip"][i], alone["clip"][0], atol=1e-5)
        n_frames = alone["frame"].shape[1]
        np.testing.assert_allclose(batch["frame"][i, :n_frames], alone["frame"][0], atol=1e-5)
        assert not np.any(batch["frame"][i, n_frames:])


def test_the_loss_is_that_of_the_task():
    clip, truth = np.float32([[0.25, 0.75]]), np.float32([[0.0, 1.0]])
    assert float(clip_loss({"clip": clip}, truth)) == pytest.approx(-np.log(0.75), rel=1e-5)
    one = clip_loss({"clip": clip * [0.4, 1.0]}, truth, MULTI_CLASS)  # shares: .1 and .75
    assert float(one) == pytest.approx(-np.log(0.75 / 0.85), rel=1e-5)
    distance = clip_loss({"clip": np.float32([[-1.0], [2.0]])}, np.float32([[1.5], [2.0]]), VALUES)
    assert float(distance) == pytest.approx(1.25)


@pytest.mark.parametrize("task", [MULTI_CLASS, VALUES])
def test_learns_by_the_loss_of_the_task(task):
    """Three tones of different pitch, told apart or measured after a few steps."""
    keras.utils.set_random_seed(0)
    truth = np.eye(3, dtype="float32") if task.is_multi_class else np.float32([[-2], [0.5], [3]])
    phases = np.outer([300, 1000, 3000], np.arange(4800) / 16000)
    waveform = np.sin(2 * np.pi * phases)[..., None].astype("float32")
    model = audio_branch(truth.shape[1], task=task)
    adapt_normalization(model, [waveform])
    step = training_step(model, keras.optimizers.Adam(1e-3), task=task)
    losses = [float(step({"waveform": waveform}, tf.constant(truth))) for _ in range(40)]
    assert losses[-1] < 0.2 * losses[0]


def test_the_front_end_of_speech_gives_ten_frames_a_second_too():
    model = audio_branch(2, mel=SPEECH_MEL, blocks=SPEECH_BLOCKS)
    assert model({"waveform": SOUND})["frame"].shape == (3, 3, 2)
    mel = model.get_layer("band_normalization").input
    decibels = keras.Model(model.input, mel)({"waveform": SOUND})
    assert decibels.shape == (3, 30, 64, 1)  # 10 ms each


def test_blocks_that_lead_to_another_rate_are_refused():
    with pytest.raises(ValueError, match="no frame of 0.1 s"):
        audio_branch(2, mel=SPEECH_MEL)
