"""Sound and pictures out of containers (mp4, webm, mkv, avi, …), by FFmpeg through PyAV.

Second 0 is where the container starts, so sound and pictures keep their places in relation to
each other, whatever the codec's delay.
"""

import contextlib
import dataclasses
import itertools
import pathlib
from collections.abc import Iterator

import numpy as np

from mmat.errors import InputError

# Formats of media alone: FFmpeg would also draw a text file as a picture, or follow a playlist
# to other files and hosts.
_OPTIONS = {
    "protocol_whitelist": "file",
    "format_whitelist": "mov,mp4,3gp,matroska,webm,avi,ogg,mp3,wav,flac,aac,mpegts,mpeg,mpegvideo,"
    "flv,asf,aiff,au,caf,w64,amr,h264,hevc,ivf,wv,tta,ape,ac3,eac3,dts,mxf,nut,rm",
}
_SAME_PLACE_SECONDS = 0.01  # containers round their times, Matroska to a millisecond
_SAME_INSTANT_SECONDS = 0.001
_LONGEST_GAP_SECONDS = 60.0  # a longer jump is a damaged time stamp, not a pause
_PREROLL_SECONDS = 0.2  # codecs need some sound before the first exact sample


class NotReadable(Exception):
    """This reader cannot open or decode the file; another one may."""


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


def one_line(error: Exception) -> str:
    """Say in one line what a codec library said."""
    text = getattr(error, "strerror", None) or str(error)
    return " ".join(text.split()) or type(error).__name__


def _open(path: pathlib.Path):
    import av

    # "file:" so that a file name with a colon is no protocol.
    return av.open(f"file:{path}", options=_OPTIONS, metadata_errors="replace")


@contextlib.contextmanager
def _track(path: pathlib.Path, kind: str, start_seconds: float):
    """Open a container: (its start in seconds, the track or None, an iterator of its frames).

    Decoding begins at or before `start_seconds`. A damaged packet is left out.
    """
    import av

    try:
        with contextlib.ExitStack() as stack:
            for seek in (True, False) if start_seconds > 0 else (False,):
                container = stack.enter_context(_open(path))
                origin = max(0.0, (container.start_time or 0) / av.time_base)
                tracks = [s for s in getattr(container.streams, kind) if _is_track(s)]
                if not tracks:
                    yield origin, None, iter(())
                    return
                # One thread a file, because worker processes already fill the cores.
                tracks[0].codec_context.thread_count = 1
                frames = _decoded(container, tracks[0])
                if not seek:
                    break
                seconds = max(0.0, start_seconds - _PREROLL_SECONDS) + origin
                with contextlib.suppress(av.error.FFmpegError):
                    container.seek(int(seconds / tracks[0].time_base), stream=tracks[0])
                    first = next(frames, None)
                    # Some formats cannot seek, or land too late: those are read from the front.
                    if first is not None and (first.time or 0.0) - origin <= start_seconds:
                        frames = itertools.chain([first], frames)
                        break
            yield origin, tracks[0], frames
    except av.error.FFmpegError as error:
        raise NotReadable(f"FFmpeg: {one_line(error)}") from error


def _is_track(stream) -> bool:
    """Tell a track that can be decoded from an unknown one and from a cover image."""
    import av

    cover = av.stream.Disposition.attached_pic
    return stream.codec_context is not None and not stream.disposition & cover


def _decoded(container, track) -> Iterator:
    import av

    error, some = None, False
    try:
        for packet in container.demux(track):
            try:
                frames = packet.decode()
            except av.error.FFmpegError as damaged:
                error = damaged
                continue
            some = some or bool(frames)
            yield from frames
    except av.error.FFmpegError as cut_off:
        error = cut_off
    if error is not None and not some:
        raise error


def read_sound(
    path: pathlib.Path, start_seconds: float, end_seconds: float | None
) -> tuple[np.ndarray, int] | None:
    """Return the range's sound, float32 (samples,) mono, and its rate in Hz; None without sound.

    Raises NotReadable for what FFmpeg cannot decode, InputError for a rate that changes inside.
    """
    with _track(path, "audio", start_seconds) as (origin, track, frames):
        if track is None:
            return None
        rate, pieces = track.rate, []
        first = round(start_seconds * rate)
        last = None if end_seconds is None else round(end_seconds * rate)
        cursor = first
        for frame in frames:
            if frame.sample_rate != rate:
                raise InputError(f"{path}: the sample rate changes inside the file")
            place = cursor if frame.time is None else round((frame.time - origin) * rate)
            if last is not None and place >= last:
                break
            near = abs(place - cursor) <= _SAME_PLACE_SECONDS * rate and pieces
            if not near and place - cursor <= _LONGEST_GAP_SECONDS * rate:
                cursor = place
            pieces.append((cursor, _mono(frame)))
            cursor += frame.samples
    end = max((place + len(mono) for place, mono in pieces), default=0)
    last = end if last is None else min(last, end)
    if last <= first:
        return None
    samples = np.zeros(last - first, np.float32)
    for place, mono in pieces:
        low, high = max(place, first), min(place + len(mono), last)
        if low < high:
            samples[low - first : high - first] = mono[low - place : high - place]
    return samples, rate


def _mono(frame) -> np.ndarray:
    """Return an audio frame's channel mean, float32 (samples,) in [-1, 1]."""
    samples = frame.to_ndarray()
    if not frame.format.is_planar:
        samples = samples.reshape(-1, frame.layout.nb_channels).T
    mono = samples.mean(axis=0, dtype=np.float32 if samples.dtype.kind == "f" else np.float64)
    if samples.dtype == np.uint8:
        mono = mono / 128 - 1
    elif samples.dtype.kind == "i":
        mono = mono / -float(np.iinfo(samples.dtype).min)
    return mono.astype(np.float32)


def read_pictures(
    path: pathlib.Path, start_seconds: float, end_seconds: float | None, n_frames: int, size: Size
) -> tuple[np.ndarray | None, float]:
    """Return the pictures shown at the centres of n equal parts, and the range's seconds.

    uint8 RGB (n_frames, height, width, 3), or None without a picture track or pictures in the
    range. Raises NotReadable for what FFmpeg cannot decode.
    """
    with _track(path, "video", start_seconds) as (origin, track, frames):
        if track is None:
            return None, 0.0
        seconds = _duration_seconds(path, origin) - start_seconds
        if end_seconds is not None:
            seconds = min(seconds, end_seconds - start_seconds)
        if seconds <= 0:
            return None, 0.0
        targets = start_seconds + (np.arange(n_frames) + 0.5) * (seconds / n_frames)
        frames = _shown_at(targets + _SAME_INSTANT_SECONDS, frames, origin, track)
        if not frames:
            return None, 0.0
        ratio = float(track.sample_aspect_ratio or 1)
        ratio = ratio if 1 / 4 <= ratio <= 4 else 1.0  # outside of this it is damage
        shape = size.scaled(frames[0].width * ratio, frames[0].height)
        upright = {id(frame): _upright(frame, shape) for frame in frames}
    return np.stack([upright[id(frame)] for frame in frames]), seconds


def _duration_seconds(path: pathlib.Path, origin: float) -> float:
    """Return when the last track ends, from the header, else from all packets' times."""
    import av

    with _open(path) as container:
        if container.duration is not None:
            return ((container.start_time or 0) + container.duration) / av.time_base - origin
        ends = [0.0]
        with contextlib.suppress(av.error.FFmpegError):
            for packet in container.demux():
                if packet.pts is not None:
                    ends.append(float((packet.pts + (packet.duration or 0)) * packet.time_base))
        return max(ends) - origin


def _shown_at(targets: np.ndarray, frames: Iterator, origin: float, track) -> list:
    """Return for each target time the last frame that begins before it (or the very first)."""
    found, last = [], None
    for number, frame in enumerate(frames):
        rate = float(track.average_rate or 25)
        begins = number / rate if frame.time is None else frame.time - origin
        while len(found) < len(targets) and begins > targets[len(found)]:
            found.append(frame if last is None else last)
        if len(found) == len(targets):
            return found
        last = frame
    return [] if last is None else found + [last] * (len(targets) - len(found))


def _upright(frame, shape: tuple[int, int]) -> np.ndarray:
    """Return a video frame as RGB, scaled to (width, height) and turned as its metadata say."""
    picture = frame.to_ndarray(format="rgb24", width=shape[0], height=shape[1])
    return np.rot90(picture, k=round(frame.rotation / 90))
