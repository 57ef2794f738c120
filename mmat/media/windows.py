"""Overlapping windows of a media file, in constant memory, or of sound and pictures in memory.

A file is decoded once, from front to end. Its sound and its pictures are read by a cursor each, so
that they need not be interleaved.
"""

import contextlib
import dataclasses
import math
import os
from collections.abc import Iterable, Iterator
from typing import NamedTuple, Protocol

import numpy as np

from mmat.files import InputError
from mmat.media.containers import NotReadable
from mmat.media.pictures import PictureStream, Size
from mmat.media.read import Media, one_error, problem_of, readable_path
from mmat.media.sound import SAMPLE_RATE_HZ, beyond_full_scale, sound_from
from mmat.media.survey import survey

SHORTEST_REST_SECONDS = 0.1  # what codecs add at a file's end gets no window of its own
_GRID_HZ = 10  # the last window begins on the grid of the frame scores


@dataclasses.dataclass(frozen=True)
class WindowSpec:
    """The windows of a file: their length, the step between them, and the pictures in each.

    square_px: pictures are squeezed to a square of that size, as the image networks see them.
    """

    clip_seconds: float = 10.0
    hop_seconds: float = 5.0
    n_frames: int = 8
    square_px: int | None = None


class Window(NamedTuple):
    """A range of a file; picture_seconds: the times of its pictures in the file, empty without."""

    start_seconds: float
    media: Media
    picture_seconds: np.ndarray


class Pictures(Protocol):
    """Pictures that are read range by range; see `mmat.media.pictures.PictureStream`."""

    seconds: float
    aspect: float

    def read_until(self, seconds: float) -> None: ...
    def end_with_the_sound(self, seconds: float) -> None: ...
    def between(self, begin_seconds: float, end_seconds: float, n_frames: int) -> tuple: ...
    def forget(self, before_seconds: float) -> None: ...


class _Stream:
    """What streams of windows share: a context, and the pictures, which may be missing."""

    problem = ""
    _pictures: Pictures | None = None

    def __enter__(self):
        return self

    def __exit__(self, *_) -> None:
        pass

    @property
    def aspect(self) -> float:
        """Width by height of the pictures."""
        return 1.0 if self._pictures is None else self._pictures.aspect


class MediaStream(_Stream):
    """The windows of a media file, as `windows` cuts them; iterate once, inside of `with`.

    Sound and pictures of the first window are those of `mmat.media.read.read_media`.

    seconds: the file's length, for a progress bar. problem: after the last window, what was lost or
    changed in reading, in sentences; else empty. Raises InputError for a file
    that cannot be read, and while it is iterated for one that has neither sound nor pictures.

    >>> import tempfile, soundfile
    >>> path = tempfile.mkdtemp() + "/silence.wav"
    >>> soundfile.write(path, np.zeros(12 * 44100), 44100)
    >>> with MediaStream(path, WindowSpec()) as stream:
    ...     [window.start_seconds for window in stream]
    [0.0, 2.0]
    """

    def __init__(self, path: str | os.PathLike, spec: WindowSpec):
        self._path, self._spec = readable_path(path), spec
        self._damage = ""
        with contextlib.ExitStack() as self._open, one_error(path):
            self._look = survey(self._path)
            self.seconds = self._look.sound_seconds
            self._sound = self._open.enter_context(sound_from(self._look))
            if spec.n_frames and self._look.picture_track is not None:
                size = Size(square_px=spec.square_px)
                self._pictures = PictureStream(self._look, spec.clip_seconds, spec.n_frames, size)
                self._open.callback(self._pictures.close)
                self.seconds = self._look.seconds
            self._open = self._open.pop_all()  # it stays open

    def __exit__(self, *_) -> None:
        self._open.close()

    def __iter__(self) -> Iterator[Window]:
        with one_error(self._path):
            yield from self._windows()

    def _windows(self) -> Iterator[Window]:
        end = 0.0
        for window in windows(Sound(self._until_damage()), self._pictures, self._spec):
            end = window.start_seconds + window.media.duration_seconds
            yield window
        problems = [] if self._sound is None else self._sound.problems
        problems += filter(None, [self._damage, self._pictures and self._pictures.problem])
        if not end:
            lacking = "no sound track" + " and no picture track" * bool(self._spec.n_frames)
            raise InputError("; ".join(problems) or f"{lacking}, or nothing on it")
        self.problem = problem_of(self._look, problems)

    def _until_damage(self) -> Iterator[np.ndarray]:
        """Yield the sound at 16 kHz; damage within the first window is an error, later an end.

        Sound that cannot be decoded at all leaves the pictures.
        """
        n_samples = 0
        try:
            for block in self._sound or ():
                finite = np.isfinite(block)
                good = block if finite.all() else block[: finite.argmin()]
                n_samples += len(good)
                yield good
                if len(good) < len(block):
                    raise InputError("the sound holds samples that are no finite numbers")
        except (InputError, NotReadable) as error:
            if isinstance(error, NotReadable) and self._pictures is not None:
                self._damage = f"the sound cannot be decoded ({error})"
                return
            seconds = n_samples / SAMPLE_RATE_HZ
            if seconds < self._spec.clip_seconds:
                raise
            whole = self._look.sound_seconds
            self._damage = f"the sound ends at {seconds:.1f} s of {whole:.1f} s: {error}"


class ArrayStream(_Stream):
    """The windows of a waveform `(samples,)`, 16 kHz mono in [-1, 1], or of `Media`.

    Used as `MediaStream` is. Raises InputError for arrays of another shape or kind of numbers, and
    for no samples.

    >>> with ArrayStream(np.zeros(25 * SAMPLE_RATE_HZ, np.float32), WindowSpec()) as stream:
    ...     [window.start_seconds for window in stream]
    [0.0, 5.0, 10.0, 15.0]
    """

    def __init__(self, media: np.ndarray | Media, spec: WindowSpec):
        if isinstance(media, np.ndarray):
            media = Media(media, None, len(media) / SAMPLE_RATE_HZ if media.ndim else 0.0)
        if media.waveform is not None:
            _check_waveform(media.waveform)
        self._media, self._spec, self.seconds = media, spec, media.duration_seconds
        self.problem = media.problem
        if media.frames is not None and spec.n_frames:
            self._pictures = ArrayPictures(media.frames, media.duration_seconds)

    def __iter__(self) -> Iterator[Window]:
        sound = []
        if self._media.waveform is not None:
            peak = float(np.abs(self._media.waveform).max())
            self.problem = "; ".join(filter(None, [self.problem, beyond_full_scale(peak, 1.0)]))
            sound.append(np.clip(self._media.waveform, -1.0, 1.0).astype(np.float32))
        found = windows(Sound(sound), self._pictures, self._spec)
        first = next(found, None)
        if first is None:
            lacking = "no sound" + " and no pictures" * bool(self._spec.n_frames)
            raise InputError(f"the clip has {lacking}, and this model needs it")
        yield first
        yield from found


@dataclasses.dataclass(frozen=True)
class HeldWindows(contextlib.AbstractContextManager):
    """Windows that were read of a file and are held in memory; `MediaStream` is used the same way.

    seconds: up to where they were read; aspect: width by height of the pictures; problem: what was
    lost or changed in reading. They can be iterated any number of times.
    """

    windows: tuple[Window, ...]
    aspect: float = 1.0
    problem: str = ""

    @property
    def seconds(self) -> float:
        """Where the last window ends."""
        return max(w.start_seconds + w.media.duration_seconds for w in self.windows)

    def __exit__(self, *_) -> None:
        pass

    def __iter__(self) -> Iterator[Window]:
        return iter(self.windows)


def hold_windows(
    path: str | os.PathLike, spec: WindowSpec, until_seconds: float = math.inf
) -> HeldWindows:
    """Read the windows of a file, as `MediaStream` gives them, into memory.

    until_seconds: no more is read behind the first window that ends later. Raises InputError for a
    file that cannot be read, and for one that has neither sound nor pictures.

    >>> import tempfile, soundfile
    >>> path = tempfile.mkdtemp() + "/silence.wav"
    >>> soundfile.write(path, np.zeros(30 * 16000), 16000)
    >>> [len(hold_windows(path, WindowSpec(), seconds).windows) for seconds in (12.0, math.inf)]
    [2, 5]
    """
    held = []
    with MediaStream(path, spec) as stream:
        for window in stream:
            held.append(window)
            if window.start_seconds + window.media.duration_seconds > until_seconds:
                break
        return HeldWindows(tuple(held), stream.aspect, stream.problem)


class ArrayPictures(Pictures):
    """Pictures uint8 (n, height, width, 3), evenly spaced over some seconds, all in memory."""

    def __init__(self, frames: np.ndarray, seconds: float):
        self.seconds = seconds
        self.aspect = frames.shape[2] / frames.shape[1]
        self._frames = frames

    def between(self, begin_seconds: float, end_seconds: float, n_frames: int):
        """Return the pictures shown at the centres of n parts of a range, and these times."""
        end_seconds = min(end_seconds, self.seconds)
        if end_seconds <= begin_seconds:
            return None, np.zeros(0)
        part = (end_seconds - begin_seconds) / n_frames
        times = begin_seconds + (np.arange(n_frames) + 0.5) * part
        which = (times / self.seconds * len(self._frames)).astype(int)
        return self._frames[np.minimum(which, len(self._frames) - 1)], times


class Sound:
    """Sound that comes in blocks, float32 (samples,) at 16 kHz, whose last part is kept."""

    def __init__(self, blocks: Iterable[np.ndarray]):
        self._blocks = iter(blocks)
        self._kept, self._first = np.zeros(0, np.float32), 0
        self.ended = False

    @property
    def seconds(self) -> float:
        """How much has come so far."""
        return (self._first + len(self._kept)) / SAMPLE_RATE_HZ

    def read_until(self, seconds: float) -> None:
        """Take blocks until there is sound up to a time, or no more."""
        wanted, parts = round(seconds * SAMPLE_RATE_HZ) - self._first, [self._kept]
        n_kept = len(self._kept)
        while n_kept < wanted and not self.ended:
            block = next(self._blocks, None)
            if block is None:
                self.ended = True
            else:
                parts.append(block)
                n_kept += len(block)
        self._kept = np.concatenate(parts) if len(parts) > 1 else self._kept

    def between(self, begin_seconds: float, end_seconds: float) -> np.ndarray | None:
        """Return what there is of a range that is still kept, or None if there is nothing."""
        begin, end = (round(t * SAMPLE_RATE_HZ) - self._first for t in (begin_seconds, end_seconds))
        part = self._kept[begin:end]
        return part if len(part) else None

    def forget(self, before_seconds: float) -> None:
        """Drop the sound before a time."""
        n = min(len(self._kept), max(0, int(before_seconds * SAMPLE_RATE_HZ) - self._first))
        self._kept, self._first = self._kept[n:], self._first + n


def windows(sound: Sound, pictures: Pictures | None, spec: WindowSpec) -> Iterator[Window]:
    """Yield the windows of a sound and its pictures; either may be missing or end first.

    They follow each other by `spec.hop_seconds`, and the last one ends at the end; a file shorter
    than a window is one window. Nothing is yielded where there is neither sound nor pictures.

    >>> sound = Sound([np.zeros(17 * SAMPLE_RATE_HZ, np.float32)])
    >>> spec = WindowSpec(clip_seconds=10.0, hop_seconds=5.0)
    >>> [(w.start_seconds, w.media.duration_seconds) for w in windows(sound, None, spec)]
    [(0.0, 10.0), (5.0, 10.0), (7.0, 10.0)]
    """
    n_done = 0
    while True:
        start = n_done * spec.hop_seconds
        end = start + spec.clip_seconds
        length = _known_length(sound, pictures, end)
        if length < end:
            break
        yield _window_at(sound, pictures, spec, start, end)
        n_done += 1
        # The last window may begin before the next one would.
        for each in (sound, pictures):
            if each is not None:
                each.forget(start)
    if not n_done and length > 0:
        yield _window_at(sound, pictures, spec, 0.0, length)
    elif n_done and length - (end - spec.hop_seconds) >= SHORTEST_REST_SECONDS:
        start = math.ceil(round((length - spec.clip_seconds) * _GRID_HZ, 6)) / _GRID_HZ
        yield _window_at(sound, pictures, spec, start, length)


def _known_length(sound: Sound, pictures: Pictures | None, until: float) -> float:
    """Read up to a time, and return the length of the whole as far as it is known by then."""
    sound.read_until(until)
    if pictures is None:
        return sound.seconds
    pictures.read_until(until)
    if sound.ended:
        pictures.end_with_the_sound(sound.seconds)
    return max(sound.seconds, pictures.seconds)


def _window_at(
    sound: Sound, pictures: Pictures | None, spec: WindowSpec, start: float, end: float
) -> Window:
    frames, times, seconds = None, np.zeros(0), 0.0
    waveform = sound.between(start, end)
    if waveform is not None:
        seconds = len(waveform) / SAMPLE_RATE_HZ
    if pictures is not None:
        frames, times = pictures.between(start, end, spec.n_frames)
        if frames is not None:
            seconds = max(seconds, min(end, pictures.seconds) - start)
    return Window(start, Media(waveform, frames, seconds), times)


def _check_waveform(waveform: np.ndarray) -> None:
    if waveform.ndim != 1 or waveform.dtype.kind != "f":
        raise InputError(
            f"waveform: {waveform.dtype} {waveform.shape}, where floats (samples,) at 16 kHz are "
            "needed"
        )
    if not waveform.size or not np.isfinite(waveform).all():
        raise InputError("waveform: no samples, or some that are no finite numbers")
