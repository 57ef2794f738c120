"""Odds of scores, finite at the ends."""

import numpy as np

from mmat.models.scores import log_odds, shifted


def test_log_odds_are_those_of_the_probability_and_finite_at_the_ends():
    p = np.float32([0.001, 0.25, 0.5, 0.9])
    np.testing.assert_allclose(log_odds(p), np.log(p / (1 - p)), rtol=1e-4)
    ends = np.asarray(log_odds(np.float32([0.0, 1.0])))
    assert np.isfinite(ends).all() and ends[0] < -13 and ends[1] > 13


def test_shifted_scores_have_log_odds_that_much_higher_and_the_ends_stay():
    p = np.float32([0.001, 0.25, 0.5, 0.9])
    np.testing.assert_allclose(log_odds(shifted(p, 1.5)), log_odds(p) + 1.5, rtol=1e-4)
    np.testing.assert_array_equal(shifted(np.float32([0.0, 1.0]), -4.0), [0, 1])
