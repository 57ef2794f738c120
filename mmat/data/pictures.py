"""Pictures out of containers at asked times, with as little decoding as keyframes allow.

The packets' times are read first, without decoding; then only those packets are decoded that the
asked pictures need. Files whose packets don't tell enough are decoded from the front instead.
"""

import contextlib
import dataclasses
import itertools
import pathlib
import typing
from collections.abc import Iterator

import numpy as np

from mmat.data.containers import first_track, frames_from, opened
from mmat.data.keyframes import SAME_INSTANT_SECONDS, Need, Packet, chosen, needed

_SKIPPING_DECODERS = ("h264", "hevc")  # those that obey from one packet to the next
_PREROLL_SECONDS = 0.2  # seeking goes by decoding times, a little before the shown ones


@dataclasses.dataclass(frozen=True)
class Size:
    """How large pictures come out: see `mmat.data.media.read_frames`."""

    max_side_px: int = 320
    square_px: int | None = None

    def scaled(self, width: float, height: float) -> tuple[int, int]:
        """Return the width and height that a picture of this shape is scaled to."""
        if self.square_px:
            return self.square_px, self.square_px
        scale = min(1.0, self.max_side_px / max(width, height))
        return max(1, round(width * scale)), max(1, round(height * scale))


class Unclear(Exception):
    """The packets don't tell where the asked pictures are, or decoding doesn't give them."""


def read_pictures(
    path: pathlib.Path, start_seconds: float, end_seconds: float | None, n_frames: int, size: Size
) -> tuple[np.ndarray | None, float]:
    """Return pictures near the centres of n equal parts of the range, and the range's seconds.

    uint8 RGB (n_frames, height, width, 3), or None without a picture track or pictures in the
    range; which pictures, `mmat.data.keyframes.chosen` says. Raises NotReadable for what FFmpeg
    cannot decode.
    """
    pictures = None
    for seek in (True, False) if start_seconds > 0 else (False,):
        with opened(path) as (container, origin):
            track = first_track(container, "video")
            if track is None:
                return None, 0.0
            seconds = duration_seconds(path, container, origin) - start_seconds
            if end_seconds is not None:
                seconds = min(seconds, end_seconds - start_seconds)
            if seconds <= 0:
                return None, 0.0
            times = start_seconds + (np.arange(n_frames) + 0.5) * (seconds / n_frames)
            video = Video(container, track, origin, Upright(size, track))
            with contextlib.suppress(Unclear):
                pictures = video.pictures_at(times, start_seconds + seconds, seek)
                break
    if pictures is None:
        with frames_from(path, "video", start_seconds) as (origin, track, frames):
            shown = Shown(frames, origin, Upright(size, track))
            pictures = shown.at(times + SAME_INSTANT_SECONDS)
    return (np.stack(pictures), seconds) if pictures else (None, 0.0)


@dataclasses.dataclass(frozen=True)
class Video:
    """The picture track of an open container."""

    container: typing.Any
    track: typing.Any
    origin: float
    upright: "Upright"

    def pictures_at(self, times, range_end: float, seek: bool) -> list[np.ndarray]:
        """Return the pictures that stand for the times; raise Unclear if that cannot be told."""
        return self.pictures_of(
            self.packets(times[0] if seek else None, range_end), times, range_end
        )

    def pictures_of(self, packets: list[Packet], times, range_end: float) -> list[np.ndarray]:
        """Return the pictures that stand for the times, out of packets that were read."""
        choice = chosen(packets, times, range_end)
        found = {}
        for need in needed(packets, choice):
            found |= self._decoded(packets, need)
        return [found[n] for n in choice]

    def packets(self, seek_seconds: float | None, range_end: float) -> list[Packet]:
        """Return the video packets from a keyframe on, sought or the first, to the range's end."""
        import av

        time_base, packets = self.track.time_base, []
        with contextlib.suppress(av.error.FFmpegError):  # a file that is cut off
            if seek_seconds is not None:
                early = max(0.0, seek_seconds - _PREROLL_SECONDS) + self.origin
                self.container.seek(int(early / time_base), stream=self.track)
            for packet in self.container.demux(self.track):
                if not packet.size or not (packets or packet.is_keyframe):
                    continue
                if packet.pts is None:
                    raise Unclear
                seconds = float(packet.pts * time_base) - self.origin
                stamps = (packet.pts, packet.dts)
                packets.append(Packet(seconds, packet.is_keyframe, not packet.is_discard, stamps))
                last = packet.pts if packet.dts is None else packet.dts
                if float(last * time_base) - self.origin > range_end:
                    break
        landed_late = seek_seconds is not None and packets and packets[0].seconds > seek_seconds
        if landed_late or not any(packet.is_shown for packet in packets):
            raise Unclear
        return packets

    def _decoded(self, packets: list[Packet], need: Need) -> dict[int, np.ndarray]:
        """Decode what is needed and return the wanted pictures by their packets' numbers."""
        import av

        context = self.track.codec_context
        numbers = {packets[n].stamps[0]: n for n in need.wanted}
        found = {}

        def keep(frames):
            for frame in frames:
                if frame.pts in numbers:
                    found.setdefault(numbers[frame.pts], self.upright(frame))

        try:
            pts, dts = packets[need.begin].stamps
            self.container.seek(pts if dts is None else dts, stream=self.track)
            ahead = (p for p in self.container.demux(self.track) if p.size)
            ahead = itertools.dropwhile(lambda p: (p.pts, p.dts) != (pts, dts), ahead)
            for packet in itertools.islice(ahead, need.end - need.begin + 1):
                if context.name in _SKIPPING_DECODERS:
                    # What no other is predicted from is decoded only where it is asked for.
                    context.skip_frame = "DEFAULT" if packet.pts in numbers else "NONREF"
                with contextlib.suppress(av.error.FFmpegError):
                    keep(context.decode(packet))
            keep(context.decode(None))
            context.flush_buffers()
        except av.error.FFmpegError as error:
            raise Unclear from error
        if len(found) < len(need.wanted):
            raise Unclear
        return found


def duration_seconds(path: pathlib.Path, container, origin: float) -> float:
    """Return when the last track ends, from the header, else from all packets' times."""
    import av

    if container.duration is not None:
        # Matroska's duration counts from zero on the clock, not from where the file starts.
        start = 0 if "matroska" in container.format.name else container.start_time or 0
        return (start + container.duration) / av.time_base - origin
    ends = [0.0]
    with opened(path) as (again, _), contextlib.suppress(av.error.FFmpegError):
        for packet in again.demux():
            if packet.pts is not None:
                ends.append(float((packet.pts + (packet.duration or 0)) * packet.time_base))
    return max(ends) - origin


class Shown:
    """The pictures shown at given times, the times going forward, out of decoded frames."""

    def __init__(self, frames: Iterator, origin: float, upright: "Upright"):
        self._frames, self._origin, self._upright = enumerate(frames), origin, upright
        self._rate = float(upright.track.average_rate or 25)
        self._last = self._following = None  # (begins at, frame)
        self._advance()

    def at(self, times) -> list[np.ndarray]:
        """Return for each time the last picture that begins before it (or the very first)."""
        found = []
        for time in times:
            while self._following is not None and self._following[0] <= time:
                self._advance()
            shown = self._last or self._following
            if shown is not None:
                found.append(self._upright(shown[1]))
        return found

    @property
    def last_seconds(self) -> float | None:
        """When the last picture begins, once it has been reached."""
        return self._last[0] if self._last and self._following is None else None

    def _advance(self) -> None:
        self._last = self._following or self._last
        number, frame = next(self._frames, (0, None))
        if frame is None:
            self._following = None
            return
        begins = number / self._rate if frame.time is None else frame.time - self._origin
        self._following = begins, frame


class Upright:
    """Makes frames RGB with square pixels, turned as metadata say, all of the first one's size.

    aspect: width by height of the upright pictures before they are squeezed to a square.
    """

    def __init__(self, size: Size, track):
        self.size, self.track = size, track
        self.shape: tuple[int, int] | None = None
        self.quarter_turns, self.aspect = 0, 1.0

    def __call__(self, frame) -> np.ndarray:
        if self.shape is None:
            ratio = float(self.track.sample_aspect_ratio or 1)
            ratio = ratio if 1 / 4 <= ratio <= 4 else 1.0  # outside of this it is damage
            self.shape = self.size.scaled(frame.width * ratio, frame.height)
            self.quarter_turns = round(frame.rotation / 90)
            aspect = frame.width * ratio / frame.height
            self.aspect = 1 / aspect if self.quarter_turns % 2 else aspect
        width, height = self.shape
        picture = frame.to_ndarray(format="rgb24", width=width, height=height)
        return np.rot90(picture, k=self.quarter_turns)
