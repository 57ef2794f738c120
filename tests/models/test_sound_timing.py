"""What is heard, shifted over the whole clip by what is seen."""

import numpy as np
from scipy.special import logit

from mmat.models.sound_timing import MOST_SHIFT, LogitsTimedBySound, TimedBySound
from tests.models.layer_checks import check_layer


def test_layers():
    one, other = np.random.default_rng(0).random((2, 2, 4, 3)).astype(np.float32)
    inputs = [one, one[:, 0], other[:, 0], other]
    for layer in (TimedBySound, LogitsTimedBySound):
        check_layer(layer, {"heard": [True, False, True], "most": 2.0}, inputs)


def test_what_is_seen_shifts_the_whole_clip_of_what_is_heard():
    heard, joint = np.random.default_rng(0).uniform(0.1, 0.9, (2, 1, 9, 2)).astype(np.float32)
    sound, both = np.float32([[0.2, 0.2]]), np.float32([[0.6, 0.6]])
    found = np.asarray(TimedBySound([True, False])([heard, sound, both, joint]))
    shift = logit(found[0, :, 0]) - logit(heard[0, :, 0])
    np.testing.assert_allclose(shift, logit(0.6) - logit(0.2), rtol=1e-4)
    np.testing.assert_array_equal(found[..., 1], joint[..., 1])
    certain = TimedBySound([True, True])([heard, np.zeros((1, 2)), np.ones((1, 2)), joint])
    np.testing.assert_allclose(logit(np.asarray(certain)) - logit(heard), MOST_SHIFT, atol=1e-3)
