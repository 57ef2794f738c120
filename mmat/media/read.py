"""Media files in: 16 kHz mono sound and evenly spaced RGB pictures out.

Audio files are read by libsndfile (soundfile), containers by FFmpeg (PyAV); the suffix decides
which is tried first, and the other one is tried when it fails.

Sound of any rate to 16 kHz, by soxr, block by block.
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
_RATES_HZ = (1000, 768_000)
_CHUNK_SAMPLES = 1 << 16
_SILENCE_SAMPLES = 2048


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
    chunk_samples: int = _CHUNK_SAMPLES,
) -> Iterator[np.ndarray]:
    """Yield float32 (samples,) at 16 kHz, bit by bit, of a sound that comes in blocks.

    It is resampled as if silence came before it: soxr's first samples are off by some per cent
    otherwise. chunk_samples: of the sound that are waited for at least. Raises InputError for a
    rate that no sound has, and for a sound longer than longest_seconds, since a damaged file may
    yield one without end.
    """
    import soxr

    if not _RATES_HZ[0] <= rate_hz <= _RATES_HZ[1]:
        raise InputError(f"a sample rate of {rate_hz} Hz is outside {_RATES_HZ} Hz")
    # So much silence that it is a whole number of samples at both rates.
    common = math.gcd(rate_hz, SAMPLE_RATE_HZ)
    n_periods = -(-_SILENCE_SAMPLES // (rate_hz // common))
    n_silent = n_periods * SAMPLE_RATE_HZ // common  # of the answer, still to be left out
    stream = soxr.ResampleStream(rate_hz, SAMPLE_RATE_HZ, 1, dtype="float32")
    n_seconds = 0.0
    for chunk, last in _chunks(blocks, n_periods * rate_hz // common, chunk_samples):
        n_seconds += len(chunk) / rate_hz
        if not last and n_seconds > longest_seconds:
            hours = longest_seconds / 3600
            raise InputError(f"the sound is longer than {hours:g} hours; read a range of it")
        answer = stream.resample_chunk(chunk, last=last)
        yield answer[n_silent:]
        n_silent -= min(n_silent, len(answer))


def _chunks(
    blocks: Iterable[np.ndarray], n_zeros: int, chunk_samples: int
) -> Iterator[tuple[np.ndarray, bool]]:
    """Yield blocks, with zeros before them, in longer pieces, and which of these is the last."""
    waiting, n_waiting = [np.zeros(n_zeros, np.float32)], 0
    for block in blocks:
        waiting.append(block)
        n_waiting += len(block)
        if n_waiting >= chunk_samples:
            yield np.concatenate(waiting), False
            waiting, n_waiting = [], 0
    yield np.concatenate([*waiting, np.zeros(0, np.float32)]), True


AUDIO_SUFFIXES = {".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff", ".au", ".w64"}
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
    Raises InputError for a file that cannot be read, or that has nothing of what was asked for.
    """
    path, start_seconds = checked(path), start_seconds or 0.0
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

    The asked times are the centres of n equal parts of the range. Where the keyframes are at most
    two such parts apart, a picture is the nearest keyframe, or at least begins within half a
    keyframe interval; elsewhere it is the one shown at the very time. Pictures are upright
    (rotation applied) and have square pixels. Larger ones are scaled down to `max_side_px` on the
    longer side; or, with `square_px`, the whole picture is squeezed to a square of that size, as
    the image networks see it.
    Raises InputError for a file that cannot be read or that has no picture track; cover images
    of music files are none.
    """
    if n_frames < 1:
        raise InputError(f"n_frames must be 1 or more, not {n_frames}")
    path, start_seconds = checked(path), start_seconds or 0.0
    size = Size(max_side_px, square_px)
    try:
        frames, _ = read_pictures(path, start_seconds, end_seconds, n_frames, size)
    except NotReadable:
        read_audio(path)  # says so if it is no media file at all
        frames = None
    if frames is None:
        raise InputError(f"{path}: no picture track, or nothing on it from {start_seconds:g} s on")
    return frames


def checked(path: str | os.PathLike) -> pathlib.Path:
    """Return a path to a file that can be read; raises InputError that says why it cannot."""
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
    """Return what the first of two readers gives that can read a file; its suffix orders them.

    A reader raises NotReadable where the other one may be tried. Raises InputError that names the
    file, for what neither can read and for what one of them refuses.
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


def _read_audio_file(path, start_seconds, end_seconds) -> Media:
    import soundfile

    try:
        with soundfile.SoundFile(path) as file:
            waveform = resampled(sound_blocks(file, start_seconds, end_seconds), file.samplerate)
    except (soundfile.SoundFileError, TypeError) as error:
        raise NotReadable(f"libsndfile: {one_line(error)}") from error
    return Media(waveform if len(waveform) else None, None, len(waveform) / SAMPLE_RATE_HZ)


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
