"""Merging the frame scores of windows."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmat.labels import FRAME_HZ
from mmat.media.read import SAMPLE_RATE_HZ
from mmat.media.windows import Sound, WindowSpec, windows
from mmat.tagging.merge import FrameMerger


def parts_of(n_samples: int, hop: float, score_at) -> list:
    """Return (start, duration, scores) of windows whose frames score by their time in the file."""
    sound = Sound([np.zeros(n_samples, np.float32)])
    parts = []
    for start, media, _ in windows(sound, None, WindowSpec(2.0, hop)):
        steps = np.arange(int(np.ceil(len(media.waveform) / 1600))) + round(start * FRAME_HZ)
        parts.append((start, media.duration_seconds, score_at(steps)[:, None]))
    return parts


def merged(parts, **options) -> np.ndarray:
    merger = FrameMerger(**options)
    for part in parts:
        merger.add(*part)
    return merger.result()


@given(st.integers(1, 9 * SAMPLE_RATE_HZ), st.sampled_from([0.5, 1.0, 2.0]))
def test_scores_that_follow_the_time_come_back(n_samples, hop):
    found = merged(parts_of(n_samples, hop, lambda steps: steps.astype(np.float32)))
    np.testing.assert_allclose(found[:, 0], np.arange(len(found)), rtol=1e-6)


def test_between_windows_that_disagree_there_is_no_step():
    constant = [(float(i), 2.0, np.full((20, 1), i % 2, np.float32)) for i in range(6)]
    found = merged(constant)[:, 0]
    assert len(found) == 70
    # From one window to the next in ten frames: a hard cut would jump by 1.
    assert np.abs(np.diff(found)).max() < 0.12
    np.testing.assert_allclose(found[10:20], np.arange(1, 11) / 11, atol=1e-6)


@pytest.mark.parametrize("n_windows", [255, 256, 257, 600])
def test_many_windows_come_back_as_one(n_windows):
    found = merged(parts_of((n_windows + 1) * SAMPLE_RATE_HZ, 1.0, lambda steps: steps * 1.0))
    np.testing.assert_allclose(found[:, 0], np.arange(10 * (n_windows + 1)), rtol=1e-6)


def test_few_steps_are_held_over_the_duration():
    held = merged([(0.0, 0.8, np.float32([[1], [2]]))])
    assert held.ravel().tolist() == [1, 1, 1, 1, 2, 2, 2, 2]


def test_a_window_without_scores_lasts_and_takes_no_part_in_others():
    none, ones = np.full((20, 1), -np.inf, np.float32), np.ones((20, 1), np.float32)
    parts = [(0.0, 2.0, none), (1.0, 2.0, ones), (2.0, 2.0, none), (3.0, 2.0, none)]
    found = merged(parts, nothing=-2.0)[:, 0]
    assert found.tolist() == [-2] * 10 + [1] * 20 + [-2] * 20


def test_what_is_finished_is_kept_in_its_own_form():
    found = merged(
        parts_of(8 * SAMPLE_RATE_HZ, 1.0, lambda steps: steps % 2 / 1.0),
        finish=lambda scores: scores > 0.5,
    )
    assert found.dtype == bool
    np.testing.assert_array_equal(found[:, 0], np.arange(80) % 2 == 1)
