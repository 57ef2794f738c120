"""A long file as windows of a clip's length, and the windows' frame scores as one again."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from mmat.data.media import SAMPLE_RATE_HZ, Media
from mmat.errors import InputError

FRAME_HZ = 10
SHORTEST_REST_SECONDS = 0.1  # what codecs leave over at a file's end is no window of its own


def windows(
    read: Callable[[float, float], Media], clip_seconds: float
) -> Iterator[tuple[float, Media]]:
    """Yield (start in seconds, Media) of consecutive windows, the last one aligned at the end.

    read: (start_seconds, end_seconds) to what there is of that range. What cannot be read after
    the first window counts as the end. Raises InputError where the first cannot be read.

    >>> read = waveform_reader(np.zeros(25 * SAMPLE_RATE_HZ, "float32"))
    >>> [(start, media.duration_seconds) for start, media in windows(read, clip_seconds=10.0)]
    [(0.0, 10.0), (10.0, 10.0), (15.0, 10.0)]
    """
    media = read(0.0, clip_seconds)
    yield 0.0, media
    start = clip_seconds
    while media.duration_seconds > clip_seconds - SHORTEST_REST_SECONDS:
        try:
            media = read(start, start + clip_seconds)
        except InputError:
            return
        end = start + media.duration_seconds
        if media.duration_seconds < SHORTEST_REST_SECONDS:
            return
        if media.duration_seconds < clip_seconds - SHORTEST_REST_SECONDS:
            # On the grid of the frame scores, so that windows merge frame by frame.
            start = float(np.ceil((end - clip_seconds) * FRAME_HZ) / FRAME_HZ)
            yield start, read(start, end)
            return
        yield start, media
        start += clip_seconds


def waveform_reader(waveform: np.ndarray) -> Callable[[float, float], Media]:
    """Return a `read` for `windows` of a waveform, float `(samples,)`, 16 kHz mono in [-1, 1].

    Raises InputError for another shape or kind of numbers, and for no samples.
    """
    if waveform.ndim != 1 or waveform.dtype.kind != "f":
        raise InputError(
            f"waveform: {waveform.dtype} {waveform.shape}, where floats (samples,) at 16 kHz are "
            "needed"
        )
    if not waveform.size or not np.isfinite(waveform).all():
        raise InputError("waveform: no samples, or some that are no finite numbers")

    def read(start_seconds: float, end_seconds: float) -> Media:
        first, last = (round(t * SAMPLE_RATE_HZ) for t in (start_seconds, end_seconds))
        part = waveform[first:last].astype(np.float32)
        if not part.size:
            raise InputError(f"waveform: nothing from {start_seconds:g} s on")
        return Media(part, None, len(part) / SAMPLE_RATE_HZ)

    return read


def merge_frames(parts: Sequence[tuple[float, float, np.ndarray]]) -> np.ndarray:
    """Return float32 `(time, classes)` at 10 Hz, the mean where windows overlap.

    parts: start and duration in seconds and frame scores `(steps, classes)` of each window; where
    the steps are not ten a second, they are held for their share of the duration.

    >>> one, two = np.zeros((2, 1)), np.ones((2, 1))
    >>> merge_frames([(0.0, 0.2, one), (0.1, 0.2, two)]).ravel().tolist()
    [0.0, 0.5, 1.0]
    """
    placed = []
    for start, duration, scores in parts:
        n_steps = max(1, int(np.ceil(round(duration * FRAME_HZ, 3))))
        held = scores[np.arange(n_steps) * len(scores) // n_steps]
        placed.append((round(start * FRAME_HZ), held))
    n_frames = max(first + len(held) for first, held in placed)
    total = np.zeros((n_frames, placed[0][1].shape[1]))
    count = np.zeros((n_frames, 1))
    for first, held in placed:
        total[first : first + len(held)] += held
        count[first : first + len(held)] += 1
    return (total / np.maximum(count, 1)).astype(np.float32)
