import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmat.models.augment import MixupMels, RandomFilter, SpecAugment
from tests.models.layer_checks import check_layer

LAYERS = pytest.mark.parametrize(
    ("layer_class", "kwargs"),
    [
        (SpecAugment, {"max_time": 0.3, "max_frequency": 0.3}),
        (RandomFilter, {"strength": 0.7, "n_waves": 4}),
    ],
)


def some_mel(*shape):
    return np.random.default_rng(0).normal(2, 1, shape).astype("float32")


@LAYERS
def test_layer(layer_class, kwargs):
    check_layer(layer_class, kwargs | {"seed": 3}, some_mel(2, 20, 8, 1), output_dtype=None)


@LAYERS
def test_identity_at_inference(layer_class, kwargs):
    mel = some_mel(2, 20, 8, 1)
    layer = layer_class(**kwargs)
    np.testing.assert_array_equal(layer(mel), mel)
    np.testing.assert_array_equal(layer(mel, training=False), mel)


@LAYERS
def test_training_changes_every_clip_in_its_own_way(layer_class, kwargs):
    mel = np.broadcast_to(some_mel(1, 200, 64, 1), (16, 200, 64, 1))
    changed = layer_class(**kwargs, seed=0)(mel, training=True).numpy()
    assert changed.shape == mel.shape and np.isfinite(changed).all()
    assert len({clip.tobytes() for clip in changed}) == len(mel)


@LAYERS
def test_a_seed_decides(layer_class, kwargs):
    mel = some_mel(3, 50, 16, 1)
    first, again, other = (layer_class(**kwargs, seed=seed) for seed in (5, 5, 6))
    once, twice = first(mel, training=True).numpy(), first(mel, training=True).numpy()
    np.testing.assert_array_equal(once, again(mel, training=True))
    assert (once != twice).any(), "each batch is changed anew"
    assert (once != other(mel, training=True).numpy()).any()


@LAYERS
def test_unknown_numbers_of_frames_and_clips(layer_class, kwargs):
    mel = keras.Input((None, 16, 1))
    model = keras.Model(mel, layer_class(**kwargs)(mel))
    for n_clips, n_frames in ((1, 1), (3, 7)):
        changed = model(some_mel(n_clips, n_frames, 16, 1), training=True)
        assert changed.shape == (n_clips, n_frames, 16, 1)


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10_000), max_time=st.floats(0.05, 0.9), max_frequency=st.floats(0.05, 0.9)
)
def test_spec_augment_hides_one_stretch_each_way_no_longer_than_allowed(
    seed, max_time, max_frequency
):
    ones = np.ones((4, 100, 64, 1), "float32")
    kept = SpecAugment(max_time, max_frequency, seed=seed)(ones, training=True).numpy()[..., 0]
    assert set(np.unique(kept)) <= {0.0, 1.0}
    for clip in kept:
        for lines, longest in ((clip.any(axis=1), max_time), (clip.any(axis=0), max_frequency)):
            hidden = np.flatnonzero(~lines)
            assert len(hidden) <= np.ceil(longest * len(lines))
            assert len(hidden) == 0 or hidden[-1] - hidden[0] + 1 == len(hidden)
        rows, columns = clip.any(axis=1), clip.any(axis=0)
        np.testing.assert_array_equal(clip, np.outer(rows, columns))


def test_random_filter_is_the_same_at_all_times_and_smooth_over_the_bands():
    mel = some_mel(8, 30, 64, 1)
    change = RandomFilter(0.5, n_waves=3, seed=1)(mel, training=True).numpy() - mel
    np.testing.assert_allclose(change, np.broadcast_to(change[:, :1], mel.shape), atol=1e-5)
    assert np.abs(change).max() <= 3 * 0.5 + 1e-5
    # Half a period of the fastest wave goes over 32 bands: no jumps between neighbours.
    assert np.abs(np.diff(change[:, 0, :, 0], axis=1)).max() < 0.5 * (np.pi + 2 * np.pi) / 64 + 1e-5


@pytest.fixture
def mels():
    rng = np.random.default_rng(0)
    return rng.uniform(-60, 0, (10, 40, 8, 1)).astype(np.float32)


LABELS = np.eye(10, 5, dtype=np.float32)


def test_an_epoch_sees_every_clip_once_and_the_next_in_another_order(mels):
    batches = MixupMels(mels, np.eye(10, dtype=np.float32), batch_size=5, mix=0.0, level_db=(0, 0))
    first = np.concatenate([batches[i][1] for i in range(len(batches))]).argmax(axis=1)
    batches.on_epoch_end()
    second = np.concatenate([batches[i][1] for i in range(len(batches))]).argmax(axis=1)
    assert sorted(first) == sorted(second) == list(range(10))
    assert list(first) != list(second)


def test_without_mixing_a_clip_is_only_shifted_in_time(mels):
    batches = MixupMels(mels, LABELS, batch_size=10, mix=0.0, level_db=(0, 0))
    for mel, i in zip(batches[0][0], batches.order, strict=True):
        assert any(np.allclose(np.roll(mels[i], k, axis=0), mel) for k in range(40))


def test_mixing_joins_the_labels_and_only_adds_energy(mels):
    batches = MixupMels(mels, LABELS, batch_size=10, mix=1.0, level_db=(0, 0))
    x, y = batches[0]
    expected = np.maximum(LABELS[batches.order], LABELS[batches.partners])
    assert np.array_equal(y, expected)
    for mel, i in zip(x, batches.order, strict=True):
        louder = [np.all(mel >= np.roll(mels[i], k, axis=0) - 1e-4) for k in range(40)]
        assert any(louder)


def test_a_seed_gives_the_same_batches_in_any_order_of_asking(mels):
    one, other = (MixupMels(mels, LABELS, batch_size=3, seed=7) for _ in range(2))
    other[0]
    assert np.array_equal(one[2][0], other[2][0])
    assert not np.array_equal(one[2][0], MixupMels(mels, LABELS, batch_size=3, seed=8)[2][0])
