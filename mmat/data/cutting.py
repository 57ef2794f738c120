"""Sound and pictures, as they come in, cut into overlapping windows."""

import dataclasses
import math
from collections.abc import Iterable, Iterator
from typing import NamedTuple, Protocol

import numpy as np

from mmat.data.media import Media
from mmat.data.resampling import SAMPLE_RATE_HZ

SHORTEST_REST_SECONDS = 0.1  # what codecs leave over at a file's end is no window of its own
_GRID_HZ = 10  # the last window begins on the grid of the frame scores


@dataclasses.dataclass(frozen=True)
class WindowSpec:
    """The windows of a file: seconds of one, from one to the next, and pictures in one.

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
    """Pictures that are read range by range; see `mmat.data.picture_stream.PictureStream`."""

    seconds: float
    aspect: float

    def read_until(self, seconds: float) -> None: ...
    def end_with_the_sound(self, seconds: float) -> None: ...
    def between(self, begin_seconds: float, end_seconds: float, n_frames: int) -> tuple: ...
    def forget(self, before_seconds: float) -> None: ...


class Sound:
    """Sound that comes in blocks, float32 (samples,) at 16 kHz, of which the last part is held."""

    def __init__(self, blocks: Iterable[np.ndarray]):
        self._blocks = iter(blocks)
        self._held, self._first = np.zeros(0, np.float32), 0
        self.ended = False

    @property
    def seconds(self) -> float:
        """How much has come so far."""
        return (self._first + len(self._held)) / SAMPLE_RATE_HZ

    def read_until(self, seconds: float) -> None:
        """Take blocks until there is so much, or no more."""
        wanted, parts = round(seconds * SAMPLE_RATE_HZ) - self._first, [self._held]
        n_held = len(self._held)
        while n_held < wanted and not self.ended:
            block = next(self._blocks, None)
            if block is None:
                self.ended = True
            else:
                parts.append(block)
                n_held += len(block)
        self._held = np.concatenate(parts) if len(parts) > 1 else self._held

    def between(self, begin_seconds: float, end_seconds: float) -> np.ndarray | None:
        """Return what there is of a range that is still held, or None if there is nothing."""
        begin, end = (round(t * SAMPLE_RATE_HZ) - self._first for t in (begin_seconds, end_seconds))
        part = self._held[begin:end]
        return part if len(part) else None

    def forget(self, before_seconds: float) -> None:
        """Let go of what came before a time."""
        n = min(len(self._held), max(0, int(before_seconds * SAMPLE_RATE_HZ) - self._first))
        self._held, self._first = self._held[n:], self._first + n


def windows(sound: Sound, pictures: Pictures | None, spec: WindowSpec) -> Iterator[Window]:
    """Yield the windows of a sound and its pictures; either may be missing or end first.

    They follow each other by `spec.hop_seconds`, the last one is aligned at the end; what is
    shorter than a window is one window. Nothing is yielded where there is nothing.

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
    """Read up to a time, and return how long the whole is, as far as it is known by then."""
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
