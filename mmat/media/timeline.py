"""One timeline out of time stamps that restart, wrap, jump, or tell the time of day.

Time stamps start anew where files were joined, wrap around after 26.5 hours in a transport stream,
and leap where a recorder lost its clock. A player goes on with what comes next, and so do we: a
part follows where the part before it ended, for all tracks alike.
"""

import dataclasses
from typing import NamedTuple

_BACKWARD_SECONDS = 0.05  # a track's stamps go back by more: another part begins
_BACKWARD_SHOWN_SECONDS = 0.5  # where packets have no decoding time, which would not go back at all
_BEFORE_SECONDS = 2.0  # a track may be decoded, but not shown, this much before the file starts
_GAPS_SECONDS = 60.0  # pauses may take this, and as much as there is to hear or to see
_SOUND_SHORTER_SECONDS = 1.0  # than the pictures of a part
_PARTS_KEPT = 8  # damage makes parts without end


class Stamp(NamedTuple):
    """When a packet is decoded and shown, in seconds by the file's clock, and for how long.

    has_decoding_time: without one both times are the latter, which may go back a little.
    """

    track: int
    seconds: float
    shown_seconds: float
    duration_seconds: float = 0.0
    has_decoding_time: bool = True


@dataclasses.dataclass
class _Track:
    part: int
    shift: float
    last: float
    last_is_decoding_time: bool
    end: float


class Timeline:
    """Places packets, in their file's order, on one timeline.

    origin_seconds: where it starts, by the file's clock. longest_gap_seconds: a longer leap, in
    which no track has anything, is no pause. sound_track: the one that parts follow each other by,
    as they do for a player; the pictures of a part may last a bit longer. end_seconds: of all
    packets so far. n_jumps, jumped_seconds: of leaps ahead that were closed. is_plain: whether
    every packet has stayed where its stamp says.

    >>> line = Timeline(origin_seconds=1.0, longest_gap_seconds=60.0)
    >>> [line.shift(Stamp(0, seconds, seconds, 1.0)) for seconds in (1.0, 2.0, 0.0, 1.0)]  # joined
    [0.0, 0.0, 3.0, 3.0]
    >>> line.end_seconds
    5.0
    """

    def __init__(
        self, origin_seconds: float, longest_gap_seconds: float, sound_track: int | None = None
    ):
        self.origin_seconds, self._longest_gap = origin_seconds, longest_gap_seconds
        self._sound_track = sound_track
        self.end_seconds = origin_seconds
        self.n_jumps, self.jumped_seconds = 0, 0.0
        self.is_plain = True
        self._paused_seconds = 0.0
        self._shifts = [0.0]  # of each part
        self._tracks: dict[int, _Track] = {}

    def shift(self, stamp: Stamp) -> float:
        """Return the seconds to add to the next packet's time stamps; as `credible` gives them."""
        stamp = self.credible(stamp)
        track = self._tracks.get(stamp.track)
        if track is None:
            track = self._begun(stamp)
        elif self._is_restart(track, stamp):
            self._next_part(track, stamp, is_ahead=False)
        elif self._is_jump(stamp.seconds + track.shift):
            self._next_part(track, stamp, is_ahead=True)
        at = stamp.seconds + track.shift
        self._paused_seconds += max(0.0, at - self.end_seconds)
        track.last, track.last_is_decoding_time = at, stamp.has_decoding_time
        duration = self._credible(stamp.duration_seconds)
        track.end = max(track.end, at + duration)
        shown_end = stamp.shown_seconds + track.shift + duration
        self.end_seconds = max(self.end_seconds, track.end, shown_end)
        return track.shift

    def credible(self, stamp: Stamp) -> Stamp:
        """Return a stamp whose picture is shown when it is decoded, if it is said to be far off."""
        if abs(stamp.shown_seconds - stamp.seconds) <= self._longest_gap:
            return stamp
        self.is_plain = False
        return stamp._replace(shown_seconds=stamp.seconds)

    def track_end_seconds(self, track: int) -> float:
        """Return where a track ends so far."""
        return self._tracks[track].end if track in self._tracks else self.origin_seconds

    def _begun(self, stamp: Stamp) -> _Track:
        """Return a track that begins; one by another clock begins with the others."""
        part = len(self._shifts) - 1
        shift = self._shifts[part]
        at = stamp.seconds + shift
        if at < self.origin_seconds - _BEFORE_SECONDS or self._is_jump(at):
            self.is_plain = False
            shift = self.origin_seconds - stamp.shown_seconds
            at = stamp.seconds + shift
        track = self._tracks[stamp.track] = _Track(part, shift, at, stamp.has_decoding_time, at)
        return track

    @staticmethod
    def _is_restart(track: _Track, stamp: Stamp) -> bool:
        both = stamp.has_decoding_time and track.last_is_decoding_time
        tolerance = _BACKWARD_SECONDS if both else _BACKWARD_SHOWN_SECONDS
        return stamp.seconds + track.shift < track.last - tolerance

    def _credible(self, duration_seconds: float) -> float:
        """Return how long a packet lasts; one may be meant to stay, but none for hours."""
        longest = self._longest_gap
        return min(duration_seconds, longest) if duration_seconds <= 2 * longest else 0.0

    def _is_jump(self, at: float) -> bool:
        """Return whether a time lies so far behind everything that it is damage."""
        gap = at - self.end_seconds
        content = self.end_seconds - self.origin_seconds - self._paused_seconds
        return gap > self._longest_gap or self._paused_seconds + gap > _GAPS_SECONDS + content

    def _next_part(self, track: _Track, stamp: Stamp, is_ahead: bool) -> None:
        """Let a track go on with the part that another track has begun, or begin one."""
        self.is_plain = False
        first = max(track.part + 1, len(self._shifts) - _PARTS_KEPT)
        for part in range(first, len(self._shifts)):
            away = stamp.seconds + self._shifts[part] - track.end
            if -1.0 < away < self._longest_gap:
                break
        else:
            part = len(self._shifts)
            self._shifts.append(self._part_end() - stamp.shown_seconds)
            if is_ahead:
                self.n_jumps += 1
                self.jumped_seconds += stamp.seconds + track.shift - self.end_seconds
        # Nothing of it may lie before what the track has given already, or it would be lost.
        track.part, track.shift = part, max(self._shifts[part], track.end - stamp.seconds)

    def _part_end(self) -> float:
        """Return where the next part begins."""
        sound = self._tracks.get(self._sound_track)
        near = sound is not None and self.end_seconds - sound.end < _SOUND_SHORTER_SECONDS
        return sound.end if near else self.end_seconds
