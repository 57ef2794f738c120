"""Which pictures of a video stand for asked times, and which packets they are decoded from.

It is decided from the packets' times alone, before anything is decoded.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

SAME_INSTANT_SECONDS = 0.001
_NEAR_KEYFRAMES = 2  # keyframes at most so many distances of asked times apart serve as they are


class Packet(NamedTuple):
    """What a video packet tells without being decoded; the times are seconds of the file."""

    seconds: float
    is_keyframe: bool
    is_shown: bool
    stamps: tuple[int, int | None]  # shown and decoded at, by which it is known again


class Need(NamedTuple):
    """Which packets to decode for some pictures: from a keyframe to the last of them."""

    begin: int
    end: int
    wanted: frozenset[int]


def chosen(packets: Sequence[Packet], times: Sequence[float], range_end: float) -> list[int]:
    """Return for each asked time the number of the packet whose picture stands for it.

    Where the keyframes around a time are at most two distances of the asked times apart, it is
    the nearest keyframe; if that lies outside the range or farther than half the keyframe
    interval, it is the first picture within half an interval. Elsewhere, where neighbouring
    times would get one keyframe again and again, it is the picture shown at the very time.
    packets: in the order of decoding, the first one a keyframe. range_end: half a distance after
    the last time.
    """
    shown = sorted((n for n, p in enumerate(packets) if p.is_shown), key=lambda n: packets[n][0])
    begins = np.array([packets[n].seconds for n in shown])
    keys = [n for n in shown if packets[n].is_keyframe]
    key_begins = np.array([packets[n].seconds for n in keys])
    distance = 2 * (range_end - times[-1])
    range_begin = times[0] - distance / 2
    choice = []
    for time in times:
        at = max(0, int(np.searchsorted(begins, time + SAME_INSTANT_SECONDS, "right")) - 1)
        after = int(np.searchsorted(key_begins, time, "right"))
        gap, interval = _around(key_begins, after, begins[-1])
        if gap > _NEAR_KEYFRAMES * distance:
            choice.append(shown[at])
            continue
        earliest = max(range_begin, time - interval / 2)
        latest = min(range_end, time + interval / 2)
        near = [n for n in keys[after - 1 : after + 1] if earliest <= packets[n][0] <= latest]
        first = min(at, int(np.searchsorted(begins, earliest, "left")))
        choice.append(min(near, key=lambda n: abs(packets[n][0] - time), default=shown[first]))
    return choice


def _around(key_begins: np.ndarray, after: int, end: float) -> tuple[float, float]:
    """Return the distance of the keyframes around a time, and what is sure of it.

    After the last keyframe it is taken to be as before it, and what is sure ends at `end`.
    """
    if 0 < after < len(key_begins):
        gap = key_begins[after] - key_begins[after - 1]
        return gap, gap
    if after > 1:
        gap = key_begins[after - 1] - key_begins[after - 2]
        return gap, min(gap, end - key_begins[after - 1])
    return np.inf, 0.0


def needed(packets: Sequence[Packet], wanted: Sequence[int]) -> list[Need]:
    """Return what to decode for the wanted packets, in the file's order.

    Decoding begins at the last keyframe, in the order of decoding, that is shown no later than
    the picture: of an open group, pictures before the keyframe need the one before.
    """
    by_begin: dict[int, set[int]] = {}
    for n in wanted:
        begin = n
        while begin and not (
            packets[begin].is_keyframe and packets[begin].seconds <= packets[n].seconds
        ):
            begin -= 1
        by_begin.setdefault(begin, set()).add(n)
    return [Need(n, max(by_begin[n]), frozenset(by_begin[n])) for n in sorted(by_begin)]
