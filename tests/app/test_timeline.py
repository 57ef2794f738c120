"""The timeline's geometry: curves, stretches and marks of time, in parts of the clip."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmat.app.timeline import MOST_TICKS, curve, highest_of_parts, lanes, spectrogram, ticks
from mmat.labels import regression
from mmat.tagging.result import Tag, Tagging, TimedTag


def tagging_of(names="ab", fired="a", seconds=4.0, events=(), n_frames=40, **options) -> Tagging:
    scores = np.linspace(0, 1, n_frames, dtype=np.float32)[:, None] * np.ones(len(names))
    return Tagging(
        file="a.wav",
        duration_seconds=seconds,
        labels=tuple(names),
        thresholds=np.full(len(names), 0.2, np.float32),
        clip_scores=np.full(len(names), 0.9, np.float32),
        frame_scores=scores.astype(np.float32),
        fired=np.array([name in fired for name in names]),
        tags=tuple(Tag(name, 0.9, name in fired) for name in names),
        events=tuple(events),
        has_audio=True,
        has_video=False,
        **options,
    )


def steps_of(path: str) -> list[tuple[int, int]]:
    """Return (height, end) of each step of a path."""
    assert path.startswith("M0 100") and path.endswith("V100Z")
    return [(100 - int(v), int(h)) for v, h in re.findall(r"V(\d+)H(\d+)", path)]


@given(st.lists(st.floats(0, 1), min_size=1, max_size=50))
def test_a_curve_holds_every_height_once_and_to_its_end(heights):
    steps = steps_of(curve(np.array(heights)))
    drawn, begin = [], 0
    for height, end in steps:
        drawn += [height] * (end - begin)
        begin = end
    assert drawn == [100 - round(100 * (1 - height)) for height in heights]
    assert all(one[0] != next_one[0] for one, next_one in zip(steps, steps[1:], strict=False))


@given(st.integers(1, 200), st.integers(1, 50))
def test_the_highest_value_is_never_lost(n_values, n):
    values = np.random.default_rng(n_values).random(n_values)
    parts = highest_of_parts(values, n)
    assert parts.max() == values.max() and len(parts) == min(n, n_values)


@given(st.floats(0, 10_000))
def test_marks_of_time_are_few_and_within_the_clip(seconds):
    found = ticks(seconds)
    assert 1 <= len(found) <= MOST_TICKS
    places = [tick.left_percent for tick in found]
    assert places[0] == 0 and places == sorted(places) and places[-1] <= 100.001


def test_the_dashed_line_is_where_a_label_begins_to_fire():
    """Half of the height is the threshold: 0.2 of scores from 0 to 1."""
    lane = lanes(tagging_of(fired="a", n_frames=101))[0]
    first_over = next(i for i, (height, _) in enumerate(steps_of(lane.path)) if height >= 50)
    assert steps_of(lane.path)[first_over - 1][1] == 20


def test_stretches_are_shares_of_the_clip():
    event = TimedTag("a", 1.0, 3.0, 0.9)
    first, second = lanes(tagging_of(events=[event]))
    assert first.stretches == ((25.0, 50.0, event),) and second.stretches == ()


def test_what_was_found_comes_first_and_few_others():
    names = "abcdefghijkl"
    assert [lane.label for lane in lanes(tagging_of(names, "d"))] == ["d", "a", "b"]
    assert len(lanes(tagging_of(names, ""))) == 3
    assert len(lanes(tagging_of(names, names))) == 8


def test_values_lie_between_their_ends():
    values = tagging_of("a", "a", n_frames=3, task=regression(-1, 1))
    (lane,) = lanes(values)  # 0, 0.5, 1
    assert steps_of(lane.path) == [(50, 1), (75, 2), (100, 3)]


def test_a_spectrogram_has_low_sounds_below_and_loud_ones_bright():
    log_mel = np.full((30, 64), -200.0)
    log_mel[:, 0] = -20.0
    image = spectrogram(log_mel)
    assert image.shape == (64, 30, 3) and image.dtype == np.uint8
    assert image[-1].mean() > 200 and image[:-1].max() < 10
    long = spectrogram(np.zeros((5000, 64)))
    assert long.shape[1] == 1200


@pytest.mark.parametrize("log_mel", [np.full((1, 64), -80.0), np.full((2, 64), 0.0)])
def test_silence_is_drawn_too(log_mel):
    assert spectrogram(log_mel).shape == (64, len(log_mel), 3)
