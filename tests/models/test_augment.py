import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmat.models.augment import RandomFilter, SpecAugment
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
