"""Sound and pictures that lie in memory already, as a stream of windows like that of a file."""

from collections.abc import Iterator

import numpy as np

from mmat.data.cutting import Sound, Window, WindowSpec, windows
from mmat.data.media import SAMPLE_RATE_HZ, Media
from mmat.errors import InputError


class ArrayStream:
    """The windows of a waveform `(samples,)`, 16 kHz mono in [-1, 1], or of `Media`.

    Used as `mmat.data.stream.MediaStream` is. Raises InputError for arrays of another shape or kind
    of numbers, and for no samples.

    >>> with ArrayStream(np.zeros(25 * SAMPLE_RATE_HZ, np.float32), WindowSpec()) as held:
    ...     [window.start_seconds for window in held]
    [0.0, 5.0, 10.0, 15.0]
    """

    problem = ""

    def __init__(self, media: np.ndarray | Media, spec: WindowSpec):
        if isinstance(media, np.ndarray):
            media = Media(media, None, len(media) / SAMPLE_RATE_HZ if media.ndim else 0.0)
        if media.waveform is not None:
            _check_waveform(media.waveform)
        self._media, self._spec, self.seconds = media, spec, media.duration_seconds
        self._pictures = None
        if media.frames is not None and spec.n_frames:
            self._pictures = ArrayPictures(media.frames, media.duration_seconds)

    def __enter__(self) -> "ArrayStream":
        return self

    def __exit__(self, *_) -> None:
        pass

    @property
    def aspect(self) -> float:
        """Width by height of the pictures."""
        return 1.0 if self._pictures is None else self._pictures.aspect

    def __iter__(self) -> Iterator[Window]:
        sound = [] if self._media.waveform is None else [self._media.waveform.astype(np.float32)]
        found = windows(Sound(sound), self._pictures, self._spec)
        first = next(found, None)
        if first is None:
            lacking = "no sound" + " and no pictures" * bool(self._spec.n_frames)
            raise InputError(f"the clip has {lacking}, and this model needs it")
        yield first
        yield from found


class ArrayPictures:
    """Pictures uint8 (n, height, width, 3) that are evenly spaced over some seconds."""

    def __init__(self, frames: np.ndarray, seconds: float):
        self.seconds = seconds
        self.aspect = frames.shape[2] / frames.shape[1]
        self._frames = frames

    def read_until(self, seconds: float) -> None:
        """All is there."""

    def end_with_the_sound(self, seconds: float) -> None:
        """They end when they end."""

    def forget(self, before_seconds: float) -> None:
        """All stays."""

    def between(self, begin_seconds: float, end_seconds: float, n_frames: int):
        """Return the pictures shown at the centres of n parts of a range, and these times."""
        end_seconds = min(end_seconds, self.seconds)
        if end_seconds <= begin_seconds:
            return None, np.zeros(0)
        part = (end_seconds - begin_seconds) / n_frames
        times = begin_seconds + (np.arange(n_frames) + 0.5) * part
        which = (times / self.seconds * len(self._frames)).astype(int)
        return self._frames[np.minimum(which, len(self._frames) - 1)], times


def _check_waveform(waveform: np.ndarray) -> None:
    if waveform.ndim != 1 or waveform.dtype.kind != "f":
        raise InputError(
            f"waveform: {waveform.dtype} {waveform.shape}, where floats (samples,) at 16 kHz are "
            "needed"
        )
    if not waveform.size or not np.isfinite(waveform).all():
        raise InputError("waveform: no samples, or some that are no finite numbers")
