import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from mmat.files import InputError
from mmat.labels import MULTI_CLASS, MULTI_LABEL, LabelSet
from mmat.models.audio import adapt_normalization, audio_branch
from mmat.models.augment import RandomFilter, SpecAugment
from mmat.models.pooling import POOLINGS, attention, linear_softmax
from mmat.shards.read import batches, load_split
from mmat.training.step import training_step
from tests.compiling import compile_for_clips
from tests.models.test_features import reference
from tests.shards.tiny_shards import write_shards


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    model = audio_branch(4)
    adapt_normalization(model, [noise(2, 8000)])
    return model


def noise(n_clips, n_samples, seed=0, level=0.1):
    rng = np.random.default_rng(seed)
    return rng.normal(0, level, (n_clips, n_samples, 1)).astype("float32")


def scores_of(model, waveforms):
    return {k: v.numpy() for k, v in model({"waveform": waveforms}, training=False).items()}


def count_trainable(model):
    return sum(int(np.prod(variable.shape)) for variable in model.trainable_variables)


def test_as_many_parameters_as_the_authors_network():
    assert count_trainable(audio_branch(17)) == 936_041
    assert count_trainable(audio_branch(17, pooling=attention)) == 939_458


def test_convolutions_and_gru_start_as_the_authors_do():
    for layer in audio_branch(3).layers:
        if isinstance(layer, keras.layers.Conv2D | keras.layers.Dense):
            assert isinstance(layer.kernel_initializer, keras.initializers.GlorotUniform)
            assert not layer.bias.numpy().any()
        if isinstance(layer, keras.layers.Bidirectional):
            assert isinstance(
                layer.forward_layer.recurrent_initializer, keras.initializers.Orthogonal
            )


def test_ten_seconds_give_a_hundred_frames(model):
    scores = scores_of(model, noise(1, 160_000))
    assert scores["clip"].shape == (1, 4) and scores["frame"].shape == (1, 100, 4)


@settings(max_examples=8, deadline=None)
@given(n_samples=st.integers(1, 9000))
def test_any_length_gives_ten_frames_a_second(model, n_samples):
    scores = scores_of(model, noise(1, n_samples))
    assert scores["frame"].shape == (1, -(-n_samples // 1600), 4)
    assert scores["clip"].shape == (1, 4)
    for value in scores.values():
        assert value.dtype == np.float32 and (value >= 0).all() and (value <= 1).all()


@pytest.mark.parametrize("waveforms", [noise(1, 1), np.zeros((1, 4000, 1), "float32")])
def test_one_sample_and_silence_have_scores(model, waveforms):
    scores = scores_of(model, waveforms)
    assert all(np.isfinite(value).all() for value in scores.values())


def test_a_clips_scores_are_its_own(model):
    clip = noise(1, 6000, seed=1)
    alone = scores_of(model, clip)
    for level in (0.0, 1e-3, 1.0):
        others = noise(3, 6000, seed=2, level=level)
        together = scores_of(model, np.concatenate([others[:2], clip, others[2:]]))
        for name in alone:
            np.testing.assert_allclose(together[name][2:3], alone[name], atol=1e-5)


def test_level_is_of_no_account_beyond_a_shift_in_decibels():
    """Half the amplitude is the same mel, 3.01 dB lower, in every band: what is normalised."""
    model = audio_branch(2)
    mel = keras.Model(model.input, model.get_layer("band_normalization").input)
    loud, soft = (mel({"waveform": noise(1, 4000) * gain}).numpy() for gain in (1, 0.5))
    np.testing.assert_allclose(loud - soft, 10 * np.log10(2), atol=1e-3)


@pytest.mark.parametrize("name", POOLINGS)
def test_clip_scores_are_the_pooled_frames(name):
    model = audio_branch(3, pooling=POOLINGS[name])
    scores = scores_of(model, noise(2, 5000))
    low, high = scores["frame"].min(axis=1), scores["frame"].max(axis=1)
    assert (scores["clip"] >= low - 1e-6).all() and (scores["clip"] <= high + 1e-6).all()
    if name == "linear_softmax":
        frame = scores["frame"].astype(np.float64)
        expected = np.square(frame).sum(axis=1) / frame.sum(axis=1)
        np.testing.assert_allclose(scores["clip"], expected, rtol=1e-5)


def test_normalization_is_that_of_the_training_set():
    batches = [noise(2, 4000, seed=0), noise(1, 4000, seed=1, level=0.01)]
    model = audio_branch(2)
    adapt_normalization(model, iter(batches))
    frames = np.concatenate([reference(clip[:, 0]) for batch in batches for clip in batch])
    layer = model.get_layer("band_normalization")
    np.testing.assert_allclose(layer.mean[:, 0], frames.mean(axis=0), atol=1e-2)
    np.testing.assert_allclose(layer.std[:, 0], frames.std(axis=0), atol=1e-2)


@pytest.mark.parametrize("ragged", [False, True])
def test_batches_of_fit_inputs_alone_and_waveforms_adapt_alike(ragged):
    clips = padded([clip[:, :1] for clip in noise(3, 4000)], 4000)
    inputs = clips if ragged else {"waveform": clips["waveform"]}
    silent = {name: np.concatenate([x, x[:1] * 0]) for name, x in inputs.items()}
    silent |= {"has_audio": np.array([True] * 3 + [False]), "has_video": np.ones(4, bool)}
    targets = {"clip": np.zeros((3, 2), np.float32)}
    dataset = tf.data.Dataset.from_tensors((inputs, targets))
    ways = [dataset, [inputs], [(inputs, targets, np.ones(3))], [silent]]
    if not ragged:
        ways.append([inputs["waveform"]])
    found = [
        audio_branch(2, adapt=batches, ragged=ragged).get_layer("band_normalization").get_weights()
        for batches in ways
    ]
    for weights in found[1:]:
        np.testing.assert_allclose(weights, found[0], rtol=1e-5)


@pytest.mark.parametrize("ragged", [False, True])
def test_clips_with_lengths_of_their_own_adapt_a_ragged_model_alone(ragged):
    inputs = padded([noise(1, 4000)[0]], 4000)
    batch = {"waveform": inputs["waveform"]} if ragged else inputs
    with pytest.raises(InputError, match="built with ragged=True"):
        audio_branch(2, adapt=[batch], ragged=ragged)


def test_a_model_that_was_never_adapted_says_so_at_its_first_step():
    inputs, targets = {"waveform": noise(2, 3200)}, {"clip": np.float32([[0, 1]] * 2)}
    model = audio_branch(2)
    model.compile("adam", loss={"clip": "binary_crossentropy"})
    assert np.isfinite(model.predict(inputs, verbose=0)["clip"]).all()
    with pytest.raises(InputError, match=r"never learnt.*audio_branch\(labels, adapt=batches\)"):
        model.fit(inputs, targets, verbose=0)
    with pytest.raises(InputError, match="never learnt"):
        training_step(model, keras.optimizers.Adam())(inputs, targets["clip"])
    adapt_normalization(model, [inputs])
    assert np.isfinite(model.fit(inputs, targets, verbose=0).history["loss"]).all()


def test_the_task_is_the_label_sets():
    labels = LabelSet(("Angry", "Calm"), task=MULTI_CLASS)
    clip = audio_branch(labels)({"waveform": noise(2, 3200)})["clip"]
    np.testing.assert_allclose(clip.numpy().sum(axis=1), 1, atol=1e-5)
    with pytest.raises(InputError, match="the labels are multi-class, not multi-label"):
        audio_branch(labels, task=MULTI_LABEL)


@pytest.mark.parametrize(
    ("dtype", "tolerance"), [("mixed_bfloat16", 0.03), ("mixed_float16", 0.01)]
)
def test_low_precision_answers_alike_in_float32(model, dtype, tolerance):
    twin = audio_branch(4, dtype=dtype)
    twin.set_weights(model.get_weights())
    waveforms = noise(2, 3200)
    expected, got = scores_of(model, waveforms), scores_of(twin, waveforms)
    for name in expected:
        assert got[name].dtype == np.float32
        np.testing.assert_allclose(got[name], expected[name], atol=tolerance)


@pytest.mark.parametrize("dtype", ["mixed_bfloat16", "mixed_float16"])
def test_two_steps_in_low_precision(dtype):
    model = audio_branch(2, dtype=dtype, dropout=0.1)
    adapt_normalization(model, [noise(4, 3200)])
    optimizer = keras.optimizers.Adam(1e-3)
    if dtype == "mixed_float16":
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer, initial_scale=2.0**8)
    compile_for_clips(model, optimizer)
    before = [variable.numpy() for variable in model.trainable_variables]
    for _ in range(2):
        model.train_on_batch({"waveform": noise(4, 3200)}, {"clip": np.float32([[0, 1]] * 4)})
    for variable, old in zip(model.trainable_variables, before, strict=True):
        assert np.isfinite(variable.numpy()).all() and variable.dtype == "float32"
        assert (variable.numpy() != old).any(), variable.path


def test_learns_to_tell_a_low_tone_from_a_high_one():
    keras.utils.set_random_seed(1)
    rng = np.random.default_rng(0)
    hz = np.r_[rng.uniform(300, 500, 16), rng.uniform(2000, 3000, 16)]
    time = np.arange(4800) / 16000
    waveforms = (0.3 * np.sin(2 * np.pi * hz[:, None] * time))[..., None] + noise(32, 4800) / 10
    truth = np.float32([[1, 0]] * 16 + [[0, 1]] * 16)
    augmentation = [SpecAugment(0.1, 0.1, seed=0), RandomFilter(0.2, seed=0)]
    model = audio_branch(2, pooling=linear_softmax, augmentation=augmentation)
    train, held_out = np.arange(32) % 4 != 0, np.arange(32) % 4 == 0
    adapt_normalization(model, [waveforms[train]])
    compile_for_clips(model, keras.optimizers.Adam(1e-3))
    model.fit(
        {"waveform": waveforms[train]}, {"clip": truth[train]}, batch_size=8, epochs=8, verbose=0
    )
    clip = scores_of(model, np.float32(waveforms[held_out]))["clip"]
    assert ((clip > 0.5) == truth[held_out]).all()


@pytest.fixture(scope="module")
def pairs():
    """For each pooling a plain model and a ragged one of the same weights, made when asked for."""
    made = {}

    def pair(name):
        if name not in made:
            keras.utils.set_random_seed(1)
            plain = audio_branch(3, pooling=POOLINGS[name])
            for variable in plain.trainable_variables:  # biases too, so that padding would show
                variable.assign_add(0.03 * keras.random.normal(variable.shape))
            adapt_normalization(plain, [noise(2, 8000)])
            ragged = audio_branch(3, pooling=POOLINGS[name], ragged=True)
            ragged.set_weights(plain.get_weights())
            made[name] = plain, ragged
        return made[name]

    return pair


def padded(clips, n_samples, filling=0.0):
    waveform = np.full((len(clips), n_samples, 1), filling, np.float32)
    for row, clip in zip(waveform, clips, strict=True):
        row[: len(clip)] = clip
    return {"waveform": waveform, "n_samples": np.int32([len(clip) for clip in clips])}


def assert_as_alone(plain, ragged, clips, n_samples, filling=0.0):
    inputs = padded(clips, n_samples, filling)
    together = {k: v.numpy() for k, v in ragged(inputs, training=False).items()}
    for i, clip in enumerate(clips):
        alone = scores_of(plain, clip[None])
        n_frames = alone["frame"].shape[1]
        np.testing.assert_allclose(together["clip"][i], alone["clip"][0], atol=1e-5, rtol=0)
        np.testing.assert_allclose(
            together["frame"][i, :n_frames], alone["frame"][0], atol=1e-5, rtol=0
        )
        assert not together["frame"][i, n_frames:].any()


@pytest.mark.parametrize("name", POOLINGS)
@settings(max_examples=4, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 6000), min_size=1, max_size=3),
    padding=st.integers(0, 5000),
    filling=st.sampled_from([0.0, 0.7, np.nan]),
    level=st.sampled_from([1e-3, 1.0]),
)
def test_in_any_batch_a_clip_gets_what_it_gets_alone(pairs, name, lengths, padding, filling, level):
    clips = [noise(1, n, seed=n, level=level)[0] for n in lengths]
    assert_as_alone(*pairs(name), clips, max(lengths) + padding, filling)


def test_at_the_seams_of_hops_and_pools_too(pairs):
    lengths = [1, 399, 400, 401, 799, 800, 801, 1199, 1200, 1201, 1600, 1601, 3199, 3200, 3201]
    clips = [noise(1, n, seed=n)[0] for n in lengths]
    for clip in clips[::2]:
        clip[-1] = 5.0  # loud at the very end: what decides the range of the decibels
    assert_as_alone(*pairs("linear_softmax"), clips, 4850)


def test_the_range_of_the_decibels_is_that_of_the_clips_own_frames(pairs):
    """A click at the very end is loudest in the frame after the last; silence lies at the floor."""
    click = np.zeros((1199, 1), np.float32)
    click[-1] = 1.0
    assert_as_alone(*pairs("max_pooling"), [click, click[800:]], 3000)


@pytest.mark.parametrize("name", POOLINGS)
def test_a_clip_of_no_length_is_zero_and_learning_stays_finite(pairs, name):
    inputs = padded([noise(1, n)[0] for n in (0, 1, 2500)], 4000, np.nan)
    _, ragged = pairs(name)
    scores = ragged(inputs, training=False)
    assert not scores["clip"][0].numpy().any() and not scores["frame"][0].numpy().any()
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(tf.square(ragged(inputs, training=True)["clip"]))
    for gradient in tape.gradient(loss, ragged.trainable_variables):
        assert np.isfinite(gradient).all()


def test_ragged_is_a_choice_that_leaves_the_weights_as_they_are():
    plain, ragged = (audio_branch(17, ragged=choice) for choice in (False, True))
    assert list(plain.input) == ["waveform"] and list(ragged.input) == ["waveform", "n_samples"]
    assert count_trainable(ragged) == count_trainable(plain) == 936_041
    assert [x.path.split("/")[-1] for x in ragged.weights] == [
        x.path.split("/")[-1] for x in plain.weights
    ]


@pytest.mark.parametrize(("dtype", "tolerance"), [("mixed_bfloat16", 0.03)])
def test_ragged_in_low_precision(pairs, dtype, tolerance):
    plain, _ = pairs("linear_softmax")
    ragged = audio_branch(3, ragged=True, dtype=dtype)
    ragged.set_weights(plain.get_weights())
    clips = [noise(1, n)[0] for n in (700, 3300)]
    scores = ragged(padded(clips, 4000), training=False)
    for i, clip in enumerate(clips):
        alone = scores_of(plain, clip[None])
        n_frames = alone["frame"].shape[1]
        np.testing.assert_allclose(scores["clip"][i], alone["clip"][0], atol=tolerance)
        np.testing.assert_allclose(scores["frame"][i, :n_frames], alone["frame"][0], atol=tolerance)
        assert not scores["frame"][i, n_frames:].numpy().any()


def test_ragged_normalization_takes_no_padding(pairs):
    clips = [noise(1, n, seed=n)[0] for n in (500, 4000, 2900)]
    plain, ragged = audio_branch(2), audio_branch(2, ragged=True)
    adapt_normalization(ragged, [padded(clips[:2], 4300, np.nan), padded(clips[2:], 2900)])
    adapt_normalization(plain, [clip[None] for clip in clips])
    for name in ("mean", "std"):
        learnt, expected = (
            getattr(model.get_layer("band_normalization"), name) for model in (ragged, plain)
        )
        np.testing.assert_allclose(learnt, expected, rtol=1e-4)


def test_ragged_learns_by_fit_on_batches_of_any_length(tmp_path):
    clips = load_split(
        write_shards(tmp_path, clip_seconds=None), "train", ["waveform", "n_samples"]
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)  # Keras warns where it loses a mask
        model = audio_branch(
            3, batches(clips, 8), ragged=True, augmentation=[SpecAugment(seed=0)], dropout=0.1
        )
        compile_for_clips(model, "adam")
        before = model.get_layer("frame").kernel.numpy()
        history = model.fit(batches(clips, 8, shuffle_seed=0), epochs=2, verbose=0)
    assert np.isfinite(history.history["loss"]).all()
    assert all(np.isfinite(variable).all() for variable in model.get_weights())
    assert (model.get_layer("frame").kernel.numpy() != before).any()
