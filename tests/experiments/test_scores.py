"""Thresholds of validation, on clips of two classes whose scores lie at different heights."""

import numpy as np
import pytest

from experiments.scores import CLASS_THRESHOLDS, SHARED_THRESHOLD, Scores

TRUTH = np.array([[True, False], [False, True]])
VALIDATION = np.float32([[0.9, 0.1], [0.5, 0.4]])
TEST = np.float32([[0.95, 0.45], [0.45, 0.05]])


def test_a_threshold_a_class_parts_what_a_shared_one_cannot():
    own = Scores.tuned(TRUTH, VALIDATION, TEST, CLASS_THRESHOLDS)
    assert own.validation_f1 == 1
    assert own.fired.tolist() == [[True, True], [False, False]]
    shared = Scores.tuned(TRUTH, VALIDATION, TEST, SHARED_THRESHOLD)
    assert shared.validation_f1 == pytest.approx(0.8)  # 0.5 fires, and is wrong
    assert shared.thresholds[0] == shared.thresholds[1]
    assert 0.1 < shared.thresholds[0] <= 0.4


def test_other_test_scores_leave_the_thresholds():
    own = Scores.tuned(TRUTH, VALIDATION, TEST, CLASS_THRESHOLDS)
    moved = own.on_test(np.zeros_like(TEST))
    assert not moved.fired.any()
    np.testing.assert_array_equal(moved.thresholds, own.thresholds)
