"""Media files in: 16 kHz mono sound and evenly spaced RGB pictures out.

Every file is read by FFmpeg (PyAV). What was lost or changed in reading is said in `Media.problem`.
"""

import contextlib
import dataclasses
import os
import pathlib
from collections.abc import Iterator

import numpy as np

from mmat.files import InputError, reason_of
from mmat.media.containers import NotReadable
from mmat.media.pictures import Size, read_pictures
from mmat.media.sound import SAMPLE_RATE_HZ, sound_from
from mmat.media.survey import Survey, survey


@dataclasses.dataclass(frozen=True)
class Media:
    """What was read from one media file.

    waveform: float32 (samples,), 16 kHz mono, or None without sound. frames: uint8
    (n_frames, height, width, 3) RGB, or None without pictures. duration_seconds: of what was read.
    problem: what was lost or changed in reading, in sentences; else empty.
    """

    waveform: np.ndarray | None
    frames: np.ndarray | None
    duration_seconds: float
    problem: str = ""


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
    with one_error(path):
        media = _read(survey(path, end_seconds), start_seconds, end_seconds, n_frames, size)
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

    Channels are averaged, unless they cancel each other out. A range that goes beyond the file's
    end gives what there is.
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
    with one_error(path):
        look = survey(path, end_seconds)
        frames, _ = read_pictures(look, start_seconds, end_seconds, n_frames, size)
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


@contextlib.contextmanager
def one_error(path: str | os.PathLike) -> Iterator[None]:
    """Let whatever goes wrong in reading a file be one InputError that names it."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    except NotReadable as reason:
        raise InputError(f"{path}: not a media file that can be read ({reason})") from reason
    except Exception as error:  # whatever a codec library raises for a damaged file
        raise InputError(f"{path}: {type(error).__name__}: {reason_of(error)}") from error


def problem_of(look: Survey, sound_problems: list[str], end_seconds: float | None = None) -> str:
    """Return what is to be said of a file that was read up to a time, or to its end; or nothing."""
    return "; ".join(filter(None, [*look.notes, *sound_problems, look.missing(end_seconds)]))


def _read(look: Survey, start_seconds, end_seconds, n_frames: int, size: Size) -> Media:
    waveform, problems = None, []
    with sound_from(look, start_seconds, end_seconds) as sound:
        if sound is not None:
            try:
                waveform = np.concatenate([np.zeros(0, np.float32), *sound])
            except NotReadable as reason:
                if not n_frames or look.picture_track is None:
                    raise
                problems.append(f"the sound cannot be decoded ({reason})")
            problems += sound.problems
    if waveform is not None and not len(waveform):
        waveform = None
    frames, seconds = None, 0.0
    if n_frames:
        frames, seconds = read_pictures(look, start_seconds, end_seconds, n_frames, size)
    if waveform is not None:
        seconds = max(seconds, len(waveform) / SAMPLE_RATE_HZ)
    return Media(waveform, frames, seconds, problem_of(look, problems, end_seconds))
