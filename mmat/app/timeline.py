"""The timeline of an answer, in parts of the clip's length: it is drawn at any width of a screen.

A lane is one label: a curve of how sure it is, as an SVG path, and the stretches of its events.
"""

import math
from typing import NamedTuple

import numpy as np

from mmat.labels import FRAME_HZ
from mmat.metrics.decisions import confidence
from mmat.tagging.result import Tagging, TimedTag

LEAST_LANES, MOST_LANES = 3, 8
MOST_TICKS = 6  # they fit side by side on a telephone
MOST_POINTS = 400  # of a curve; a screen shows no more
MOST_COLUMNS = 1200  # of a spectrogram
_STEPS_SECONDS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600)
_LOUD_DECIBELS = 80.0  # from the loudest to what is drawn black


class Stretch(NamedTuple):
    """An event on a lane: where it is and how long, in percent of the clip, and what it is."""

    left_percent: float
    width_percent: float
    event: TimedTag


class Lane(NamedTuple):
    """One label: its name, its curve as an SVG path, 100 high, and its events."""

    label: str
    path: str
    n_points: int
    stretches: tuple[Stretch, ...]


class Tick(NamedTuple):
    """A mark of the time axis."""

    text: str
    left_percent: float


def lanes(tagging: Tagging) -> list[Lane]:
    """Return the labels that have something to show, in the order of the tags.

    These are labels that fired or have events, and the best of the others where they are few.
    """
    with_events = {event.label for event in tagging.events}
    found = [tag.label for tag in tagging.tags if tag.fired or tag.label in with_events]
    others = [tag.label for tag in tagging.tags if tag.label not in found]
    shown = [*found, *others[: max(0, LEAST_LANES - len(found))]][:MOST_LANES]
    places = {label: c for c, label in enumerate(tagging.labels)}
    heights = _heights(tagging)
    return [_lane(tagging, label, heights[:, places[label]]) for label in shown]


def _lane(tagging: Tagging, label: str, heights: np.ndarray) -> Lane:
    whole = max(tagging.duration_seconds, 1 / FRAME_HZ)
    stretches = tuple(
        Stretch(
            100 * event.onset_seconds / whole,
            100 * (event.offset_seconds - event.onset_seconds) / whole,
            event,
        )
        for event in tagging.events
        if event.label == label
    )
    points = highest_of_parts(heights, MOST_POINTS)
    return Lane(label, curve(points), len(points), stretches)


def _heights(tagging: Tagging) -> np.ndarray:
    """Return how high each frame's curve is, `(time, classes)` in [0, 1]."""
    task = tagging.task
    if task.is_regression:
        return np.clip((tagging.frame_scores - task.low) / (task.high - task.low), 0, 1)
    return confidence(task, tagging.frame_scores, tagging.thresholds)


def highest_of_parts(values: np.ndarray, n: int) -> np.ndarray:
    """Return the highest of each of `n` parts of `(time, …)`; no more parts than there are values.

    >>> highest_of_parts(np.array([1, 5, 2, 3]), 2).tolist()
    [5, 3]
    """
    starts = np.unique(np.arange(n) * len(values) // n)
    return np.maximum.reduceat(values, starts, axis=0)


def curve(heights: np.ndarray) -> str:
    """Return an SVG path of steps, one wide each and up to 100 high, filled down to the base line.

    >>> curve(np.array([0.0, 0.5, 0.5, 1.0]))
    'M0 100V100H1V50H3V0H4V100Z'
    """
    levels = np.rint(100 * (1 - np.asarray(heights))).astype(int)
    ends = [*(np.flatnonzero(np.diff(levels)) + 1).tolist(), len(levels)]
    steps = "".join(f"V{levels[end - 1]}H{end}" for end in ends)
    return f"M0 100{steps}V100Z"


def ticks(duration_seconds: float) -> list[Tick]:
    """Return marks at round times, few enough to be read.

    >>> [tick.text for tick in ticks(12.0)]
    ['0', '5', '10 s']
    >>> [tick.text for tick in ticks(95.0)]
    ['0:00', '0:20', '0:40', '1:00', '1:20']
    """
    whole = max(duration_seconds, 1 / FRAME_HZ)
    fitting = (step for step in _STEPS_SECONDS if whole / step <= MOST_TICKS - 1)
    step = next(fitting, _STEPS_SECONDS[-1])
    times = [i * step for i in range(math.floor(whole / step + 1e-6) + 1)]
    in_seconds = whole < 60
    texts = [f"{t:g}" if in_seconds else f"{t // 60:.0f}:{t % 60:02.0f}" for t in times]
    if in_seconds:
        texts[-1] += " s"
    return [Tick(text, 100 * t / whole) for text, t in zip(texts, times, strict=True)]


def spectrogram(log_mel: np.ndarray) -> np.ndarray:
    """Return a picture of decibels `(time, bands)`, uint8 RGB, low sounds below, loud ones bright.

    The range from the loudest down is 80 dB. There is no text in it: it may be stretched.
    """
    import matplotlib

    decibels = highest_of_parts(np.asarray(log_mel, np.float32), MOST_COLUMNS)
    loud = np.clip(1 + (decibels - decibels.max()) / _LOUD_DECIBELS, 0, 1)
    return matplotlib.colormaps["magma"](loud.T[::-1], bytes=True)[..., :3]
