"""Augmentation in the pipeline: what each change does and leaves, and mixing told honestly."""

import numpy as np
import pytest
import scipy.stats
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from mmat.data.batch_augment import Gain, Noise, Polarity, Turn, augmented, mixup
from mmat.data.datasets import MODEL_INPUTS, batches, load_split
from mmat.errors import InputError
from tests.data.tiny_shards import N_CLIPS, write_shards

CHANGES = [Gain(), Turn(), Noise(), Polarity()]
seeds = st.tuples(st.integers(-(2**62), 2**62), st.integers(0, 2**32))


def wave(n_samples=400):
    return np.random.default_rng(0).uniform(-0.2, 0.2, (n_samples, 1)).astype(np.float32)


def changed(change, waveform, seed):
    return change(tf.constant(waveform), tf.constant(seed, tf.int64)).numpy()


@settings(max_examples=25, deadline=None)
@given(seeds)
def test_each_change_does_what_its_name_says_and_no_more(seed):
    x = wave()
    louder = changed(Gain(-6, 3), x, seed) / x
    np.testing.assert_allclose(louder, louder[0, 0], rtol=1e-5)
    assert -6.01 <= 20 * np.log10(louder[0, 0]) <= 3.01
    turned = changed(Turn(0.1), x, seed)
    assert any(np.array_equal(turned, np.roll(x, k, axis=0)) for k in range(-40, 41))
    assert np.array_equal(abs(changed(Polarity(), x, seed)), abs(x))
    noise = changed(Noise(20, 30), x, seed) - x
    snr_db = 10 * np.log10(np.mean(x**2) / np.mean(noise**2))
    assert 18.5 < snr_db < 31.5 and abs(noise.mean()) < 0.25 * noise.std()


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: type(change).__name__)
def test_a_change_hangs_on_the_seed_alone_and_keeps_silence_and_shape(change):
    x = wave(101)
    one, again = (changed(change, x, (1, 5)) for _ in range(2))
    assert np.array_equal(one, again) and one.dtype == np.float32 and one.shape == x.shape
    assert any(not np.array_equal(one, changed(change, x, (1, other))) for other in range(8))
    silence = changed(change, np.zeros((7, 1), np.float32), (0, 0))
    assert np.array_equal(silence, np.zeros((7, 1)))
    assert changed(change, np.ones((1, 1), np.float32), (0, 0)).shape == (1, 1)


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    return write_shards(tmp_path_factory.mktemp("shards"), clip_seconds=None)


def heard(dataset):
    return [inputs["waveform"].numpy() for inputs, _ in dataset]


def test_a_dataset_is_augmented_anew_in_every_epoch_and_alike_in_every_run(shards):
    clips = load_split(shards, "train", ["waveform", "has_audio", "n_samples"])
    runs = [clips.apply(augmented(CHANGES, seed)) for seed in (3, 3, 4)]
    (first, second), again, other = ([heard(run) for _ in range(2)] for run in runs)
    for i, plain in enumerate(heard(clips)):
        assert np.array_equal(first[i], again[0][i]) and np.array_equal(second[i], again[1][i])
        assert first[i].shape == plain.shape
        if i > 0 and i != 5:  # those are silence
            assert len({x[i].tobytes() for x in (first, second, other[0], [plain] * 99)}) == 4
    assert len(runs[0]) == N_CLIPS
    assert runs[0].element_spec == clips.element_spec


def test_what_would_be_too_loud_is_made_softer_as_a_whole():
    clips = tf.data.Dataset.from_tensors(({"waveform": wave()}, np.zeros(2, np.float32)))
    ((inputs, _),) = clips.apply(augmented([Gain(40, 40)], seed=0))
    np.testing.assert_allclose(inputs["waveform"], wave() / abs(wave()).max(), rtol=1e-5)


def some_batch(n=8, **presence):
    """Clip i is i everywhere and has its own label."""
    value = np.arange(n, dtype=np.float32)
    inputs = {
        "waveform": np.tile(value[:, None, None], (1, 5, 1)),
        "image_probabilities": np.tile(value[:, None, None], (1, 2, 3)),
        "n_samples": np.arange(n, dtype=np.int32),
    }
    return tf.data.Dataset.from_tensors((inputs | presence, np.eye(n, dtype=np.float32)))


@settings(max_examples=10, deadline=None)
@given(
    st.integers(0, 2**31),
    st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=9),
)
def test_only_clips_with_the_same_of_sound_and_pictures_are_mixed(seed, flags):
    has_audio, has_video = np.array(flags).T
    dataset = some_batch(len(flags), has_audio=has_audio, has_video=has_video)
    ((inputs, truth),) = dataset.apply(mixup(1.0, seed))
    assert np.array_equal(inputs["has_audio"], has_audio)
    assert np.array_equal(inputs["has_video"], has_video)
    np.testing.assert_allclose(np.sum(truth, axis=1), 1, rtol=1e-6)
    for i, shares in enumerate(np.asarray(truth)):
        others = np.flatnonzero(shares)
        assert len(others) <= 2 and (len(others) == 1 or i in others)
        for j in others:
            assert flags[j] == flags[i]
        # The same share holds for what is heard, seen and said.
        value = shares @ np.arange(len(flags))
        np.testing.assert_allclose(inputs["waveform"][i], value, rtol=1e-5)
        np.testing.assert_allclose(inputs["image_probabilities"][i], value, rtol=1e-5)
        assert inputs["n_samples"][i] == max(others)


def test_shares_are_those_of_a_beta_distribution():
    n = 2000
    for alpha in (0.2, 1.0, 4.0):
        batch = ({"waveform": np.zeros((n, 1, 1), np.float32)}, np.eye(n, dtype=np.float32))
        ((_, truth),) = tf.data.Dataset.from_tensors(batch).apply(mixup(alpha, seed=1))
        shares = np.diag(truth)
        shares = shares[np.count_nonzero(truth, axis=1) == 2]
        assert len(shares) > 0.9 * n or alpha < 1
        statistic = scipy.stats.kstest(shares, scipy.stats.beta(alpha, alpha).cdf).statistic
        assert statistic < (0.05 if alpha >= 1 else 0.15), alpha


def test_a_vanishing_alpha_leaves_clips_whole_and_finite():
    ((inputs, truth),) = some_batch().apply(mixup(1e-6, seed=0))
    assert set(np.unique(truth)) == {0.0, 1.0} and np.isfinite(inputs["waveform"]).all()


def test_mixing_is_anew_in_every_epoch_and_alike_in_every_run(shards):
    plain = batches(load_split(shards, "train", MODEL_INPUTS), 8)
    runs = [plain.apply(mixup(0.5, seed)) for seed in (1, 1, 2)]
    (first, second), again, other = (
        [np.concatenate([labels for _, labels in run]) for _ in range(2)] for run in runs
    )
    assert np.array_equal(first, again[0]) and np.array_equal(second, again[1])
    assert not np.array_equal(first, second) and not np.array_equal(first, other[0])
    assert len(runs[0]) == len(plain) and runs[0].element_spec == plain.element_spec


def test_misuse_is_told(shards):
    clips = load_split(shards, "train")
    with pytest.raises(InputError, match="alpha must be positive, got 0"):
        mixup(0, seed=0)
    with pytest.raises(InputError, match="apply it after batches"):
        clips.apply(mixup(0.2, seed=0))
    for wrong in (batches(clips, 2), load_split(shards, "train", ["image_probabilities"])):
        with pytest.raises(InputError, match="a dataset of clips with the input waveform"):
            wrong.apply(augmented(CHANGES, seed=0))
