"""What each task makes of scores: the decision on a clip, several windows as one, the events."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from mmat.files import InputError
from mmat.labels import MULTI_CLASS, MULTI_LABEL, regression
from mmat.metrics.decisions import (
    NO_SCORE,
    confidence,
    decide,
    percent_sure,
    pool_windows,
    to_events,
)
from mmat.metrics.events import frames_to_events
from mmat.metrics.thresholds import NEVER_FIRES, fire

VALUES = regression(-3, 3)
SCORES = arrays.arrays(
    np.float32,
    arrays.array_shapes(min_dims=2, max_dims=2, max_side=9),
    elements=st.floats(0, 1, width=32),
)


@settings(deadline=None)
@given(scores=SCORES)
def test_a_multi_label_clip_is_decided_by_its_thresholds(scores):
    thresholds = np.linspace(0, NEVER_FIRES, scores.shape[1], dtype=np.float32)
    expected = fire(scores, thresholds)
    np.testing.assert_array_equal(decide(MULTI_LABEL, scores, thresholds), expected)


@settings(deadline=None)
@given(scores=SCORES, threshold=st.floats(0, float(NEVER_FIRES), width=32))
def test_a_label_is_sure_from_a_half_exactly_where_it_fires(scores, threshold):
    sure = confidence(MULTI_LABEL, scores, threshold)
    np.testing.assert_array_equal(sure >= 0.5, fire(scores, threshold))
    assert sure.dtype == np.float32 and sure.shape == scores.shape
    assert ((sure >= 0) & (sure <= 1)).all()
    order = np.argsort(scores, axis=None)
    assert (np.diff(sure.ravel()[order]) >= 0).all()  # a higher score is never less sure


def test_confidence_is_a_share_of_odds():
    # odds of 0.2 are 1 : 4, those of 0.05 are 1 : 19
    found = confidence(MULTI_LABEL, [0.2, 0.05, 0.0, NO_SCORE], 0.05)
    np.testing.assert_allclose(found, [(1 / 4) / (1 / 4 + 1 / 19), 0.5, 0, 0], rtol=1e-6)
    # the ends of the scale
    ends = confidence(MULTI_LABEL, [0, 1, 0.5, 1, 1], [0, 1, 0, NEVER_FIRES, 0.5])
    np.testing.assert_array_equal(ends, np.float32([0.5, 0.5, 1, 0, 1]))


@given(sure=st.floats(0, 1))
def test_per_cent_tell_what_fires(sure):
    assert (percent_sure(sure) >= 50) == (sure >= 0.5)
    assert abs(percent_sure(sure) - 100 * sure) <= 1


def test_confidence_of_other_tasks():
    shares = np.float32([[0.25, 0.75], [1, 0]])
    np.testing.assert_array_equal(confidence(MULTI_CLASS, shares, NEVER_FIRES), shares)
    assert np.isnan(confidence(VALUES, [[-1.5, 2]], 0.5)).all()


@settings(deadline=None)
@given(scores=SCORES)
def test_of_several_classes_exactly_the_best_is_decided(scores):
    decided = decide(MULTI_CLASS, scores, NEVER_FIRES)
    for row, yes in zip(scores, decided, strict=True):
        expected = [row.tolist().index(row.max())] if row.max() > 0 else []
        assert np.flatnonzero(yes).tolist() == expected


def test_nothing_is_decided_without_a_score():
    nothing = np.full((2, 3), NO_SCORE)
    for task in (MULTI_LABEL, MULTI_CLASS, VALUES):
        assert not decide(task, nothing, np.zeros(3)).any()
    assert decide(VALUES, [[-3.0, 0.0, 3.0]], np.full(3, NEVER_FIRES)).all()


def test_decisions_of_frames_have_their_shape():
    frames = np.random.default_rng(0).random((2, 5, 3))
    for task in (MULTI_LABEL, MULTI_CLASS, VALUES):
        assert decide(task, frames, np.full(3, 0.5)).shape == frames.shape


def test_several_moments_are_the_highest_or_the_mean():
    scores = np.float32([[0.2, 0.8], [0.6, 0.4], [0.1, 0.9]])
    highest = pool_windows(MULTI_LABEL, scores, [1, 1, 1])
    np.testing.assert_array_equal(highest, np.float32([0.6, 0.9]))
    for task in (MULTI_CLASS, VALUES):
        np.testing.assert_allclose(pool_windows(task, scores, [2, 1, 1]), [0.275, 0.725], atol=1e-7)


@settings(deadline=None)
@given(scores=SCORES, width=st.sampled_from([1, 3]), hysteresis=st.sampled_from([1.0, 0.5]))
def test_the_events_of_several_labels_are_the_events_of_those_decided(scores, width, hysteresis):
    thresholds = np.full(scores.shape[1], 0.5, np.float32)
    decided = np.arange(scores.shape[1]) % 2 == 0
    found = to_events(MULTI_LABEL, scores, thresholds, decided, 0.1, width, hysteresis)
    every = frames_to_events(scores, thresholds, 0.1, width, hysteresis)
    assert found == [event for event in every if decided[event.label_index]]


@settings(deadline=None)
@given(scores=SCORES, width=st.sampled_from([1, 3, 5]))
def test_the_course_of_classes_covers_each_frame_once(scores, width):
    shares = (scores + 0.01) / (scores + 0.01).sum(axis=1, keepdims=True)
    events = to_events(MULTI_CLASS, shares, [0.5] * shares.shape[1], None, 1.0, width)
    assert events[0].onset_seconds == 0 and events[-1].offset_seconds == len(shares)
    for one, other in zip(events[:-1], events[1:], strict=True):
        assert one.offset_seconds == other.onset_seconds
        assert one.label_index != other.label_index
    for c, onset, offset, score in events:
        own = shares[round(onset) : round(offset)]
        assert score == own[:, c].max()
        if width == 1:
            assert (own.argmax(axis=1) == c).all()


@settings(deadline=None)
@given(scores=SCORES, width=st.sampled_from([1, 3, 5]))
def test_a_course_of_values_has_stretches_of_one_whole_number(scores, width):
    values = 6 * scores - 3
    events = to_events(VALUES, values, [0.5] * values.shape[1], None, 1.0, width)
    for c in range(values.shape[1]):
        own = [event for event in events if event.label_index == c]
        assert own[0].onset_seconds == 0 and own[-1].offset_seconds == len(values)
        steps = np.concatenate(
            [[round(e.score)] * round(e.offset_seconds - e.onset_seconds) for e in own]
        )
        assert (np.diff([round(e.score) for e in own]) != 0).all()
        if width == 1:
            np.testing.assert_array_equal(steps, np.rint(values[:, c]))


def test_what_lasts_less_than_half_a_filter_is_smoothed_away():
    frames = np.full((20, 2), [0.75, 0.25])
    frames[9:11] = [0.25, 0.75]
    (event,) = to_events(MULTI_CLASS, frames, [0, 0], [True, False], 0.1, 5)
    assert event == (0, 0.0, 2.0, 0.75)
    values = np.zeros((20, 1))
    values[9:11] = 3
    (event,) = to_events(VALUES, values, [0], [True], 0.1, 5)
    assert event == (0, 0.0, 2.0, 0.0)
    assert len(to_events(VALUES, values, [0], [True], 0.1, 3)) == 3


def test_a_stretch_without_a_score_is_none_of_the_course():
    frames = np.float32([[0.75, 0.25], [0, 0], [0.75, 0.25]])
    assert [event[:3] for event in to_events(MULTI_CLASS, frames, [0, 0], None, 1.0)] == [
        (0, 0.0, 1.0),
        (0, 2.0, 3.0),
    ]
    assert to_events(MULTI_CLASS, frames[:0], [0, 0], None) == []


@pytest.mark.parametrize("task", [MULTI_CLASS, VALUES])
def test_hysteresis_is_about_thresholds_alone(task):
    with pytest.raises(InputError, match="leave it out"):
        to_events(task, np.ones((3, 2)), [0, 0], None, hysteresis=0.5)
    with pytest.raises(InputError, match="no odd number"):
        to_events(task, np.ones((3, 2)), [0, 0], None, median_filter_frames=2)
