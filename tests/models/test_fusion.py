"""The layers of the fusion, the fused model, late and middle; every model in a fresh process."""

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmat.labels import MULTI_CLASS, MULTI_LABEL, regression
from mmat.models.audio import adapt_normalization, audio_branch
from mmat.models.evidence import Thresholded
from mmat.models.fusion import (
    LATE_WEIGHTS,
    MOST_SHIFT_TRAINED,
    Corrected,
    EitherRight,
    Fallback,
    L2Toward,
    LateFusion,
    ModalityDropout,
    WherePresent,
    fused_model,
    late_fusion,
    middle_fusion,
)
from mmat.models.pooling import attention
from mmat.models.scores import log_odds
from mmat.models.video import video_branch
from tests.compiling import compile_for_clips
from tests.models.layer_checks import check_layer
from tests.processes import program, run_process

N_CLASSES, N_LABELS, N_FRAMES = 3, 6, 4
RATES = np.array([0.1, 0.25, 0.4])
SCORES = ("clip", "frame")
BOTH_FUSIONS = pytest.mark.parametrize("fusion", [late_fusion, middle_fusion])
RNG = np.random.default_rng(0)
CLIPS = [RNG.uniform(0.05, 0.95, (3, 2)).astype("float32") for _ in range(3)]
FRAMES = [RNG.uniform(0.05, 0.95, (3, 5, 2)).astype("float32") for _ in range(3)]
KEEP = np.float32([[1, 1], [1, 0], [0, 1]])
HAS_AUDIO, HAS_VIDEO = np.array([True, True, False]), np.array([True, False, True])


def some_inputs(n_clips, n_samples=4800, seed=0, has_audio=True, has_video=True):
    rng = np.random.default_rng(seed)
    probabilities = rng.dirichlet(np.full(N_LABELS, 0.3), (n_clips, N_FRAMES))
    return {
        "waveform": rng.normal(0, 0.1, (n_clips, n_samples, 1)).astype("float32"),
        "image_probabilities": probabilities.astype("float32"),
        "has_audio": np.full(n_clips, has_audio),
        "has_video": np.full(n_clips, has_video),
    }


def scores_of(model, inputs):
    inputs = {name: inputs[name] for name in model.input}
    return {k: v.numpy() for k, v in model(inputs, training=False).items()}


def make_branches():
    keras.utils.set_random_seed(0)
    audio = audio_branch(N_CLASSES)
    adapt_normalization(audio, [some_inputs(2)["waveform"]])
    similarities = np.random.default_rng(1).uniform(0, 1, (N_LABELS, N_CLASSES))
    return audio, video_branch(N_CLASSES, similarities=similarities)


def make_fused(fusion):
    audio, video = make_branches()
    fused = fused_model(audio, video, fusion, RATES)
    if fusion is middle_fusion:  # its correction starts at 0; here it shall say something
        layer = fused.get_layer("middle_correction")
        kernel = np.random.default_rng(2).normal(0, 0.5, layer.kernel.shape)
        layer.set_weights([kernel, np.float32([0.5, -0.5, 1.0])])
    return audio, video, fused


@pytest.fixture(scope="module", params=[late_fusion, middle_fusion])
def models(request):
    return make_fused(request.param)


@pytest.mark.parametrize("n_samples", [1, 1600, 4801])
def test_shapes_follow_from_the_sound(models, n_samples):
    scores = scores_of(models[2], some_inputs(2, n_samples))
    assert scores["frame"].shape == (2, -(-n_samples // 1600), N_CLASSES)
    for name in ("clip", "audio", "video"):
        assert scores[name].shape == (2, N_CLASSES)
    for value in scores.values():
        assert value.dtype == np.float32 and (value >= 0).all() and (value <= 1).all()


def test_both_present_is_more_than_either(models):
    audio, video, fused = models
    inputs = some_inputs(5)
    scores = scores_of(fused, inputs)
    np.testing.assert_array_equal(scores["audio"], scores_of(audio, inputs)["clip"])
    np.testing.assert_array_equal(scores["video"], scores_of(video, inputs)["clip"])
    assert (scores["clip"] != scores["audio"]).all() and (scores["clip"] != scores["video"]).all()


def test_the_sound_says_when_and_the_picture_how_sure_of_the_whole_clip(models):
    """However pictures change within a clip, its frames are those of the sound, shifted alike."""
    _, _, fused = models
    scores = scores_of(fused, some_inputs(5, 9 * 1600))
    odds = {name: np.asarray(log_odds(value)) for name, value in scores.items()}
    assert np.ptp(odds["video_frame"], axis=1).max() > 1  # pictures differ
    shift = odds["frame"] - odds["audio_frame"]  # (clips, time, classes)
    assert np.ptp(shift, axis=1).max() < 1e-3
    added = odds["clip"] - odds["audio"]
    assert (np.abs(added) > MOST_SHIFT_TRAINED).any() and (np.abs(added) < MOST_SHIFT_TRAINED).any()
    correction = 0.0
    if any(layer.name == "middle_correction" for layer in fused.layers):
        inner = keras.Model(fused.input, fused.get_layer("middle_correction").output)
        correction = inner(some_inputs(5, 9 * 1600)).numpy()
    late = np.clip(added - correction, -MOST_SHIFT_TRAINED, MOST_SHIFT_TRAINED)
    np.testing.assert_allclose(shift.mean(axis=1), late + correction, atol=1e-3)


@pytest.mark.parametrize("ragged", [False, True])
@pytest.mark.parametrize("task", [MULTI_LABEL, MULTI_CLASS, regression(-3, 3)], ids=str)
def test_in_whichever_order_pictures_come_frames_are_when_they_are_heard(task, ragged):
    keras.utils.set_random_seed(0)
    audio = audio_branch(N_CLASSES, task=task, ragged=ragged)
    similarities = np.random.default_rng(1).uniform(0, 1, (N_LABELS, N_CLASSES))
    fused = fused_model(audio, video_branch(N_CLASSES, similarities=similarities, task=task))
    n_samples = 9 * 1600
    inputs = some_inputs(3, n_samples) | {"n_samples": np.int32([n_samples, 4 * 1600, n_samples])}
    turned = inputs | {"image_probabilities": inputs["image_probabilities"][:, ::-1]}
    scores, other = scores_of(fused, inputs), scores_of(fused, turned)
    assert np.abs(scores["video_frame"] - other["video_frame"]).max() > 0.1
    np.testing.assert_allclose(other["frame"], scores["frame"], atol=1e-5)
    # What is seen counts all the same, and beyond a clip's end there is nothing.
    assert np.abs(scores["frame"] - scores["audio_frame"]).max() > 0.01
    assert not ragged or not scores["frame"][1, 4:].any()


def test_without_video_it_is_the_audio_branch_bit_for_bit(models):
    audio, _, fused = models
    inputs = some_inputs(3, has_video=False)
    scores, alone = scores_of(fused, inputs), scores_of(audio, inputs)
    for name in SCORES:
        np.testing.assert_array_equal(scores[name], alone[name])
    np.testing.assert_array_equal(scores["audio"], alone["clip"])
    assert not scores["video"].any()


def test_without_audio_it_is_the_video_branch_bit_for_bit(models):
    _, video, fused = models
    inputs = some_inputs(3, has_audio=False)
    scores, alone = scores_of(fused, inputs), scores_of(video, inputs)
    np.testing.assert_array_equal(scores["clip"], alone["clip"])
    np.testing.assert_array_equal(scores["video"], alone["clip"])
    assert not scores["audio"].any()
    # Each picture is held for its share of the three frames of sound: pictures 0, 1 and 2 of 4.
    shots = keras.Model(video.input, video.get_layer("clip").input)
    shots = shots({"image_probabilities": inputs["image_probabilities"]}).numpy()
    np.testing.assert_array_equal(scores["frame"], shots[:, [0, 1, 2]])


def test_with_neither_it_is_zero(models):
    scores = scores_of(models[2], some_inputs(3, has_audio=False, has_video=False))
    assert not any(value.any() for value in scores.values())


def test_a_mixed_batch_is_told_clip_by_clip(models):
    inputs = some_inputs(4)
    inputs["has_audio"] = np.array([True, True, False, False])
    inputs["has_video"] = np.array([True, False, True, False])
    together = scores_of(models[2], inputs)
    for i in range(4):
        alone = scores_of(models[2], {name: value[i : i + 1] for name, value in inputs.items()})
        for name in alone:
            np.testing.assert_allclose(together[name][i : i + 1], alone[name], atol=1e-5)


def test_what_lies_in_an_absent_track_is_of_no_account(models):
    _, _, fused = models
    inputs = some_inputs(2, has_audio=False)
    other = inputs | {"waveform": np.full_like(inputs["waveform"], np.nan)}
    for first, second in zip(
        scores_of(fused, inputs).values(), scores_of(fused, other).values(), strict=True
    ):
        np.testing.assert_array_equal(first, second)


def test_middle_fusion_starts_as_the_late_one():
    audio, video = make_branches()
    inputs = some_inputs(3)
    late, middle = (
        scores_of(fused_model(audio, video, fusion, RATES), inputs)
        for fusion in (late_fusion, middle_fusion)
    )
    for name in late:
        np.testing.assert_allclose(middle[name], late[name], atol=1e-5)


@BOTH_FUSIONS
def test_training_moves_the_fusion_and_leaves_the_branches(fusion):
    audio, video, fused = make_fused(fusion)
    inputs = some_inputs(12)
    inputs["has_audio"][:2] = False
    inputs["has_video"][2:4] = False
    truth = (np.random.default_rng(3).uniform(size=(12, N_CLASSES)) < 0.3).astype("float32")
    before = scores_of(fused, inputs)
    old = [variable.numpy() for variable in fused.trainable_variables]
    frozen = [variable.numpy() for variable in (*audio.variables, *video.variables)]
    compile_for_clips(fused, keras.optimizers.Adam(0.01))
    fused.fit(inputs, {"clip": truth}, batch_size=4, epochs=3, verbose=0)
    after = scores_of(fused, inputs)
    for name in ("audio", "video"):
        np.testing.assert_array_equal(after[name], before[name])
    for variable, value in zip((*audio.variables, *video.variables), frozen, strict=True):
        np.testing.assert_array_equal(variable, value)
    assert len(old) == (2 if fusion is late_fusion else 6)
    for variable, value in zip(fused.trainable_variables, old, strict=True):
        assert np.isfinite(variable.numpy()).all() and (variable.numpy() != value).any()
    assert (after["clip"][4:] != before["clip"][4:]).any()
    np.testing.assert_array_equal(after["clip"][:4], before["clip"][:4])


@pytest.fixture(scope="module", params=[late_fusion, middle_fusion])
def ragged_and_plain(request):
    """A fused model of clips of any length, and one of the same weights without padding."""
    audio, video, plain = make_fused(request.param)
    twin = audio_branch(N_CLASSES, ragged=True)
    twin.set_weights(audio.get_weights())
    ragged = fused_model(twin, video, request.param, RATES)
    ragged.set_weights(plain.get_weights())
    return ragged, plain, video


def test_fused_of_any_length_each_clip_gets_what_it_gets_alone(ragged_and_plain):
    ragged, plain, _ = ragged_and_plain
    lengths = [1, 1600, 1601, 3300, 4800]
    for has_audio, has_video in ((True, True), (True, False), (False, True), (False, False)):
        inputs = some_inputs(5, 6500, has_audio=has_audio, has_video=has_video)
        inputs["n_samples"] = np.int32(lengths)
        for waveform, n_samples in zip(inputs["waveform"], lengths, strict=True):
            waveform[n_samples:] = np.nan
        together = scores_of(ragged, inputs)
        for i, n_samples in enumerate(lengths):
            alone = {name: value[i : i + 1] for name, value in inputs.items()}
            alone["waveform"] = alone["waveform"][:, :n_samples]
            for name, scores in scores_of(plain, alone).items():
                got = together[name][i]
                if name.endswith("frame"):
                    n_frames = scores.shape[1]
                    assert not got[n_frames:].any()
                    got = got[:n_frames]
                np.testing.assert_allclose(got, scores[0], atol=1e-5, rtol=0)


def test_without_sound_the_pictures_have_the_whole_time(ragged_and_plain):
    ragged, plain, video = ragged_and_plain
    inputs = some_inputs(2, 4800, has_audio=False)
    silent = scores_of(ragged, inputs | {"n_samples": np.int32([0, 0])})
    np.testing.assert_array_equal(silent["clip"], scores_of(video, inputs)["clip"])
    np.testing.assert_array_equal(silent["frame"], scores_of(plain, inputs)["frame"])


def test_every_model_comes_back_the_same_in_a_fresh_process(tmp_path):
    keras.utils.set_random_seed(0)
    similarities = np.random.default_rng(5).uniform(0, 1, (N_LABELS, N_CLASSES)).astype("float32")
    models = {
        "audio": audio_branch(N_CLASSES, dtype="mixed_bfloat16"),
        "audio_attention": audio_branch(N_CLASSES, pooling=attention),
        "audio_ragged": audio_branch(N_CLASSES, ragged=True),
        "video": video_branch(N_CLASSES, similarities=similarities, evidence=Thresholded(0.4)),
        "video_untrained": video_branch(N_CLASSES, similarities=similarities, calibrated=False),
    }
    adapt_normalization(models["audio_attention"], [some_inputs(2)["waveform"]])
    branches = models["audio_attention"], models["video"]
    models["late"] = fused_model(*branches, label_rates=RATES)
    models["middle"] = fused_model(*branches, middle_fusion, RATES)
    ragged = audio_branch(N_CLASSES, pooling=attention, ragged=True)
    models["middle_ragged"] = fused_model(ragged, models["video"], middle_fusion, RATES)
    inputs = some_inputs(4) | {"n_samples": np.int32([4800, 1700, 0, 1])}
    inputs |= {"has_video": np.array([True, True, False, False])}
    np.savez(tmp_path / "inputs.npz", **inputs)
    np.save(tmp_path / "map.npy", similarities)
    for name, model in models.items():
        for variable in model.trainable_variables:
            variable.assign_add(0.01 * keras.random.normal(variable.shape))
        np.savez(tmp_path / f"{name}.npz", **scores_of(model, inputs))
        model.save(tmp_path / f"{name}.keras")
    done = run_process(program("loading_models", tmp_path))
    assert done.returncode == 0, done.stderr
    assert sorted(done.stdout.split()) == sorted(models)


@pytest.mark.parametrize("scores", [CLIPS, FRAMES], ids=["clip", "frame"])
def test_layers(scores):
    check_layer(LateFusion, {"label_rates": [0.1, 0.4]}, [*scores[:2], KEEP])
    check_layer(Corrected, {}, [scores[0], CLIPS[0]])
    check_layer(Fallback, {}, [*scores, HAS_AUDIO, HAS_VIDEO])
    check_layer(ModalityDropout, {"rate": 0.3, "seed": 1}, scores[:2])
    check_layer(EitherRight, {}, scores[:2])


def test_late_fusion_of_frames_that_are_heard():
    check_layer(LateFusion, {"label_rates": [0.1, 0.4]}, [*CLIPS[:2], KEEP, FRAMES[0]])


def test_where_present_layer():
    check_layer(WherePresent, {}, [CLIPS[0], HAS_AUDIO])


def fuse(layer, audio, video, keep=(1, 1)):
    inputs = [np.float32([[audio]]), np.float32([[video]]), np.float32([keep])]
    return float(layer(inputs)[0, 0])


def plain(rate):
    """A late fusion in which each branch weighs 1."""
    layer = LateFusion([rate])
    layer.build([(None, 1), (None, 1), (None, 2)])
    layer.set_weights([np.float32([1]), np.float32([1])])
    return layer


@settings(max_examples=30, deadline=None)
@given(
    rate=st.floats(0.05, 0.9),
    heard=st.tuples(st.floats(0.05, 0.95), st.floats(0.05, 0.95)),
    seen=st.tuples(st.floats(0.05, 0.95), st.floats(0.05, 0.95)),
)
def test_the_label_rate_is_counted_once_as_bayes_would(rate, heard, seen):
    """Two independent clues, each told with the rate in it: the joint answer holds it once.

    heard, seen: how likely the clue is with the event and without it.
    """

    def posterior(with_event, without):
        return rate * with_event / (rate * with_event + (1 - rate) * without)

    expected = posterior(heard[0] * seen[0], heard[1] * seen[1])
    assert fuse(plain(rate), posterior(*heard), posterior(*seen)) == pytest.approx(
        expected, abs=1e-3
    )


@pytest.mark.parametrize("rate", [0.01, 0.2, 0.5, 0.9])
def test_two_branches_that_know_the_rate_alone_say_the_rate(rate):
    assert fuse(plain(rate), rate, rate) == pytest.approx(rate, abs=1e-4)


def test_weights_start_where_the_module_says_and_are_one_a_class():
    layer = LateFusion([0.5] * 3)
    layer.build([(None, 3), (None, 3), (None, 2)])
    for weight, start in zip(layer.get_weights(), LATE_WEIGHTS, strict=True):
        np.testing.assert_array_equal(weight, np.float32([start] * 3))
    layer([np.zeros((1, 3), "float32"), np.zeros((1, 3), "float32"), np.ones((1, 2), "float32")])
    assert [float(loss) for loss in layer.losses] == [0, 0]


def test_more_evidence_never_lowers_the_score():
    layer = LateFusion([0.3])
    steps = np.linspace(0.01, 0.99, 25)
    assert (np.diff([fuse(layer, p, 0.4) for p in steps]) > 0).all()
    assert (np.diff([fuse(layer, 0.4, p) for p in steps]) > 0).all()


def test_what_is_not_kept_has_no_say():
    layer = LateFusion([0.3])
    assert len({fuse(layer, p, 0.4, keep=(0, 1)) for p in (0.0, 0.3, 1.0)}) == 1
    assert len({fuse(layer, 0.4, p, keep=(1, 0)) for p in (0.0, 0.3, 1.0)}) == 1
    assert fuse(layer, 0.9, 0.9, keep=(0, 0)) == 0.5


def test_learns_to_trust_the_branch_that_knows():
    rng = np.random.default_rng(1)
    truth = rng.integers(0, 2, (400, 2)).astype("float32")
    guesses = rng.uniform(0.1, 0.9, (400, 2)).astype("float32")
    knowledge = np.where(truth, 0.7, 0.3).astype("float32")
    inputs = [keras.Input((2,)) for _ in range(3)]
    layer = LateFusion([0.5, 0.5], pull=0.01)
    model = keras.Model(inputs, layer(inputs))
    model.compile(keras.optimizers.Adam(0.1), "binary_crossentropy")
    model.fit([guesses, knowledge, np.ones((400, 2))], truth, epochs=10, verbose=0)
    audio_weight, video_weight = layer.get_weights()
    assert (video_weight > 1.5).all() and (abs(audio_weight) < 0.5).all()


def test_pull_is_half_the_mean_squared_distance():
    weights = np.float32([1.0, 3.0])
    assert float(L2Toward(1.0, 0.3)(weights)) == pytest.approx(0.5 * 0.3 * 2.0)
    twin = L2Toward.from_config(L2Toward(1.0, 0.3).get_config())
    assert float(twin(weights)) == pytest.approx(0.3)


def test_no_correction_changes_nothing_and_a_positive_one_raises():
    same = Corrected()([FRAMES[0], np.zeros((3, 2), "float32")])
    np.testing.assert_allclose(same, FRAMES[0], rtol=1e-5)
    raised = Corrected()([FRAMES[0], np.float32([[1, 0]] * 3)])
    assert (np.asarray(raised)[..., 0] > FRAMES[0][..., 0]).all()
    np.testing.assert_allclose(np.asarray(raised)[..., 1], FRAMES[0][..., 1], rtol=1e-5)


@pytest.mark.parametrize("scores", [CLIPS, FRAMES], ids=["clip", "frame"])
def test_fallback_is_exact(scores):
    fused, audio, video = scores
    for has_audio in (True, False):
        for has_video in (True, False):
            flags = [np.full(3, has_audio), np.full(3, has_video)]
            got = np.asarray(Fallback()([fused, audio, video, *flags]))
            expected = {
                (True, True): fused,
                (True, False): audio,
                (False, True): video,
                (False, False): np.zeros_like(fused),
            }[has_audio, has_video]
            np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("rate", [0.0, 0.2, 0.7, 1.0])
def test_modality_dropout_silences_one_as_often_as_asked_and_never_both(rate):
    n_clips = 5000
    scores = np.zeros((n_clips, 2), "float32")
    keep = ModalityDropout(rate, seed=0)([scores, scores], training=True).numpy()
    assert (keep.sum(axis=1) >= 1).all() and set(np.unique(keep)) <= {0.0, 1.0}
    for silenced in (1 - keep).sum(axis=0):
        spread = np.sqrt(n_clips * rate / 2 * (1 - rate / 2))
        assert abs(silenced - n_clips * rate / 2) <= 4 * spread + 1


def test_modality_dropout_keeps_all_outside_of_training():
    scores = np.zeros((50, 2), "float32")
    assert keras.ops.all(ModalityDropout(1.0)([scores, scores]) == 1)
