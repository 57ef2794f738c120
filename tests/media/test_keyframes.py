"""The choice of pictures, over many layouts of keyframes; no media needed."""

import itertools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from mmat.media.pictures import Packet, chosen, needed


def packets_of(intervals, fps=25.0, begin=0.0, reorder=0):
    """Return the packets of groups of so many pictures; reorder: B-pictures before each other one.

    The order is that of decoding.
    """
    packets, shown = [], itertools.count()
    for length in intervals:
        group = [next(shown) for _ in range(length)]
        order = [group[0]]
        for i in range(1, length, reorder + 1):
            part = group[i : i + reorder + 1]
            order += [part[-1], *part[:-1]]
        packets += [Packet(begin + n / fps, n == group[0], True, (n, None)) for n in order]
    return packets


def asked(n_frames, start, end):
    return start + (np.arange(n_frames) + 0.5) * (end - start) / n_frames


@settings(max_examples=200, deadline=None)
@given(
    intervals=st.lists(st.integers(1, 80), min_size=1, max_size=12),
    fps=st.sampled_from([5.0, 25.0, 30000 / 1001]),
    reorder=st.integers(0, 3),
    n_frames=st.integers(1, 10),
    part=st.tuples(st.floats(0, 0.8), st.floats(0.1, 1.0)),
)
def test_the_rule(intervals, fps, reorder, n_frames, part):
    packets = packets_of(intervals, fps, reorder=reorder)
    total = len(packets) / fps
    start = part[0] * total
    end = min(total, start + part[1] * total)
    times, distance = asked(n_frames, start, end), (end - start) / n_frames
    keys = np.array([p.seconds for p in packets if p.is_keyframe])
    choice = chosen(packets, times, end)
    assert choice == sorted(choice, key=lambda n: packets[n].seconds)
    for time, n in zip(times, choice, strict=True):
        late = time - packets[n].seconds
        around = keys[max(0, (keys <= time).sum() - 1) :][:2]
        interval = np.diff(around)[0] if len(around) == 2 else None
        if interval is None:  # after the last keyframe: as before it, or the very picture
            known = np.diff(keys)[-1] if len(keys) > 1 else 0.0
            assert -0.001 <= late <= max(known / 2, 1 / fps) + 0.001
        elif interval <= 2 * distance:
            assert abs(late) <= max(interval / 2, 1 / fps) + 0.001
            nearest = keys[np.argmin(np.abs(keys - time))]
            if start + 0.001 < nearest < end - 0.001:
                assert packets[n].is_keyframe and abs(packets[n].seconds - time) <= interval / 2
        else:
            assert -0.001 <= late <= 1 / fps + 1e-9


@settings(max_examples=100, deadline=None)
@given(
    intervals=st.lists(st.integers(1, 60), min_size=1, max_size=8),
    reorder=st.integers(0, 3),
    data=st.data(),
)
def test_decoding_begins_at_a_keyframe_and_reaches_what_is_wanted(intervals, reorder, data):
    packets = packets_of(intervals, reorder=reorder)
    wanted = data.draw(st.lists(st.integers(0, len(packets) - 1), min_size=1, max_size=8))
    needs = needed(packets, wanted)
    assert set().union(*(need.wanted for need in needs)) == set(wanted)
    assert [need.begin for need in needs] == sorted({need.begin for need in needs})
    for need in needs:
        assert packets[need.begin].is_keyframe
        assert need.end == max(need.wanted) >= need.begin
        assert not any(packets[n].is_keyframe for n in range(need.begin + 1, need.end + 1))


def test_a_picture_shown_before_its_keyframe_needs_the_group_before():
    """An open group: in decoding order the keyframe of second 1, then pictures shown before it."""
    closed = packets_of([25])[:23]
    leading = [Packet(n / 25, False, True, (n, None)) for n in (23, 24)]
    packets = [*closed, Packet(1.0, True, True, (25, None)), *leading]
    (need,) = needed(packets, [24])
    assert (need.begin, need.end) == (0, 24)


def test_a_single_keyframe_gives_the_very_pictures():
    packets = packets_of([250])
    assert chosen(packets, asked(8, 0.0, 10.0), 10.0) == [15, 46, 78, 109, 140, 171, 203, 234]
    assert chosen(packets, asked(1, 0.0, 10.0), 10.0) == [125]


def test_a_keyframe_a_second_gives_keyframes():
    packets = packets_of([25] * 10)
    assert chosen(packets, asked(8, 0.0, 10.0), 10.0) == [25, 50, 75, 100, 150, 175, 200, 225]


def test_pictures_that_an_edit_list_hides_are_never_chosen():
    packets = [p._replace(is_shown=p.seconds >= 0) for p in packets_of([25] * 4, begin=-1.0)]
    assert min(chosen(packets, asked(3, 0.0, 3.0), 3.0)) >= 25


def test_before_the_first_picture_it_is_the_first():
    packets = packets_of([25] * 4, begin=2.0)
    assert chosen(packets, asked(3, 0.0, 6.0), 6.0)[0] == 0
