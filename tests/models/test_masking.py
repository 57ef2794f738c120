import numpy as np
import pytest
import tensorflow as tf

from mmat.models.masking import HoldOwnFrames, MaskPadding, OwnMeanAndMax, ValidSteps, mask_padding
from mmat.models.video import HoldFrames
from tests.models.layer_checks import check_layer

RNG = np.random.default_rng(0)
X = RNG.normal(size=(3, 5, 2)).astype("float32")
LENGTHS = np.int32([0, 7, 20])
OWN = np.array([[False] * 5, [True] * 2 + [False] * 3, [True] * 5])


@pytest.mark.parametrize("at_least", [0, 1])
def test_zero_beyond_layer(at_least):
    kwargs = {"samples_per_step": 4, "at_least": at_least}
    check_layer(MaskPadding, kwargs, [X, LENGTHS], output_dtype=None)


def test_layers_on_own_steps():
    check_layer(HoldOwnFrames, {}, [X, OWN])
    check_layer(OwnMeanAndMax, {}, [X, OWN])


@pytest.mark.parametrize("samples_per_step", [1, 3, 4])
def test_a_step_is_own_where_it_starts_inside(samples_per_step):
    own = ValidSteps(samples_per_step)([X, LENGTHS]).numpy()
    assert own.tolist() == [
        [step * samples_per_step < length for step in range(5)] for length in LENGTHS
    ]
    first = ValidSteps(samples_per_step, at_least=1)([X, LENGTHS]).numpy()
    assert first[0].tolist() == [True] + [False] * 4 and (first[1:] == own[1:]).all()
    twin = ValidSteps.from_config(ValidSteps(samples_per_step, 1).get_config())
    assert (twin.samples_per_step, twin.at_least) == (samples_per_step, 1)


def test_nothing_beyond_the_end_gets_through_in_value_or_gradient():
    x = X.copy()
    x[1, 2:] = np.nan
    x = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(x)
        kept = MaskPadding(4)([x, LENGTHS])
    assert np.array_equal(kept[2], X[2]) and not kept[0].numpy().any()
    assert np.array_equal(kept[1, :2], X[1, :2]) and not kept[1, 2:].numpy().any()
    assert np.array_equal(tape.gradient(kept, x), np.broadcast_to(OWN[:, :, None], X.shape))
    assert mask_padding(x, None, 4) is x


def test_frames_are_held_as_in_a_clip_alone():
    frames = np.float32([[[1.0], [2.0], [3.0]]])
    for n_own in range(1, 12):
        own = np.arange(12)[None] < n_own
        held = HoldOwnFrames()([frames, own]).numpy()[0, :, 0]
        assert held[:n_own].tolist() == HoldFrames(n_own)(frames).numpy()[0, :, 0].tolist()
        assert not held[n_own:].any()
    silent = HoldOwnFrames()([frames, np.zeros((1, 12), bool)]).numpy()[0, :, 0]
    assert silent.tolist() == [1.0] * 4 + [2.0] * 4 + [3.0] * 4


def test_mean_and_maximum_are_those_of_own_steps():
    both = OwnMeanAndMax()([X, OWN]).numpy()
    np.testing.assert_allclose(both[1], np.r_[X[1, :2].mean(axis=0), X[1, :2].max(axis=0)])
    np.testing.assert_allclose(both[2], np.r_[X[2].mean(axis=0), X[2].max(axis=0)], rtol=1e-6)
    assert not both[0].any()
