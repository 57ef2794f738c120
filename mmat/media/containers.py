"""Containers (mp4, webm, mkv, avi, …) and the sound in them, by FFmpeg through PyAV.

Second 0 is where the container starts, so sound and pictures keep their places in relation to
each other, whatever the codec's delay.
"""

import contextlib
import itertools
import pathlib
from collections.abc import Iterator

import numpy as np

from mmat.files import InputError

# Formats of media alone: FFmpeg would also draw a text file as a picture, or follow a playlist
# to other files and hosts.
_OPTIONS = {
    "protocol_whitelist": "file",
    "format_whitelist": "mov,mp4,3gp,matroska,webm,avi,ogg,mp3,wav,flac,aac,mpegts,mpeg,mpegvideo,"
    "flv,asf,aiff,au,caf,w64,amr,h264,hevc,ivf,wv,tta,ape,ac3,eac3,dts,mxf,nut,rm",
    "max_pixels": str(8192 * 8192),  # a damaged header may promise pictures that fill the memory
}
# Seeking aims earlier: codecs need some sound before the first exact sample, and pictures are found
# by their decoding times, a bit before they are shown.
PREROLL_SECONDS = 0.2
_SAME_PLACE_SECONDS = 0.01  # containers round their times, Matroska to a millisecond
_GAPS_SECONDS = 60.0  # pauses beyond this, in all, are damaged time stamps
_PLANES = 8  # pointers to channels in a frame of FFmpeg
_FRAMES_AT_ONCE = 16  # converted together: a call of NumPy costs as much as a frame's arithmetic


class NotReadable(Exception):
    """This reader cannot open or decode the file; another one may."""


def one_line(error: Exception) -> str:
    """Return the message of a codec library's error, on one line."""
    text = getattr(error, "strerror", None) or str(error)
    return " ".join(text.split()) or type(error).__name__


@contextlib.contextmanager
def open_container(path: pathlib.Path):
    """Open a container: (it, its start in seconds). FFmpeg's errors become NotReadable."""
    import av

    try:
        # "file:" so that a colon in a file's name does not make a protocol.
        with av.open(f"file:{path}", options=_OPTIONS, metadata_errors="replace") as container:
            yield container, max(0.0, (container.start_time or 0) / av.time_base)
    except av.error.FFmpegError as error:
        raise NotReadable(f"FFmpeg: {one_line(error)}") from error


def first_track(container, kind: str):
    """Return the track of a kind ("audio", "video") to read, or None if none can be decoded.

    It is the first that the file marks as a default one, else the first.
    """
    import av

    default = av.stream.Disposition.default
    tracks = [stream for stream in getattr(container.streams, kind) if _is_track(stream)]
    track = next((t for t in tracks if t.disposition & default), tracks[0] if tracks else None)
    if track is not None:
        # One thread a file, because worker processes already fill the cores.
        track.codec_context.thread_count = 1
        track.codec_context.options = {"max_pixels": _OPTIONS["max_pixels"]}
    return track


@contextlib.contextmanager
def frames_from(path: pathlib.Path, kind: str, start_seconds: float):
    """Open a container: (its start in seconds, the track or None, an iterator of its frames).

    Decoding begins at or before `start_seconds`. A damaged packet is left out.
    """
    import av

    with contextlib.ExitStack() as stack:
        for seek in (True, False) if start_seconds > 0 else (False,):
            container, origin = stack.enter_context(open_container(path))
            track = first_track(container, kind)
            if track is None:
                yield origin, None, iter(())
                return
            frames = _decoded(container, track)
            if not seek:
                break
            seconds = max(0.0, start_seconds - PREROLL_SECONDS) + origin
            with contextlib.suppress(av.error.FFmpegError):
                container.seek(int(seconds / track.time_base), stream=track)
                first = next(frames, None)
                # Some formats cannot seek, or land too late: they are read from the front.
                if first is not None and (first.time or 0.0) - origin <= start_seconds:
                    frames = itertools.chain([first], frames)
                    break
        yield origin, track, frames


@contextlib.contextmanager
def sound_from(path: pathlib.Path, start_seconds: float, end_seconds: float | None):
    """Open a container's sound: (an iterator of its range in blocks, its rate in Hz), or None.

    Blocks are mono, float32 (samples,), without gaps. Raises NotReadable for what FFmpeg cannot
    decode, InputError for a rate that changes inside.
    """
    with frames_from(path, "audio", start_seconds) as (origin, track, frames):
        if track is None:
            yield None
            return
        rate = track.rate
        last = None if end_seconds is None else round(end_seconds * rate)
        placed = _placed(frames, rate, origin, round(start_seconds * rate))
        yield _contiguous(_runs(placed, rate, last), round(start_seconds * rate), last), rate


def channel_mean(samples: np.ndarray) -> np.ndarray:
    """Return the mean of (channels, samples), floats as float32, whole numbers as float64.

    >>> channel_mean(np.int16([[1, 2], [2, 4]])).tolist()
    [1.5, 3.0]
    """
    kind = np.float32 if samples.dtype.kind == "f" else np.float64
    # Channel by channel: NumPy's mean takes ten times as long where the channels of a sample lie
    # side by side.
    with np.errstate(all="ignore"):  # damage, which the caller checks for
        mean = samples[0].astype(kind)
        for channel in samples[1:]:
            mean += channel.astype(kind, copy=False)
        mean /= len(samples)
    return mean


def _is_track(stream) -> bool:
    """Return whether a track can be decoded and is not a cover image."""
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
                error = damaged.with_traceback(None)
                continue
            some = some or bool(frames)
            yield from frames
    except av.error.FFmpegError as cut_off:
        error = cut_off.with_traceback(None)
    if error is not None and not some:
        try:
            raise error
        finally:
            error = None  # or traceback and frame would keep each other, and the file, in memory


def _placed(frames: Iterator, rate: int, origin: float, first: int) -> Iterator[tuple]:
    """Yield (place in samples, frame) of each frame."""
    cursor, gaps_left = None, _GAPS_SECONDS * rate
    for frame in frames:
        expected, time = first if cursor is None else cursor, frame.time
        place = expected if time is None else round((time - origin) * rate)
        near = cursor is not None and abs(place - expected) <= _SAME_PLACE_SECONDS * rate
        if near or place - expected > gaps_left:
            place = expected
        gaps_left -= max(0, place - expected)
        yield place, frame
        cursor = place + frame.samples


def _runs(placed: Iterator[tuple], rate: int, last: int | None) -> Iterator[tuple]:
    """Yield (place, mono samples) of several frames each that follow each other without a gap."""
    run, begin, cursor, kind = [], 0, 0, None
    for place, frame in placed:
        if last is not None and place >= last:
            break
        own = frame.format.name, frame.layout.nb_channels, frame.sample_rate
        if run and (place != cursor or own != kind or len(run) == _FRAMES_AT_ONCE):
            yield begin, _mono(run)
            run = []
        if frame.sample_rate != rate:
            raise InputError("the sample rate changes inside the file")
        if not run:
            begin = cursor = place
            kind = own
        run.append(frame)
        cursor += frame.samples
    if run:
        yield begin, _mono(run)


def _contiguous(placed: Iterator, first: int, last: int | None) -> Iterator[np.ndarray]:
    """Yield the samples between two places, gaps filled with zeros, overlaps once."""
    cursor = first
    for place, mono in placed:
        if place > cursor:
            yield np.zeros(place - cursor, np.float32)
            cursor = place
        mono = mono[cursor - place : None if last is None else max(0, last - place)]
        yield mono
        cursor += len(mono)


def _mono(frames: list) -> np.ndarray:
    """Return the channel mean of audio frames of one kind, float32 (samples,) in [-1, 1]."""
    import av

    first = frames[0]
    if first.format.is_planar and first.layout.nb_channels >= _PLANES:
        # PyAV would read planes behind the last one, and crash.
        packed = (av.AudioResampler("flt", x.layout, x.sample_rate).resample(x) for x in frames)
        frames = list(itertools.chain.from_iterable(packed))
    samples = np.concatenate([_channels(frame) for frame in frames], axis=1)
    mono = channel_mean(samples)
    if samples.dtype == np.uint8:
        mono = mono / 128 - 1
    elif samples.dtype.kind == "i":
        mono = mono / -float(np.iinfo(samples.dtype).min)
    return mono.astype(np.float32)


def _channels(frame) -> np.ndarray:
    samples = frame.to_ndarray()
    planar = frame.format.is_planar
    return samples if planar else samples.reshape(-1, frame.layout.nb_channels).T
