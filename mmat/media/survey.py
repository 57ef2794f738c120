"""What a file holds, and when: all that is known of it before it is decoded.

`survey` looks at the packets' time stamps, without decoding. Sound and pictures, whole files and
ranges, lists and progress bars all go by what it says.
"""

import contextlib
import dataclasses
import itertools
import math
import os
import pathlib
from collections.abc import Iterable, Iterator

import numpy as np

from mmat.media.containers import (
    Losses,
    NotReadable,
    decoded,
    open_container,
    packets_of,
    prepared,
    samples_of,
    scaled,
    tracks_of,
)
from mmat.media.extents import Extents
from mmat.media.promises import Promise, promise_of
from mmat.media.timeline import Stamp, Timeline

# Time stamps of these count what came before, so that there is nothing to look through.
_COUNTED = {"wav", "w64", "aiff", "au", "caf", "voc", "ircam", "nistsphere", "iff", "sox"}
# So do these, packet by packet, and count wrong where a part of another rate was joined.
_COUNTING = {
    *("mp3", "aac", "ac3", "eac3", "dts", "dtshd", "amr", "flac", "wv", "tta", "mpc8", "ogg", "rm")
}
_OGG_CODECS = ("vorbis", "opus")
# A longer leap of all tracks is no pause: in transport streams as FFmpeg has it, which expects them
# to be cut and joined, and elsewhere.
_LEAP_SECONDS = {"mpegts": 10.0, "mpeg": 10.0}
_OTHER_LEAP_SECONDS = 60.0
_HEADER_BYTES = 1 << 16
_CODEC_DELAY_SECONDS = 1.0  # what begins this much before zero, or less, is left out
_SILENT_PEAK = 1e-4  # -80 dB
_INTERLEAVED_SECONDS = 2.0
_MISSING_SECONDS, _MISSING_SOUND_SECONDS = 0.5, 0.2
# Seeking aims earlier: codecs need some sound before the first exact sample, and pictures are found
# by their decoding times, a bit before they are shown.
PREROLL_SECONDS = 0.2


@dataclasses.dataclass(frozen=True)
class Survey:
    """What was found in a file.

    origin_seconds: where second 0 lies by the file's clock. sound_track, picture_track: their
    numbers, None without one. is_plain: time stamps can be relied on, so that one can seek.
    has_times: they are more than counts of samples. seconds: the length by the header, where what
    was seen agrees with it. sound_seconds: of the sound alone. seen_seconds: by the packets, of the
    file or up to where one looked. reached_end: whether that is all of the file. notes: what a user
    should know, in sentences.
    """

    path: pathlib.Path
    origin_seconds: float
    sound_track: int | None
    picture_track: int | None
    is_plain: bool
    has_times: bool
    seconds: float
    sound_seconds: float
    seen_seconds: float
    reached_end: bool
    promise: Promise
    longest_gap_seconds: float
    notes: tuple[str, ...] = ()

    def missing(self, end_seconds: float | None = None) -> str:
        """Return what is missing of the promised length up to a time, or of all of it."""
        wanted = end_seconds is None or end_seconds > self.seen_seconds
        if not (self.reached_end and wanted):
            return ""
        tolerance = _tolerance_seconds(self.picture_track is not None)
        return self.promise.missing(self.seen_seconds, tolerance)

    def timeline(self) -> Timeline:
        """Return the timeline of its packets, at their beginning."""
        return Timeline(self.origin_seconds, self.longest_gap_seconds, self.sound_track)


def survey(path: pathlib.Path, until_seconds: float | None = None) -> Survey:
    """Return what a file holds; raises NotReadable for what FFmpeg cannot open.

    until_seconds: no need to look further, since a range ends there.
    """
    with open_container(path) as container:
        name, duration = container.format.name, _header_seconds(container)
        sounds = [track.index for track in tracks_of(container, "audio")]
        pictures = [track.index for track in tracks_of(container, "video")]
        promise = promise_of(path, container, duration)
        longest_gap = _LEAP_SECONDS.get(name, _OTHER_LEAP_SECONDS)
        sound, silent_note = _heard(path, sounds)
        line = Timeline(_origin_seconds(container), longest_gap, sound)
        extents = Extents()
        seconds = seen_seconds = duration
        reached_end = True
        if name not in _COUNTED or duration is None or not _is_whole(path, container, promise):
            until = math.inf if until_seconds is None else until_seconds
            seen_seconds, reached_end = _looked_through(container, line, until, extents)
            seconds = seen_seconds
            if line.is_plain:
                tolerance = _tolerance_seconds(bool(pictures))
                seconds = _agreed(duration, seen_seconds, reached_end, tolerance)
    notes = [silent_note, _leaps(line), promise.left_over]
    if name == "mpegts" and reached_end:
        read, kind = (sound, sounds) if sounds else (next(iter(pictures), None), pictures)
        notes.append(extents.behind(read, kind, path.stat().st_size))
    sound_seconds = seconds
    if line.end_seconds > line.origin_seconds and sound is not None:
        sound_seconds = min(seconds, line.track_end_seconds(sound) - line.origin_seconds)
    return Survey(
        path=path,
        origin_seconds=line.origin_seconds,
        sound_track=sound,
        picture_track=pictures[0] if pictures else None,
        is_plain=line.is_plain,
        has_times=name not in _COUNTED | _COUNTING,
        seconds=seconds,
        sound_seconds=sound_seconds,
        seen_seconds=seen_seconds,
        reached_end=reached_end,
        promise=promise if line.is_plain else Promise(),
        longest_gap_seconds=longest_gap,
        notes=tuple(filter(None, notes)),
    )


def file_seconds(path: str | os.PathLike) -> float:
    """Return the length of what is in a media file, in seconds; NaN if it cannot be read."""
    try:
        return survey(pathlib.Path(path)).seconds
    except Exception:  # NotReadable, OSError, and whatever a codec library raises
        return math.nan


@contextlib.contextmanager
def frames_from(look: Survey, number: int | None, start_seconds: float, losses: Losses):
    """Open a file at a track: (the track, or None without a number; an iterator of its frames).

    Decoding begins at or before `start_seconds`; the frames' times lie on the file's timeline.
    """
    import av

    with contextlib.ExitStack() as stack:
        if number is None:
            yield None, iter(())
            return
        for seek in (True, False) if start_seconds > 0 and look.is_plain else (False,):
            container = stack.enter_context(open_container(look.path))
            track = prepared(container.streams[number])
            packets = packets_of(container, *([track] if look.is_plain else []))
            if not look.is_plain:
                packets = on_timeline(packets, look.timeline(), track)
            losses.begin(start_seconds + look.origin_seconds)
            frames = decoded(packets, losses)
            if not seek:
                break
            with contextlib.suppress(av.error.FFmpegError, NotReadable):
                if (sought := _sought(look, container, track, frames, start_seconds)) is not None:
                    frames = sought
                    break
        yield track, frames


def _sought(look: Survey, container, track, frames: Iterator, start_seconds: float):
    """Return the frames from a time on, None where seeking does not lead there for certain."""
    codec, name = track.codec_context, container.format.name
    # FFmpeg goes by the mean bit rate of sound that is compressed in files for plain samples, and
    # gives wrong times in Ogg files to codecs that do not fill pages as Ogg's own do.
    if name in _COUNTED and not codec.name.startswith("pcm_"):
        return None
    if name == "ogg" and codec.name not in _OGG_CODECS:
        return None
    rate = getattr(codec, "sample_rate", None)
    seconds = max(0.0, start_seconds - PREROLL_SECONDS) + look.origin_seconds
    container.seek(int(seconds / track.time_base), stream=track)
    frames = itertools.dropwhile(lambda frame: frame.time is None, frames)
    first = list(itertools.islice(frames, 2))
    # Some formats cannot seek, or land too late.
    if not first or first[0].time - look.origin_seconds > start_seconds:
        return None
    # Time stamps that count samples are wrong behind a change of their rate; a decoder still gives
    # the first frame the rate of before.
    if not look.has_times and any(getattr(frame, "sample_rate", None) != rate for frame in first):
        return None
    return itertools.chain(first, frames)


def stamp_of(packet, bases: dict[int, float]) -> Stamp | None:
    """Return a packet's time stamp, None without one; bases: of the tracks, filled here."""
    pts, dts = packet.pts, packet.dts
    if pts is None and dts is None:
        return None
    track = packet.stream_index
    base = bases.get(track)
    if base is None:  # fractions of Python take ten times as long as all the rest
        base = bases[track] = float(packet.time_base)
    return Stamp(
        track,
        (pts if dts is None else dts) * base,
        (dts if pts is None else pts) * base,
        (packet.duration or 0) * base,
        dts is not None,
    )


def on_timeline(packets: Iterable, line: Timeline, track) -> Iterator:
    """Yield a track's packets of those of the whole file, their time stamps put on its timeline."""
    bases: dict[int, float] = {}
    for packet in packets:
        stamp = stamp_of(packet, bases)
        shift = 0.0 if stamp is None else line.shift(stamp)
        # The last, empty packets have no number of their own.
        if packet.stream.index != track.index:
            continue
        if stamp is not None and line.credible(stamp) != stamp:
            packet.pts = packet.dts
        if shift:
            ticks = round(shift / float(packet.time_base))
            packet.pts = None if packet.pts is None else packet.pts + ticks
            packet.dts = None if packet.dts is None else packet.dts + ticks
        yield packet


def _origin_seconds(container) -> float:
    import av

    start = (container.start_time or 0) / av.time_base
    return 0.0 if -_CODEC_DELAY_SECONDS < start < 0 else start


def _header_seconds(container) -> float | None:
    """Return the duration in the header, from the origin on; None if it does not say."""
    import av

    if container.duration is None:
        return None
    # Matroska's duration counts from zero on the clock, not from where the file starts.
    start = 0 if "matroska" in container.format.name else container.start_time or 0
    return (start + container.duration) / av.time_base - _origin_seconds(container)


def _looked_through(
    container, line: Timeline, until_seconds: float, extents: Extents
) -> tuple[float, bool]:
    """Return when the last of the packets ends, and whether the file ended by the time."""
    until = until_seconds + line.origin_seconds
    bases: dict[int, float] = {}
    untimed: dict[int, float] = {}  # seconds of a track's packets without a stamp, since the last
    for packet in packets_of(container):
        if not packet.size:
            continue
        stamp = stamp_of(packet, bases)
        if stamp is None:
            seconds = float((packet.duration or 0) * packet.time_base)
            untimed[packet.stream_index] = untimed.get(packet.stream_index, 0.0) + seconds
            continue
        untimed.pop(stamp.track, None)
        extents.add(stamp.track, packet.pos, stamp.duration_seconds)
        line.shift(stamp)
        # Tracks are interleaved, but not to the second.
        if line.end_seconds > until + _INTERLEAVED_SECONDS:
            return line.end_seconds - line.origin_seconds, False
    ends = [line.track_end_seconds(track) + seconds for track, seconds in untimed.items()]
    return max([line.end_seconds, *ends]) - line.origin_seconds, True


def _tolerance_seconds(has_pictures: bool) -> float:
    """Return how far a header and packets may differ: the last picture may be meant to stay."""
    return _MISSING_SECONDS if has_pictures else _MISSING_SOUND_SECONDS


def _agreed(
    header_seconds: float | None, seen_seconds: float, reached_end: bool, tolerance_seconds: float
) -> float:
    """Return the length by the header, unless what was seen is clearly something else."""
    if header_seconds is None:
        return seen_seconds
    if not reached_end:
        return max(header_seconds, seen_seconds)
    near = abs(header_seconds - seen_seconds) <= tolerance_seconds
    return header_seconds if near else seen_seconds


def _is_whole(path: pathlib.Path, container, promise: Promise) -> bool:
    """Return whether a file of plain samples has as many bytes as it promises, and a header."""
    if promise.seconds is None:
        return True
    codec = container.streams[0].codec_context
    if codec is None or not codec.name.startswith("pcm_") or not codec.bit_rate:
        return False
    rest = path.stat().st_size - promise.seconds * codec.bit_rate / 8
    return 0 <= rest < _HEADER_BYTES


def _leaps(line: Timeline) -> str:
    if not line.n_jumps:
        return ""
    return (
        f"its time stamps leap ahead by {line.jumped_seconds:.1f} s in which there is nothing; "
        "what follows is taken to come right after"
    )


def _heard(path: pathlib.Path, numbers: list[int]) -> tuple[int | None, str]:
    """Return the first sound track that is not silent, else the first; and what is said of it."""
    if len(numbers) < 2:
        return (numbers[0] if numbers else None), ""
    for nth, number in enumerate(numbers):
        if not _is_silent(path, number):
            if nth == 0:
                return number, ""
            return (
                number,
                f"the first of {len(numbers)} sound tracks is silent: track {nth + 1} is read",
            )
    return numbers[0], ""


def _is_silent(path: pathlib.Path, number: int) -> bool:
    with open_container(path) as container:
        track = prepared(container.streams[number])
        try:
            for frame in decoded(packets_of(container, track), Losses()):
                samples = samples_of(frame)
                if np.abs(scaled(samples, samples.dtype)).max(initial=0.0) > _SILENT_PEAK:
                    return False
        except NotReadable:
            pass
    return True
