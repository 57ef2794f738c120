"""Cutting a long waveform into windows, and merging the windows' frame scores."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmat.data.media import SAMPLE_RATE_HZ
from mmat.errors import InputError
from mmat.serving.windows import FRAME_HZ, merge_frames, waveform_reader, windows


def cut(n_samples: int, clip_seconds: float = 2.0):
    waveform = np.arange(n_samples, dtype=np.float32)
    return waveform, list(windows(waveform_reader(waveform), clip_seconds))


@given(st.integers(1, 9 * SAMPLE_RATE_HZ))
def test_windows_cover_the_whole_and_are_no_longer_than_a_clip(n_samples):
    waveform, found = cut(n_samples)
    assert found[0][0] == 0.0
    covered = 0
    for start, media in found:
        first = round(start * SAMPLE_RATE_HZ)
        assert first <= covered
        assert media.duration_seconds <= 2.0
        assert start * FRAME_HZ == pytest.approx(round(start * FRAME_HZ))
        part = waveform[first : first + len(media.waveform)]
        np.testing.assert_array_equal(media.waveform, part)
        covered = first + len(media.waveform)
    assert n_samples - covered < 0.1 * SAMPLE_RATE_HZ


@pytest.mark.parametrize(
    ("seconds", "starts"),
    [(0.5, [0]), (2, [0]), (2.05, [0]), (2.5, [0, 0.5]), (4, [0, 2]), (5.25, [0, 2, 3.3])],
)
def test_where_windows_begin(seconds, starts):
    _, found = cut(round(seconds * SAMPLE_RATE_HZ))
    assert [start for start, _ in found] == pytest.approx(starts)


@given(st.integers(1, 9 * SAMPLE_RATE_HZ))
def test_merging_scores_that_follow_the_time_gives_the_time_back(n_samples):
    _, found = cut(n_samples)
    parts = []
    for start, media in found:
        n_steps = int(np.ceil(len(media.waveform) / 1600))
        steps = np.arange(n_steps, dtype=np.float32) + round(start * FRAME_HZ)
        parts.append((start, media.duration_seconds, steps[:, np.newaxis]))
    merged = merge_frames(parts)
    np.testing.assert_array_equal(merged[:, 0], np.arange(len(merged)))


def test_few_steps_are_held_over_the_duration():
    held = merge_frames([(0.0, 0.8, np.float32([[1], [2]]))])
    assert held.ravel().tolist() == [1, 1, 1, 1, 2, 2, 2, 2]


@pytest.mark.parametrize(
    ("waveform", "words"),
    [
        (np.zeros((2, 5), np.float32), r"float32 \(2, 5\)"),
        (np.zeros(5, np.int16), "int16"),
        (np.zeros(0, np.float32), "no samples"),
        (np.full(5, np.nan), "no finite numbers"),
    ],
)
def test_other_arrays_are_no_waveforms(waveform, words):
    with pytest.raises(InputError, match=words):
        waveform_reader(waveform)
