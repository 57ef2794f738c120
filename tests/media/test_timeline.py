"""Time stamps that restart, wrap and leap are placed on one timeline, however files are joined."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmat.media.timeline import Stamp, Timeline

SOUND, PICTURES = 0, 1
SOUND_SECONDS, PICTURE_SECONDS = 0.024, 0.04
WRAP_SECONDS = 2**33 / 90_000
LONGEST_GAP_SECONDS = 10.0
APART_SECONDS = 0.2  # what tracks of a joined file may drift, and what may lie between two parts


def clean(seconds, begin=0.0, delay=0.0, ahead=0.0):
    """Return the stamps of a file with both tracks, as muxers lay them: by decoding time.

    delay: pictures are shown this much after they are decoded. ahead: they lie in the file before
    sound of the same time.
    """
    sound = [
        Stamp(SOUND, begin + n * SOUND_SECONDS, begin + n * SOUND_SECONDS, SOUND_SECONDS)
        for n in range(round(seconds / SOUND_SECONDS))
    ]
    pictures = []
    for n in range(round(seconds / PICTURE_SECONDS)):
        shown = begin + n * PICTURE_SECONDS
        pictures.append(Stamp(PICTURES, shown - delay, shown, PICTURE_SECONDS))
    return sorted([*sound, *pictures], key=lambda s: s.seconds - ahead * (s.track == PICTURES))


def moved(stamps, seconds):
    return [
        each._replace(seconds=each.seconds + seconds, shown_seconds=each.shown_seconds + seconds)
        for each in stamps
    ]


def wrapped(stamps):
    """Return stamps of a clock that goes back to 0 after 2^33 ticks of 90 kHz."""
    return [
        each._replace(
            seconds=each.seconds % WRAP_SECONDS, shown_seconds=each.shown_seconds % WRAP_SECONDS
        )
        for each in stamps
    ]


def timeline_of(stamps):
    return Timeline(
        min(each.shown_seconds for each in stamps[:2]), LONGEST_GAP_SECONDS, sound_track=SOUND
    )


def placed(line, stamps):
    """Return when each packet is decoded, on the timeline, from its origin."""
    return np.array([each.seconds + line.shift(each) - line.origin_seconds for each in stamps])


def check_one_timeline(stamps, truth):
    """Check the places of packets against when they were recorded, of both tracks alike."""
    line = timeline_of(stamps)
    times = placed(line, stamps)
    tracks = np.array([each.track for each in stamps])
    for track, seconds in ((SOUND, SOUND_SECONDS), (PICTURES, PICTURE_SECONDS)):
        steps = np.diff(times[tracks == track])
        assert (steps > 0).all()
        assert (steps < seconds + APART_SECONDS).all()
    late = times - truth
    for n in range(1, len(stamps)):  # neighbours in the file, of different tracks
        if tracks[n] != tracks[n - 1]:
            assert abs(late[n] - late[n - 1]) <= APART_SECONDS
    return line, late


def cut(stamps, cuts):
    """Return the parts between some packets, none of them shorter than half a second."""
    edges = [0]
    for at in sorted(cuts):
        if edges[-1] + 60 <= at <= len(stamps) - 60:
            edges.append(at)
    return [stamps[a:b] for a, b in itertools.pairwise([*edges, len(stamps)])]


CHANGES = {
    "joined": lambda part, number: moved(part, -part[0].seconds + 1.4),
    "clock set back": lambda part, number: moved(part, -1000.0 * number),
    "leap ahead": lambda part, number: moved(part, 36_000.0 * number),
    "a day on, then back": lambda part, number: moved(part, 86_400.0 * (number % 2)),
}


@pytest.mark.parametrize("change", CHANGES)
@settings(max_examples=100, deadline=None)
@given(
    cuts=st.sets(st.integers(0, 270), max_size=3),
    delay=st.sampled_from([0.0, PICTURE_SECONDS, 2 * PICTURE_SECONDS]),
    ahead=st.sampled_from([0.0, 0.3, 0.7]),
    begin=st.sampled_from([0.0, 1.4, 50_000.0]),
)
def test_parts_follow_each_other(change, cuts, delay, ahead, begin):
    parts = cut(clean(4.0, 0.0, delay, ahead), cuts)
    truth = np.array([each.seconds for part in parts for each in part])
    stamps = [
        stamp
        for number, part in enumerate(parts)
        for stamp in moved(CHANGES[change](part, number), begin)
    ]
    line, _ = check_one_timeline(stamps, truth)
    seconds = line.end_seconds - line.origin_seconds
    assert seconds == pytest.approx(4.0, abs=APART_SECONDS * len(parts))
    assert line.is_plain == (len(parts) == 1)


@settings(max_examples=50, deadline=None)
@given(before=st.floats(0.5, 3.5), delay=st.sampled_from([0.0, 0.08]))
def test_a_clock_that_wraps_goes_on(before, delay):
    stamps = clean(4.0, WRAP_SECONDS - before, delay)
    truth = np.array([each.seconds for each in stamps]) - WRAP_SECONDS + before
    line, late = check_one_timeline(wrapped(stamps), truth)
    assert np.abs(late).max() <= APART_SECONDS
    assert line.end_seconds - line.origin_seconds == pytest.approx(4.0, abs=APART_SECONDS)


@settings(max_examples=50, deadline=None)
@given(
    begin=st.floats(-5.0, 1e6),
    delay=st.sampled_from([0.0, 0.12, 1.5]),
    seconds=st.floats(0.2, 5.0),
    pause=st.floats(0.0, LONGEST_GAP_SECONDS - 0.1),
)
def test_clean_stamps_stay_as_they_are(begin, delay, seconds, pause):
    stamps = clean(seconds, begin, delay)
    stamps += moved(clean(1.0, begin, delay), seconds + pause)
    stamps.sort(key=lambda stamp: stamp.seconds)
    line = Timeline(begin, LONGEST_GAP_SECONDS, sound_track=SOUND)
    assert {line.shift(stamp) for stamp in stamps} == {0.0}
    assert line.is_plain and line.n_jumps == 0 and line.jumped_seconds == 0.0
    assert line.end_seconds == pytest.approx(begin + seconds + pause + 1.0, abs=0.05)


any_seconds = st.one_of(st.floats(-1e6, 1e6), st.floats(-100, 100), st.just(1.7e9))
any_stamp = st.builds(
    Stamp,
    track=st.integers(0, 3),
    seconds=any_seconds,
    shown_seconds=any_seconds,
    duration_seconds=st.one_of(st.just(0.04), st.floats(0, 1e6)),
    has_decoding_time=st.booleans(),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(any_stamp, min_size=1, max_size=60))
def test_damage_makes_no_long_timeline(stamps):
    """There is as much pause as content, and a minute, whatever the stamps say."""
    line = Timeline(0.0, LONGEST_GAP_SECONDS, sound_track=0)
    for stamp in stamps:
        assert math.isfinite(line.shift(stamp))
    content = sum(min(each.duration_seconds, LONGEST_GAP_SECONDS) for each in stamps)
    assert line.end_seconds <= 2 * content + 60 + len(stamps) * 2.0
    assert len(line._shifts) <= len(stamps) + 1


@pytest.mark.parametrize("off", [40_000.0, -40_000.0, 11.0])
def test_a_picture_is_shown_near_its_decoding(off):
    """One wrong time of showing is no leap, and makes nothing longer."""
    stamps = clean(3.0, delay=0.08)
    wrong = stamps[100] = stamps[100]._replace(shown_seconds=stamps[100].seconds + off)
    line = Timeline(0.0, LONGEST_GAP_SECONDS, sound_track=SOUND)
    assert {line.shift(stamp) for stamp in stamps} == {0.0}
    assert not line.is_plain and line.n_jumps == 0
    assert line.end_seconds == pytest.approx(3.0, abs=0.05)
    assert line.credible(wrong).shown_seconds == wrong.seconds
