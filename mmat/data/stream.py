"""A media file as overlapping windows, decoded once from its front to its end, in constant memory.

Sound and pictures have a cursor of their own in the file, so that they need not be interleaved.
"""

import contextlib
import itertools
import os
import pathlib
from collections.abc import Iterator

import numpy as np

from mmat.data.containers import NotReadable, first_track, one_line, opened, sound_from
from mmat.data.cutting import Sound, Window, WindowSpec, windows
from mmat.data.media import checked, first_readable, sound_blocks
from mmat.data.picture_stream import LONGEST_SECONDS, PictureStream
from mmat.data.pictures import Size, duration_seconds
from mmat.data.resampling import SAMPLE_RATE_HZ, resampled_blocks
from mmat.errors import InputError

_MISSING_SECONDS = 1.0  # a file that ends so much before its promise is damaged


class MediaStream:
    """The windows of a media file; iterate over it once, inside of `with`.

    See `mmat.data.cutting.windows`. Sound and pictures of the first window are those of
    `mmat.data.media.read_media`.

    seconds: how long the file promises to be, for a progress bar. problem: after the last window,
    what kept the rest of a damaged file from being read, else empty. Raises InputError for a file
    that cannot be read, and while it is iterated for one that has neither sound nor pictures.

    >>> import tempfile, soundfile
    >>> path = tempfile.mkdtemp() + "/silence.wav"
    >>> soundfile.write(path, np.zeros(12 * 44100), 44100)
    >>> with MediaStream(path, WindowSpec()) as stream:
    ...     [window.start_seconds for window in stream]
    [0.0, 2.0]
    """

    def __init__(self, path: str | os.PathLike, spec: WindowSpec):
        self._path, self._spec, self.problem = checked(path), spec, ""
        with contextlib.ExitStack() as self._open:
            self._sound, self._pictures, self.seconds = first_readable(
                path, self._open_container, self._open_audio_file
            )
            self._open = self._open.pop_all()  # it stays open

    def __enter__(self) -> "MediaStream":
        return self

    def __exit__(self, *_) -> None:
        self._open.close()

    @property
    def aspect(self) -> float:
        """Width by height of the pictures."""
        return 1.0 if self._pictures is None else self._pictures.aspect

    def __iter__(self) -> Iterator[Window]:
        end = 0.0
        for window in windows(Sound(self._until_damage()), self._pictures, self._spec):
            end = window.start_seconds + window.media.duration_seconds
            yield window
        if not end:
            lacking = "no sound track" + " and no picture track" * bool(self._spec.n_frames)
            seen = self._pictures and self._pictures.problem
            raise InputError(f"{self._path}: {seen or f'{lacking}, or nothing on it'}")
        if self._pictures is not None and self._pictures.problem:
            self.problem = self.problem or self._pictures.problem
        if not self.problem and self.seconds - end > _MISSING_SECONDS:
            self.problem = f"it ends at {end:.1f} s of the {self.seconds:.1f} s that it promises"

    def _until_damage(self) -> Iterator[np.ndarray]:
        """Yield the sound at 16 kHz; damage within the first window is an error, later an end."""
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
            seconds = n_samples / SAMPLE_RATE_HZ
            if seconds < self._spec.clip_seconds:
                raise InputError(f"{self._path}: {error}") from None
            self.problem = f"the sound ends at {seconds:.1f} s: {error}"

    def _open_audio_file(self):
        import soundfile

        try:
            file = self._open.enter_context(soundfile.SoundFile(self._path))
        except (soundfile.SoundFileError, TypeError) as error:
            raise NotReadable(f"libsndfile: {one_line(error)}") from error
        blocks = sound_blocks(file, 0.0, None)
        return _resampled_now(blocks, file.samplerate), None, file.frames / file.samplerate

    def _open_container(self):
        sound = self._open.enter_context(sound_from(self._path, 0.0, None))
        sights = None
        if self._spec.n_frames:
            size = Size(square_px=self._spec.square_px)
            sights = PictureStream(self._path, self._spec.clip_seconds, self._spec.n_frames, size)
            self._open.callback(sights.close)
        if sights is None or not sights.seconds:
            return sound and _resampled_now(*sound), None, _sound_seconds(self._path)
        return sound and _resampled_now(*sound), sights, sights.seconds


def _sound_seconds(path: pathlib.Path) -> float:
    """Return how long the sound of a container promises to be."""
    with opened(path) as (container, origin):
        track = first_track(container, "audio")
        if track is not None and track.duration:
            return float(track.duration * track.time_base)
        return duration_seconds(path, container, origin)


def _resampled_now(blocks: Iterator[np.ndarray], rate_hz: int) -> Iterator[np.ndarray]:
    """Resample, and take the first block now, while another reader may still be tried."""
    blocks = resampled_blocks(_codec_errors(blocks), rate_hz, LONGEST_SECONDS)
    return itertools.chain([next(blocks)], blocks)


def _codec_errors(blocks: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
    """Pass blocks on; what a codec library raises becomes NotReadable."""
    import av
    import soundfile

    try:
        yield from blocks
    except av.error.FFmpegError as error:
        raise NotReadable(f"FFmpeg: {one_line(error)}") from error
    except (soundfile.SoundFileError, TypeError) as error:
        raise NotReadable(f"libsndfile: {one_line(error)}") from error
