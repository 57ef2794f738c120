import keras
import numpy as np
import pytest

from mmat.labels import regression
from mmat.models.audio import adapt_normalization, audio_branch
from mmat.models.fast_cpu import fast_cpu
from mmat.models.fusion import fused_model
from mmat.models.predict import predict, shuffle_pictures
from mmat.models.video import video_branch
from mmat.training.precision import fastest_dtype
from mmat.training.submodels import back_end, front_end, late_head, warm_cosine

LABELS = ("Dog", "Train horn")


@pytest.fixture(scope="module")
def clips():
    rng = np.random.default_rng(0)
    return {
        "waveform": rng.normal(0, 0.1, (4, 8000, 1)).astype(np.float32),
        "image_probabilities": rng.dirichlet(np.ones(6), (4, 2)).astype(np.float32),
        "has_audio": np.array([True, True, False, True]),
        "has_video": np.array([True, False, True, True]),
        "weak_labels": np.eye(4, 2, dtype=np.float32),
    }


@pytest.fixture(scope="module")
def audio(clips):
    model = audio_branch(len(LABELS))
    adapt_normalization(model, [clips["waveform"]])
    return model


@pytest.fixture(scope="module")
def video():
    return video_branch(2, similarities=np.random.default_rng(1).random((6, 2)))


def test_front_and_back_end_together_are_the_branch(audio, clips):
    decibels = front_end(audio).predict_on_batch(clips["waveform"])
    parts = back_end(audio).predict_on_batch(decibels)
    whole = audio.predict_on_batch({"waveform": clips["waveform"]})
    for name, scores in whole.items():
        np.testing.assert_allclose(parts[name], scores, atol=1e-6)


def test_the_late_head_is_the_fusion_and_its_training_moves_the_fused_model(audio, video, clips):
    fused = fused_model(audio, video, label_rates=np.full(2, 0.3), modality_dropout=0.0)
    scores = [predict(branch, clips)["clip"] for branch in (audio, video)]
    both = clips["has_audio"] & clips["has_video"]
    before = predict(fused, clips)
    np.testing.assert_allclose(
        late_head(fused).predict_on_batch(scores)[both], before["clip"][both], atol=1e-6
    )
    head = late_head(fused)
    head.compile("adam", loss="binary_crossentropy")
    head.fit(scores, clips["weak_labels"], epochs=3, verbose=0)
    after = predict(fused, clips)
    assert np.abs(after["clip"] - before["clip"])[both].max() > 0
    assert np.array_equal(after["audio"], before["audio"])
    assert np.array_equal(after["clip"][~both], before["clip"][~both])


def test_what_a_branch_cannot_judge_scores_nothing(audio, video, clips):
    assert not predict(audio, clips)["clip"][~clips["has_audio"]].any()
    assert not predict(video, clips)["clip"][~clips["has_video"]].any()


def test_what_a_model_of_values_cannot_judge_is_the_middle_of_the_scale(clips):
    task = regression(1, 5)
    inputs = clips | {"n_samples": np.array([8000, 4000, 0, 6000], np.int32)}
    audio = audio_branch(1, task=task, ragged=True)
    said = predict(audio, inputs, task=task)
    heard = clips["has_audio"]
    assert (said["clip"][~heard] == 3).all() and (said["frame"][~heard] == 3).all()
    with fast_cpu(audio):
        own = audio.predict({name: inputs[name] for name in audio.input}, verbose=0)
    for name in ("clip", "frame"):
        assert np.array_equal(said[name][heard], own[name][heard])
    video = video_branch(1, similarities=np.random.default_rng(1).random((6, 1)), task=task)
    said = predict(fused_model(audio, video), inputs, task=task)
    assert (said["audio"][~heard] == 3).all() and (said["video"][~clips["has_video"]] == 3).all()


def test_exchanged_pictures_keep_the_rest_and_give_no_clip_its_own(clips):
    moved = shuffle_pictures(clips, seed=3)
    assert moved["waveform"] is clips["waveform"]
    for before, after in zip(
        clips["image_probabilities"], moved["image_probabilities"], strict=True
    ):
        assert not np.array_equal(before, after)
    assert sorted(moved["has_video"]) == sorted(clips["has_video"])


def test_the_rate_rises_then_falls():
    rate = warm_cosine(0.1, steps=100, warm_steps=10)
    values = [float(rate(step)) for step in range(101)]
    assert np.argmax(values) in (10, 11)
    assert values[0] < 0.01 and values[10] == pytest.approx(0.1) and values[-1] < 0.01


def test_the_fastest_dtype_is_a_policy_keras_knows():
    assert keras.dtype_policies.get(fastest_dtype(0.05)).variable_dtype == "float32"


def test_the_parts_of_a_ragged_branch_are_the_branch_too_and_it_can_be_saved(clips, tmp_path):
    audio = audio_branch(3, ragged=True)
    own = np.int32([clips["waveform"].shape[1] - 500 * i for i in range(len(clips["waveform"]))])
    inputs = {"waveform": clips["waveform"], "n_samples": own}
    decibels = front_end(audio).predict_on_batch(inputs)
    parts = back_end(audio).predict_on_batch([decibels, own])
    for name, scores in audio.predict_on_batch(inputs).items():
        np.testing.assert_allclose(parts[name], scores, atol=1e-6)
    whole = keras.Model(audio.input, audio.output)
    whole.save(tmp_path / "audio.keras")
    again = keras.models.load_model(tmp_path / "audio.keras").predict_on_batch(inputs)
    np.testing.assert_allclose(again["clip"], parts["clip"], atol=1e-6)
