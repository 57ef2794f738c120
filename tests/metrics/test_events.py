"""Events: frames to runs and back, and segment figures with values worked out by hand."""

import warnings

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis.extra import numpy as arrays

from mmat.files import InputError
from mmat.metrics import events

ACTIVITY = st.tuples(st.integers(0, 40), st.integers(1, 3)).flatmap(
    lambda shape: arrays.arrays(bool, shape)
)


@given(ACTIVITY)
def test_events_painted_back_are_the_active_frames(active):
    found = events.frames_to_events(active.astype(float), 0.5)
    painted = np.zeros_like(active)
    for event in found:
        frames = slice(round(event.onset_seconds * 10), round(event.offset_seconds * 10))
        assert not painted[frames, event.label_index].any()
        painted[frames, event.label_index] = True
    assert np.array_equal(painted, active)
    assert found == sorted(found, key=lambda event: event.onset_seconds)


@given(
    arrays.arrays(
        np.float32,
        st.tuples(st.integers(0, 30), st.integers(1, 3)),
        elements=st.floats(0, 1, width=32),
    ),
    st.sampled_from([0.25, 0.5, 0.9]),
)
def test_hysteresis_is_a_walk_from_low_to_high_and_back(scores, share):
    """By hand: from each frame that reaches the threshold, to both sides as long as it is low."""
    low = scores >= np.float32(0.5) * np.float32(share)
    expected = scores >= np.float32(0.5)
    for t, c in np.argwhere(expected):
        for step in (-1, 1):
            at = t
            while 0 <= at < len(scores) and low[at, c]:
                expected[at, c] = True
                at += step
    found = events.frames_to_events(scores, 0.5, hysteresis=share)
    got = np.zeros_like(expected)
    for c, onset, offset, score in found:
        part = slice(round(onset * 10), round(offset * 10))
        got[part, c] = True
        assert score == scores[part, c].max() >= 0.5
    np.testing.assert_array_equal(got, expected)


@given(ACTIVITY, st.sampled_from([3, 5, 7]))
def test_the_median_filter_is_numpys_median(active, width):
    assume(len(active))  # there is no edge to repeat in an empty clip
    found = events.frames_to_events(active.astype(float), 0.5, median_filter_frames=width)
    padded = np.pad(active.astype(float), ((width // 2, width // 2), (0, 0)), mode="edge")
    expected = np.array([np.median(padded[t : t + width], axis=0) for t in range(len(active))])
    plain = events.frames_to_events(expected.reshape(active.shape), 0.5)
    assert [event[:3] for event in found] == [event[:3] for event in plain]


def test_a_click_and_a_gap_are_smoothed_away():
    scores = np.zeros((30, 2))
    scores[3:20, 0], scores[10, 0], scores[5, 1] = 0.7, 0.1, 0.95
    smooth = events.frames_to_events(scores, [0.5, 0.5], median_filter_frames=3)
    assert smooth == [events.Event(0, 0.3, 2.0, 0.7)]
    assert len(events.frames_to_events(scores, [0.5, 0.5])) == 3


def test_each_class_has_its_own_threshold_and_the_hop_scales_time():
    scores = np.array([[0.5, 0.5]] * 30)
    found = events.frames_to_events(scores, [0.4, 0.6], hop_seconds=0.025)
    assert found == [events.Event(0, 0.0, 0.75, 0.5)]


def test_segment_figures_of_a_case_worked_by_hand():
    truth = [[(0, 0.2, 2.5), (1, 4.0, 5.0)], []]
    # Segment 0 right; 1 and 2: class 0 missed, in 2 class 1 instead (a substitution);
    # 4 right; the second clip has one insertion.
    predicted = [[(0, 0.0, 1.0), (1, 2.0, 3.0), (1, 4.5, 4.6)], [(0, 9.0, 9.5)]]
    scores = events.segment_f1(truth, predicted, n_classes=2, clip_seconds=10.0)
    assert scores.precision == pytest.approx(2 / 4)
    assert scores.recall == pytest.approx(2 / 4)
    assert scores.f1 == pytest.approx(2 / 4)
    assert scores.error_rate == pytest.approx((1 + 1 + 1) / 4)


@given(st.lists(ACTIVITY, min_size=1, max_size=3))
def test_segment_counts_equal_a_plain_count(clips):
    """Predicted: each clip's activity turned around in time."""
    n_classes = 3
    clips = [np.pad(clip, ((0, 40 - len(clip)), (0, n_classes - clip.shape[1]))) for clip in clips]
    pairs = [(clip, clip[::-1]) for clip in clips]
    lists = [
        [events.frames_to_events(side.astype(float), 0.5) for side in sides]
        for sides in zip(*pairs, strict=True)
    ]
    true, predicted = (
        np.concatenate([side.reshape(4, 10, n_classes).any(axis=1) for side in sides])
        for sides in zip(*pairs, strict=True)
    )
    hits, n_true, n_predicted = (true & predicted).sum(), true.sum(), predicted.sum()
    if not n_true:
        return
    scores = events.segment_f1(*lists, n_classes=n_classes, clip_seconds=4.0)
    assert scores.f1 == pytest.approx(2 * hits / (n_true + n_predicted))
    by_segment = np.maximum(true.sum(axis=1), predicted.sum(axis=1)) - (true & predicted).sum(
        axis=1
    )
    assert scores.error_rate == pytest.approx(by_segment.sum() / n_true)


times = st.floats(0, 12).map(lambda t: round(t, 2))
true_events = st.lists(
    st.tuples(st.integers(0, 2), times, st.floats(0.01, 6).map(lambda t: round(t, 2))), max_size=8
).map(lambda found: [(c, onset, onset + length) for c, onset, length in found])


@given(
    st.lists(st.tuples(true_events, true_events), min_size=1, max_size=3),
    st.sampled_from([None, 10.0, 7.5]),
    st.sampled_from([1.0, 0.5, 3.0]),
)
def test_segments_are_counted_as_sed_eval_does(clips, clip_seconds, segment_seconds):
    """Every count but that of true negatives, which no figure of ours has."""
    import sed_eval

    names = ["0", "1", "2"]
    expected = sed_eval.sound_event.SegmentBasedMetrics(names, segment_seconds)
    for clip in clips:
        lists = [
            [{"event_label": str(c), "onset": t, "offset": end} for c, t, end in each]
            for each in clip
        ]
        expected.evaluate(*lists, evaluated_length_seconds=clip_seconds)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a truth without an event
        sides = zip(*clips, strict=True)
        found = events.segment_counts(*map(list, sides), 3, clip_seconds, segment_seconds)
    for name in ("Nref", "Nsys", "Ntp", "Nfp", "Nfn", "S", "D", "I"):
        assert found.overall[name] == expected.overall[name], name
        if name in expected.class_wise["0"]:
            for label in names:
                assert found.class_wise[label][name] == expected.class_wise[label][name]


def test_long_events_take_no_longer_than_short_ones():
    """Counted one by one, the 2 billion segments would take an hour, and their table 15 GB."""
    n_clips, year = 60, 86_400.0 * 366
    truth = [[(0, 0.0, year), (1, 5.0, year)]] * n_clips
    predicted = [[(0, 0.0, year / 2), (2, 0.0, 1.0)]] * n_clips
    scores = events.segment_f1(truth, predicted, 3, None)
    assert scores.precision == pytest.approx(year / 2 / (year / 2 + 1))
    assert scores.recall == pytest.approx(year / 2 / (2 * year - 5))


def test_what_lies_beyond_the_clip_is_not_counted():
    scores = events.segment_f1([[(0, 0.0, 1.0)]], [[(0, 0.0, 1.0), (0, 12.0, 15.0)]], 1, [10.0])
    assert scores == events.SegmentScores(error_rate=0.0, f1=1.0, precision=1.0, recall=1.0)


def test_nothing_predicted_is_nought_and_no_truth_warns():
    silent = events.segment_f1([[(0, 0.0, 1.0)]], [[]], 1, 10.0)
    assert silent == pytest.approx((1.0, 0.0, 0.0, 0.0))
    with pytest.warns(UserWarning, match="no event"):
        assert events.segment_f1([[]], [[(0, 0.0, 1.0)]], 1, 10.0) == (0.0, 0.0, 0.0, 0.0)


@pytest.mark.parametrize(
    ("predicted", "seconds", "reason"),
    [
        ([[(2, 0.0, 1.0)]], 10.0, "none of the 2 classes"),
        ([[(0, 1.0, 1.0)]], 10.0, "no duration"),
        ([[(0, 0.0, float("nan"))]], 10.0, "no duration"),
        ([[], []], 10.0, "2 clips predicted"),
        ([[]], 0.0, "longer than 0"),
    ],
)
def test_malformed_events_are_refused(predicted, seconds, reason):
    with pytest.raises(InputError, match=reason):
        events.segment_f1([[(0, 0.0, 1.0)]], predicted, 2, seconds)


@pytest.mark.parametrize(
    ("scores", "options", "reason"),
    [
        (np.zeros(3), {}, "axes"),
        (np.full((3, 1), 2.0), {}, "sigmoid"),
        (np.full((3, 1), np.nan), {}, "NaN"),
        (np.zeros((3, 1)), {"hop_seconds": 0}, "hop_seconds"),
        (np.zeros((3, 1)), {"median_filter_frames": 4}, "odd"),
        (np.zeros((3, 2)), {"thresholds": [0.5] * 3}, "for 2 classes"),
    ],
)
def test_malformed_frame_scores_are_refused(scores, options, reason):
    with pytest.raises(InputError, match=reason):
        events.frames_to_events(scores, **{"thresholds": 0.5, **options})
