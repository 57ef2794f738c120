"""A media file as overlapping windows, decoded once from its front to its end, in constant memory.

Sound and pictures have a cursor of their own in the file, so that they need not be interleaved.
"""

import contextlib
import itertools
import os
import pathlib
from collections.abc import Iterator

import numpy as np

from mmat.data import containers, media, pictures
from mmat.data.containers import NotReadable, one_line
from mmat.data.cutting import Cut, Sound, Window, windows
from mmat.data.media import AUDIO_SUFFIXES
from mmat.data.picture_stream import LONGEST_SECONDS, PictureStream
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
    >>> with MediaStream(path, Cut()) as stream:
    ...     [window.start_seconds for window in stream]
    [0.0, 2.0]
    """

    def __init__(self, path: str | os.PathLike, cut: Cut):
        self._path, self._cut, self.problem = media.checked(path), cut, ""
        self._open = contextlib.ExitStack()
        readers = [self._open_container, self._open_audio_file]
        if self._path.suffix.lower() in AUDIO_SUFFIXES:
            readers.reverse()
        reasons = []
        for reader in readers:
            try:
                self._sound, self._pictures, self.seconds = reader()
                return
            except NotReadable as reason:
                self._open.close()
                reasons.append(str(reason))
            except InputError as error:
                self._open.close()
                raise InputError(f"{path}: {error}") from None
        raise InputError(f"{path}: not a media file that can be read ({'; '.join(reasons)})")

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
        for window in windows(Sound(self._until_damage()), self._pictures, self._cut):
            end = window.start_seconds + window.media.duration_seconds
            yield window
        if not end:
            lacking = "no sound track" + " and no picture track" * bool(self._cut.n_frames)
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
            if seconds < self._cut.clip_seconds:
                raise InputError(f"{self._path}: {error}") from None
            self.problem = f"the sound ends at {seconds:.1f} s: {error}"

    def _open_audio_file(self):
        import soundfile

        try:
            file = self._open.enter_context(soundfile.SoundFile(self._path))
        except (soundfile.SoundFileError, TypeError) as error:
            raise NotReadable(f"libsndfile: {one_line(error)}") from error
        blocks = media.sound_blocks(file, 0.0, None)
        return _resampled(blocks, file.samplerate), None, file.frames / file.samplerate

    def _open_container(self):
        sound = self._open.enter_context(containers.sound_from(self._path, 0.0, None))
        sights = None
        if self._cut.n_frames:
            size = pictures.Size(square_px=self._cut.square_px)
            sights = PictureStream(self._path, self._cut.clip_seconds, self._cut.n_frames, size)
            self._open.callback(sights.close)
        if sights is None or not sights.seconds:
            return sound and _resampled(*sound), None, _sound_seconds(self._path)
        return sound and _resampled(*sound), sights, sights.seconds


def _sound_seconds(path: pathlib.Path) -> float:
    """Return how long the sound of a container promises to be."""
    with containers.opened(path) as (container, origin):
        track = containers.first_track(container, "audio")
        if track is not None and track.duration:
            return float(track.duration * track.time_base)
        return pictures.duration_seconds(path, container, origin)


def _resampled(blocks: Iterator[np.ndarray], rate_hz: int) -> Iterator[np.ndarray]:
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
