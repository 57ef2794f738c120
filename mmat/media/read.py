"""Media files in: 16 kHz mono sound and evenly spaced RGB pictures out.

Audio files are read by libsndfile (soundfile), containers by FFmpeg (PyAV); the suffix decides
which is tried first, and the other one is tried when it fails. Sound is resampled by soxr, block by
block.
"""

import dataclasses
import math
import os
import pathlib
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

import numpy as np

from mmat.files import InputError
from mmat.media.containers import NotReadable, channel_mean, one_line, sound_from
from mmat.media.pictures import Size, read_pictures

SAMPLE_RATE_HZ = 16000
AUDIO_SUFFIXES = {".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff", ".au", ".w64"}
_RATES_HZ = (1000, 768_000)  # of sound that is resampled
_SILENCE_SAMPLES = 2048  # before it, at least
_BLOCK_SAMPLES = 1 << 16
T = TypeVar("T")


@dataclasses.dataclass(frozen=True)
class Media:
    """What was read from one media file.

    waveform: float32 (samples,), 16 kHz mono, or None without sound. frames: uint8
    (n_frames, height, width, 3) RGB, or None without pictures. duration_seconds: of what was read.
    """

    waveform: np.ndarray | None
    frames: np.ndarray | None
    duration_seconds: float


def read_media(
    path: str | os.PathLike,
    start_seconds: float | None = None,
    end_seconds: float | None = None,
    n_frames: int = 8,
    max_side_px: int = 320,
    square_px: int | None = None,
) -> Media:
    """Read sound and pictures of a file, or of a range of it; one of the two may be missing.

    n_frames: how many pictures, 0 for none; times and sizes as in `read_frames`.
    Raises InputError for a file that cannot be read, and for one with neither sound nor, where
    `n_frames` is not 0, pictures.
    """
    path, start_seconds = readable_path(path), start_seconds or 0.0
    size = Size(max_side_px, square_px)
    media = first_readable(
        path,
        lambda: _read_container(path, start_seconds, end_seconds, n_frames, size),
        lambda: _read_audio_file(path, start_seconds, end_seconds),
    )
    if media.waveform is None and media.frames is None:
        lacking = "no sound track and no picture track" if n_frames else "no sound track"
        raise InputError(f"{path}: {lacking}, or nothing on it from {start_seconds:g} s on")
    if media.waveform is not None:
        check_finite(path, media.waveform)
    return media


def read_audio(
    path: str | os.PathLike,
    start_seconds: float | None = None,
    end_seconds: float | None = None,
) -> np.ndarray:
    """Read the sound of a file, or of a range of it, as float32 (samples,), 16 kHz, mono.

    Channels are averaged. A range that goes beyond the file's end gives what there is.
    Raises InputError for a file that cannot be read, has no sound track or no samples.

    >>> import tempfile, soundfile
    >>> path = tempfile.mkdtemp() + "/silence.wav"
    >>> soundfile.write(path, np.zeros((44100, 2)), 44100)
    >>> read_audio(path).shape, read_audio(path, start_seconds=0.5).shape
    ((16000,), (8000,))
    """
    return read_media(path, start_seconds, end_seconds, n_frames=0).waveform


def read_frames(
    path: str | os.PathLike,
    n_frames: int = 8,
    start_seconds: float | None = None,
    end_seconds: float | None = None,
    max_side_px: int = 320,
    square_px: int | None = None,
) -> np.ndarray:
    """Read evenly spaced pictures as uint8 RGB (n_frames, height, width, 3).

    Their times are the centres of n equal parts of the range. Where the keyframes are at most two
    such parts apart, a picture is the nearest keyframe, or at least begins within half a keyframe
    interval; elsewhere it is the one shown at that very time. Pictures are upright (rotation
    applied) and have square pixels. Larger ones are scaled down to `max_side_px` on the longer
    side; or, with `square_px`, the whole picture is squeezed to a square of that size, as the image
    networks see it.
    Raises InputError for a file that cannot be read or that has no picture track; the cover image
    of a music file is not one.
    """
    if n_frames < 1:
        raise InputError(f"n_frames must be 1 or more, not {n_frames}")
    path, start_seconds = readable_path(path), start_seconds or 0.0
    size = Size(max_side_px, square_px)
    try:
        frames, _ = read_pictures(path, start_seconds, end_seconds, n_frames, size)
    except NotReadable:
        read_audio(path)  # raises for what is not a media file at all
        frames = None
    if frames is None:
        raise InputError(f"{path}: no picture track, or nothing on it from {start_seconds:g} s on")
    return frames


def readable_path(path: str | os.PathLike) -> pathlib.Path:
    """Return the path of a file that can be opened; raises InputError where it cannot be."""
    path = pathlib.Path(path)
    if not path.exists():
        raise InputError(f"{path}: no such file")
    if path.is_dir():
        raise InputError(f"{path}: is a folder, not a media file")
    if not path.is_file():
        raise InputError(f"{path}: is no regular file")
    if not os.access(path, os.R_OK):
        raise InputError(f"{path}: no permission to read it")
    if path.stat().st_size == 0:
        raise InputError(f"{path}: the file is empty")
    return path


def check_finite(path: str | os.PathLike, waveform: np.ndarray) -> None:
    """Raise InputError where a sound holds NaN or infinity."""
    if not np.isfinite(waveform).all():
        raise InputError(f"{path}: the sound holds samples that are no finite numbers")


def first_readable(
    path: str | os.PathLike, from_container: Callable[[], T], from_audio_file: Callable[[], T]
) -> T:
    """Return the result of the first of two readers that can read a file; its suffix orders them.

    A reader raises NotReadable where the other one may be tried. Raises InputError that names the
    file, where neither can read it and where one of them refuses it.
    """
    readers = [from_container, from_audio_file]
    if pathlib.Path(path).suffix.lower() in AUDIO_SUFFIXES:
        readers.reverse()
    reasons = []
    for reader in readers:
        try:
            return reader()
        except NotReadable as reason:
            reasons.append(str(reason))
        except InputError as error:
            raise InputError(f"{path}: {error}") from None
    raise InputError(f"{path}: not a media file that can be read ({'; '.join(reasons)})")


def sound_blocks(file, start_seconds: float, end_seconds: float | None) -> Iterator[np.ndarray]:
    """Yield the sound of a range of an open soundfile, mono, in blocks float32 (samples,)."""
    first = min(round(start_seconds * file.samplerate), file.frames)
    last = file.frames if end_seconds is None else round(end_seconds * file.samplerate)
    file.seek(first)
    # In blocks: a damaged header may promise more samples than fit in memory.
    while first < last:
        block = file.read(min(last - first, _BLOCK_SAMPLES), dtype="float32", always_2d=True)
        if not len(block):
            return
        yield channel_mean(block.T)
        first += len(block)


def resampled(
    blocks: Iterable[np.ndarray], rate_hz: int, longest_seconds: float = 4 * 3600.0
) -> np.ndarray:
    """Return float32 (samples,) at 16 kHz of a sound that comes in float32 (samples,) blocks.

    Raises InputError as `resampled_blocks` does.

    >>> resampled([np.zeros(44100, np.float32), np.zeros(22050, np.float32)], 44100).shape
    (24000,)
    """
    return np.concatenate(list(resampled_blocks(blocks, rate_hz, longest_seconds)))


def resampled_blocks(
    blocks: Iterable[np.ndarray],
    rate_hz: int,
    longest_seconds: float = math.inf,
    chunk_samples: int = _BLOCK_SAMPLES,
) -> Iterator[np.ndarray]:
    """Yield float32 (samples,) at 16 kHz, part by part, of a sound that comes in blocks.

    It is resampled as if silence came before it: soxr's first samples are off by some per cent
    otherwise. chunk_samples: how many samples are collected, at least, before they are resampled.
    Raises InputError for a rate that no sound has, and for a sound longer than `longest_seconds`,
    since a damaged file may yield one without end.
    """
    import soxr

    if not _RATES_HZ[0] <= rate_hz <= _RATES_HZ[1]:
        raise InputError(f"a sample rate of {rate_hz} Hz is outside {_RATES_HZ} Hz")
    # The silence is a whole number of samples at both rates.
    common = math.gcd(rate_hz, SAMPLE_RATE_HZ)
    n_periods = -(-_SILENCE_SAMPLES // (rate_hz // common))
    n_silent = n_periods * SAMPLE_RATE_HZ // common  # of the output, still to be left out
    stream = soxr.ResampleStream(rate_hz, SAMPLE_RATE_HZ, 1, dtype="float32")
    n_seconds = 0.0
    for chunk, last in _chunks(blocks, n_periods * rate_hz // common, chunk_samples):
        n_seconds += len(chunk) / rate_hz
        if not last and n_seconds > longest_seconds:
            hours = longest_seconds / 3600
            raise InputError(f"the sound is longer than {hours:g} hours; read a range of it")
        output = stream.resample_chunk(chunk, last=last)
        yield output[n_silent:]
        n_silent -= min(n_silent, len(output))


def _chunks(
    blocks: Iterable[np.ndarray], n_zeros: int, chunk_samples: int
) -> Iterator[tuple[np.ndarray, bool]]:
    """Yield blocks, with zeros before them, joined to longer ones, and whether each is the last."""
    waiting, n_waiting = [np.zeros(n_zeros, np.float32)], 0
    for block in blocks:
        waiting.append(block)
        n_waiting += len(block)
        if n_waiting >= chunk_samples:
            yield np.concatenate(waiting), False
            waiting, n_waiting = [], 0
    yield np.concatenate([*waiting, np.zeros(0, np.float32)]), True


def _read_container(path, start_seconds, end_seconds, n_frames: int, size: Size) -> Media:
    with sound_from(path, start_seconds, end_seconds) as sound:
        waveform = None if sound is None else resampled(*sound)
    if waveform is not None and not len(waveform):
        waveform = None
    frames, seconds = None, 0.0
    if n_frames:
        frames, seconds = read_pictures(path, start_seconds, end_seconds, n_frames, size)
    if waveform is not None:
        seconds = max(seconds, len(waveform) / SAMPLE_RATE_HZ)
    return Media(waveform, frames, seconds)


def _read_audio_file(path, start_seconds, end_seconds) -> Media:
    import soundfile

    try:
        with soundfile.SoundFile(path) as file:
            waveform = resampled(sound_blocks(file, start_seconds, end_seconds), file.samplerate)
    except (soundfile.SoundFileError, TypeError) as error:
        raise NotReadable(f"libsndfile: {one_line(error)}") from error
    return Media(waveform if len(waveform) else None, None, len(waveform) / SAMPLE_RATE_HZ)
