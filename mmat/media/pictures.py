"""Pictures of containers at given times, with as little decoding as keyframes allow.

The packets' times are read first, without decoding. They decide which pictures stand for the times,
and which packets these are decoded from. Where the packets' times are not enough, the file is
decoded from the front. `PictureStream` reads a whole film, in constant memory.
"""

import contextlib
import dataclasses
import itertools
import typing
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from mmat.files import reason_of
from mmat.media.containers import Losses, NotReadable, open_container, packets_of, prepared
from mmat.media.survey import PREROLL_SECONDS, Survey, frames_from

SAME_INSTANT_SECONDS = 0.001
_NEAR_KEYFRAMES = 2  # keyframes this many distances of the times apart, or less, stand for them
_SKIPPING_DECODERS = ("h264", "hevc")  # those that obey from one packet to the next
_FAR_SECONDS = 20.0  # a keyframe this long before the pictures makes seeking expensive
_MATRIX_BYTES = 36  # nine int32


@dataclasses.dataclass(frozen=True)
class Size:
    """How large pictures come out: see `mmat.media.read.read_frames`."""

    max_side_px: int = 320
    square_px: int | None = None

    def scaled(self, width: float, height: float) -> tuple[int, int]:
        """Return the width and height that a picture of this shape is scaled to."""
        if self.square_px:
            return self.square_px, self.square_px
        scale = min(1.0, self.max_side_px / max(width, height))
        return max(1, round(width * scale)), max(1, round(height * scale))


def read_pictures(
    look: Survey, start_seconds: float, end_seconds: float | None, n_frames: int, size: Size
) -> tuple[np.ndarray | None, float]:
    """Return pictures near the centres of n equal parts of the range, and the range's seconds.

    uint8 RGB (n_frames, height, width, 3), or None without a picture track or pictures in the
    range; `choose_packets` says which. Raises NotReadable for what FFmpeg cannot decode.
    """
    seconds = look.seconds if end_seconds is None else min(look.seconds, end_seconds)
    seconds -= start_seconds
    if look.picture_track is None or seconds <= 0:
        return None, 0.0
    times = start_seconds + (np.arange(n_frames) + 0.5) * (seconds / n_frames)
    pictures = None
    for seek in (True, False) if start_seconds > 0 else (False,):
        # Where time stamps restart or leap, a packet's own does not say when it is shown.
        if not look.is_plain:
            break
        with open_container(look.path) as container, contextlib.suppress(Unclear):
            track = prepared(container.streams[look.picture_track])
            video = Video(container, track, look.origin_seconds, Upright(size, track))
            pictures = video.pictures_at(times, start_seconds + seconds, seek)
            break
    if pictures is None:
        opened = frames_from(look, look.picture_track, start_seconds, Losses())
        with opened as (track, frames):
            shown = Shown(frames, look.origin_seconds, Upright(size, track))
            pictures = shown.at(times + SAME_INSTANT_SECONDS)
    return (np.stack(pictures), seconds) if pictures else (None, 0.0)


class Packet(NamedTuple):
    """What is known of a video packet before it is decoded; the times are seconds of the file."""

    seconds: float
    is_keyframe: bool
    is_shown: bool
    stamps: tuple[int, int | None]  # shown and decoded at, by which it is found again


class Need(NamedTuple):
    """Which packets to decode for some pictures: from a keyframe to the last of them."""

    begin: int
    end: int
    wanted: frozenset[int]


def choose_packets(
    packets: Sequence[Packet], times: Sequence[float], range_end: float
) -> list[int]:
    """Return for each time the number of the packet whose picture stands for it.

    Where the keyframes around a time are at most two distances of the times apart, it is the
    nearest keyframe; if that lies outside the range or farther than half the keyframe interval, it
    is the first picture within half an interval. Elsewhere, where neighbouring times would get the
    same keyframe, it is the picture shown at that very time.
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
    """Return the distance of the keyframes around a time, and the part of it that is known.

    After the last keyframe it is taken to be as before, and the part that is known ends at `end`.
    """
    if 0 < after < len(key_begins):
        gap = key_begins[after] - key_begins[after - 1]
        return gap, gap
    if after > 1:
        gap = key_begins[after - 1] - key_begins[after - 2]
        return gap, min(gap, end - key_begins[after - 1])
    return np.inf, 0.0


def packets_to_decode(packets: Sequence[Packet], wanted: Sequence[int]) -> list[Need]:
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


class Unclear(Exception):
    """The packets' times do not say where the pictures are, or decoding does not give them."""


@dataclasses.dataclass(frozen=True)
class Video:
    """The picture track of an open container."""

    container: typing.Any
    track: typing.Any
    origin: float
    upright: "Upright"

    def pictures_at(self, times, range_end: float, seek: bool) -> list[np.ndarray]:
        """Return the pictures that stand for the times; raises Unclear if it cannot find them."""
        return self.pictures_of(
            self.packets(times[0] if seek else None, range_end), times, range_end
        )

    def pictures_of(self, packets: list[Packet], times, range_end: float) -> list[np.ndarray]:
        """Return the pictures that stand for the times, out of packets that were read."""
        choice = choose_packets(packets, times, range_end)
        found = {}
        for need in packets_to_decode(packets, choice):
            found |= self._decoded(packets, need)
        return [found[n] for n in choice]

    def packets(self, seek_seconds: float | None, range_end: float) -> list[Packet]:
        """Return the video packets from a keyframe on, sought or the first, to the range's end."""
        import av

        time_base, packets = self.track.time_base, []
        with contextlib.suppress(av.error.FFmpegError):  # a file that is cut off
            if seek_seconds is not None:
                early = max(0.0, seek_seconds - PREROLL_SECONDS) + self.origin
                self.container.seek(int(early / time_base), stream=self.track)
            for packet in packets_of(self.container, self.track):
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
                self.upright.see(frame)
                if frame.pts in numbers:
                    found.setdefault(numbers[frame.pts], self.upright(frame))

        try:
            pts, dts = packets[need.begin].stamps
            self.container.seek(pts if dts is None else dts, stream=self.track)
            ahead = (p for p in packets_of(self.container, self.track) if p.size)
            ahead = itertools.dropwhile(lambda p: (p.pts, p.dts) != (pts, dts), ahead)
            for packet in itertools.islice(ahead, need.end - need.begin + 1):
                if context.name in _SKIPPING_DECODERS:
                    # Frames that no other depends on are decoded only where they are wanted.
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
        self._upright.see(frame)
        begins = number / self._rate if frame.time is None else frame.time - self._origin
        self._following = begins, frame


class Upright:
    """Turns and mirrors frames into RGB pictures as a player shows them, of the first one's size.

    Their pixels are square. The last display matrix that was seen by the first picture decides for
    all; one that appears later is ignored. aspect: width by height of the pictures before they are
    squeezed to a square.
    """

    def __init__(self, size: Size, track):
        self.size, self.track = size, track
        self.shape: tuple[int, int] | None = None
        self.orientation, self.aspect = Orientation(False, 1, 1), 1.0

    def see(self, frame) -> None:
        """Take the display matrix of a decoded frame, picture or not: only some may carry one."""
        if self.shape is None and (matrix := display_matrix(frame)) is not None:
            self.orientation = orientation_of(matrix)

    def __call__(self, frame) -> np.ndarray:
        if self.shape is None:
            ratio = float(self.track.sample_aspect_ratio or 1)
            ratio = ratio if 1 / 4 <= ratio <= 4 else 1.0  # others are damage
            self.shape = self.size.scaled(frame.width * ratio, frame.height)
            aspect = frame.width * ratio / frame.height
            self.aspect = 1 / aspect if self.orientation.is_transposed else aspect
        width, height = self.shape
        picture = frame.to_ndarray(format="rgb24", width=width, height=height)
        if self.orientation.is_transposed:
            picture = picture.swapaxes(0, 1)
        return picture[:: self.orientation.row_step, :: self.orientation.column_step]


class Orientation(NamedTuple):
    """One of the eight ways to show a picture: transposed first, then read in steps of 1 or -1."""

    is_transposed: bool
    row_step: int
    column_step: int


def orientation_of(matrix: np.ndarray) -> Orientation:
    """Return the orientation nearest to a display matrix (3, 3), in FFmpeg's order of numbers.

    A pixel (x, y) is shown at `(x, y, 1) @ matrix`, y downwards. Zeros, which are damage, leave the
    picture as it is.

    >>> orientation_of(np.array([[-1, 0, 0], [0, 1, 0], [0, 0, 1]]))  # mirrored
    Orientation(is_transposed=False, row_step=1, column_step=-1)
    """
    (a, b), (c, d) = np.sign(matrix[:2, :2])
    sizes = np.abs(matrix[:2, :2].astype(np.float64))
    if sizes[0, 1] + sizes[1, 0] > sizes[0, 0] + sizes[1, 1]:
        return Orientation(True, -1 if b < 0 else 1, -1 if c < 0 else 1)
    return Orientation(False, -1 if d < 0 else 1, -1 if a < 0 else 1)


def display_matrix(frame) -> np.ndarray | None:
    """Return the display matrix (3, 3) of a frame, fixed-point numbers; None without one.

    It comes from the container, from an SEI message of H.264 and HEVC, or from Exif.
    """
    try:
        found = [bytes(d) for d in frame.side_data if d.type.name == "DISPLAYMATRIX"]
    except ValueError:  # side data newer than PyAV hide the rest: the rotation is known alone
        return _rotation_matrix(frame.rotation) if frame.rotation else None
    if not found or len(found[0]) != _MATRIX_BYTES:
        return None
    return np.frombuffer(found[0], np.int32).reshape(3, 3)


def _rotation_matrix(degrees: float) -> np.ndarray:
    """Return the display matrix of a turn, counterclockwise."""
    sine, cosine = np.sin(np.radians(degrees)), np.cos(np.radians(degrees))
    return np.array([[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1]])


class PictureStream:
    """Reads evenly spaced pictures, range after range, and keeps those of the last ranges.

    look: of a file with a picture track. range_seconds and n_frames: of one range. seconds: when
    the pictures end, the file's length until they turn out to end earlier. problem: why they could
    not be read any further, else empty. As in `mmat.media.read.read_frames` a picture is the
    nearest keyframe where those are dense; from where they are over 20 s apart, every frame is
    decoded, once. Raises NotReadable for a file that FFmpeg cannot open.
    """

    def __init__(self, look: Survey, range_seconds: float, n_frames: int, size: Size):
        self.seconds, self.problem = look.seconds, ""
        self._look, self._range_seconds, self._n_frames = look, range_seconds, n_frames
        self._kept: list[tuple[float, np.ndarray]] = []
        self._done_seconds = 0.0
        self._last_seconds: float | None = None  # when the last picture begins, once that is known
        self._shown: Shown | None = None
        with contextlib.ExitStack() as stack:
            container = stack.enter_context(open_container(look.path))
            track = prepared(container.streams[look.picture_track])
            self._upright = Upright(size, track)
            self._video = Video(container, track, look.origin_seconds, self._upright)
            self._open = stack.pop_all()

    def close(self) -> None:
        """Close the file."""
        self._open.close()

    @property
    def aspect(self) -> float:
        """Width by height of the upright pictures."""
        return self._upright.aspect

    def read_until(self, seconds: float) -> None:
        """Read the ranges that begin before a time."""
        while self._done_seconds < min(seconds, self.seconds):
            begin = self._done_seconds
            end = min(begin + self._range_seconds, self.seconds)
            share = (end - begin) / self._range_seconds
            n = max(1, round(self._n_frames * share)) if begin else self._n_frames
            times = begin + (np.arange(n) + 0.5) * ((end - begin) / n)
            pictures = self._until_damage(times, end)
            if not pictures:
                self.seconds = begin
                return
            self._kept += zip(times, pictures, strict=True)
            self._done_seconds = end

    def end_with_the_sound(self, seconds: float) -> None:
        """Let the pictures end with the sound, if the last one has been read by then.

        The last picture may be meant to stay, but a film that is cut off still has the header of
        the whole. Without sound (0 seconds) the last picture stays for a range.
        """
        if self._last_seconds is not None:
            stays = self._range_seconds / (self._n_frames if seconds else 1)
            self.seconds = min(self.seconds, max(seconds, self._last_seconds + stays))

    def between(self, begin_seconds: float, end_seconds: float, n_frames: int):
        """Return uint8 (n_frames, height, width, 3) for the centres of n parts, and their times.

        They are the nearest of those that are kept. (None, no times) where there are no pictures.
        """
        end_seconds = min(end_seconds, self.seconds)
        if end_seconds - begin_seconds < SAME_INSTANT_SECONDS or not self._kept:
            return None, np.zeros(0)
        part = (end_seconds - begin_seconds) / n_frames
        times = begin_seconds + (np.arange(n_frames) + 0.5) * part
        kept = np.array([time for time, _ in self._kept])
        nearest = np.abs(kept[None] - times[:, None]).argmin(axis=1)
        return np.stack([self._kept[n][1] for n in nearest]), times

    def forget(self, before_seconds: float) -> None:
        """Drop the pictures before a time."""
        self._kept = [(time, picture) for time, picture in self._kept if time >= before_seconds]

    def _until_damage(self, times: np.ndarray, end: float) -> list[np.ndarray]:
        import av

        try:
            return self._read(times, end)
        except (NotReadable, av.error.FFmpegError) as error:
            self.problem = f"the pictures end at {self._done_seconds:.1f} s: {reason_of(error)}"
            return []

    def _read(self, times: np.ndarray, end: float) -> list[np.ndarray]:
        if self._shown is None:
            # Where time stamps restart or leap, a packet's own does not say when it is shown.
            if self._look.is_plain:
                with contextlib.suppress(Unclear):
                    return self._read_sought(times, end)
            frames = frames_from(self._look, self._look.picture_track, float(times[0]), Losses())
            _, frames = self._open.enter_context(frames)
            self._shown = Shown(frames, self._look.origin_seconds, self._upright)
        pictures = self._shown.at(times + SAME_INSTANT_SECONDS)
        self._last_seconds = self._shown.last_seconds
        return pictures

    def _read_sought(self, times: np.ndarray, end: float) -> list[np.ndarray]:
        begin = times[0]
        packets = self._video.packets(begin if begin > self._range_seconds else None, end)
        last = max(packet.seconds for packet in packets)
        if last > begin > packets[0].seconds + _FAR_SECONDS:
            raise Unclear
        if last <= end:  # or there would be one more
            self._last_seconds = last
        return self._video.pictures_of(packets, times, end)
