"""What the task of a label set makes of scores: the decision on a clip, and its events over time.

Conventions
-----------
- multi-label: a class is decided where its score reaches its threshold (`mmat.metrics.thresholds`);
  of several windows it has the highest score. Its events are the stretches that reach it.
- multi-class: the best class alone is decided, the first of equals, whatever the thresholds; where
  no class has a score above 0, none is. Of several windows it has the mean. Its events are the
  stretches in which it is the best.
- regression: the value itself is the output, and every label that has one is decided. Of several
  windows it is the mean. Its events are the stretches of one whole number, half to even.
"""

import numpy as np

from mmat.files import InputError
from mmat.labels import MULTI_LABEL, Task
from mmat.metrics.events import Event, frames_around, frames_to_events
from mmat.metrics.thresholds import fire

NO_SCORE = -np.inf  # of a label without any prediction; it decides nothing
SURE_FROM = np.float32(0.5)  # the confidence from which a class fires
_JUST_BELOW = np.nextafter(SURE_FROM, np.float32(0))


def decide(task: Task, scores, thresholds) -> np.ndarray:
    """Return what is decided: bool `(…, classes)`, of scores of that shape.

    thresholds: `(classes,)` or one for all, which count in a multi-label task alone.

    >>> from mmat.labels import MULTI_CLASS, regression
    >>> scores = [[0.3, 0.4, 0.3], [0.0, 0.0, 0.0]]
    >>> decide(MULTI_CLASS, scores, 0.5).tolist()
    [[False, True, False], [False, False, False]]
    >>> decide(regression(-3, 3), [[-1.5, NO_SCORE]], 0.5).tolist()
    [[True, False]]
    """
    scores = np.asarray(scores, np.float32)
    if task.is_regression:
        return np.isfinite(scores)
    if not task.is_multi_class:
        return fire(scores, thresholds)
    best = scores.argmax(axis=-1)[..., None]
    return (np.arange(scores.shape[-1]) == best) & (scores > 0)


def confidence(task: Task, scores, thresholds) -> np.ndarray:
    """Return how sure a decision is, float32 of the scores' shape in [0, 1], on one scale.

    scores: `(…, classes)`; thresholds: `(classes,)` or one for all. multi-label: odds(score) /
    (odds(score) + odds(threshold)), so a class fires from 0.5 on, whatever its threshold; one that
    never fires has 0. multi-class: the score itself. regression: NaN, which no value has.

    >>> from mmat.metrics.thresholds import NEVER_FIRES
    >>> confidence(MULTI_LABEL, [0.0, 0.05, 0.2, 1.0], [0.05, 0.05, 0.05, NEVER_FIRES]).round(2)
    array([0.  , 0.5 , 0.83, 0.  ], dtype=float32)
    """
    scores, thresholds = np.asarray(scores, np.float32), np.asarray(thresholds, np.float32)
    if task.is_regression:
        return np.full(scores.shape, np.nan, np.float32)
    found = np.clip(scores.astype(np.float64), 0, 1)
    if task.is_multi_class:
        return found.astype(np.float32)
    bar = np.clip(thresholds.astype(np.float64), 0, 1)
    for_it, against = found * (1 - bar), bar * (1 - found)
    total = for_it + against  # 0 where score and threshold are the same end of the scale
    share = np.divide(for_it, total, out=np.full(total.shape, 0.5), where=total != 0)
    share = share.astype(np.float32)
    # Rounding must not take a class to the other side.
    fires = np.where(fire(scores, thresholds), np.maximum(share, SURE_FROM), share)
    below = np.where(scores < thresholds, np.minimum(fires, _JUST_BELOW), fires)
    return np.where(thresholds > 1, np.float32(0), below)


def percent_sure(confidence: float) -> int:
    """Return a confidence as whole per cent, where 50 and more fires and up to 49 does not.

    >>> percent_sure(0.4999), percent_sure(0.5), percent_sure(0.876)
    (49, 50, 88)
    """
    rounded = round(100 * float(confidence))
    return rounded if confidence >= SURE_FROM else min(rounded, 49)


def pool_windows(task: Task, scores, weights) -> np.ndarray:
    """Return the scores `(classes,)` of several windows `(windows, classes)` as one, float32.

    weights: `(windows,)`, how much each counts in a mean.

    >>> from mmat.labels import MULTI_CLASS
    >>> scores = [[0.25, 0.75], [0.5, 0.5]]
    >>> [pool_windows(task, scores, [3, 1]).tolist() for task in (MULTI_CLASS, MULTI_LABEL)]
    [[0.3125, 0.6875], [0.5, 0.75]]
    """
    scores = np.asarray(scores, np.float32)
    if task == MULTI_LABEL:
        return scores.max(axis=0)
    return np.average(scores, axis=0, weights=weights).astype(np.float32)


def to_events(
    task: Task,
    frame_scores,
    thresholds,
    decided,
    hop_seconds: float = 0.1,
    median_filter_frames: int = 1,
    hysteresis: float = 1.0,
) -> list[Event]:
    """Return the events of a clip, by onset.

    frame_scores: `(time, classes)`; thresholds: `(classes,)`; decided: bool `(classes,)`, what was
    decided of the clip: of a multi-label task these classes alone have events. An event's score is
    its highest frame, of a regression the mean value. median_filter_frames: an odd width over which
    scores are smoothed first. hysteresis: as in `mmat.metrics.events.frames_to_events`;
    raises InputError for one in a task without thresholds.

    >>> from mmat.labels import MULTI_CLASS, regression
    >>> frames = np.float32([[0.75, 0.25], [0.5, 0.5], [0.25, 0.75]])
    >>> [tuple(event) for event in to_events(MULTI_CLASS, frames, [0, 0], [True, False])]
    [(0, 0.0, 0.2, 0.75), (1, 0.2, 0.3, 0.75)]
    >>> [tuple(event) for event in to_events(regression(-3, 3), [[0.75], [1.25], [2]], [0], [True])]
    [(0, 0.0, 0.2, 1.0), (0, 0.2, 0.3, 2.0)]
    """
    check_hysteresis(task, hysteresis)
    frame_scores, thresholds = np.asarray(frame_scores, np.float32), np.asarray(thresholds)
    if task == MULTI_LABEL:
        classes = np.flatnonzero(decided)
        rules = hop_seconds, median_filter_frames, hysteresis
        found = frames_to_events(frame_scores[:, classes], thresholds[classes], *rules)
        return [event._replace(label_index=int(classes[event.label_index])) for event in found]
    smooth = _medians(frame_scores, median_filter_frames)
    kept = decide(task, smooth, thresholds)
    steps = np.rint(smooth) if task.is_regression else kept
    events = []
    for c in range(steps.shape[1]):
        for start, end in _stretches(steps[:, c]):
            if kept[start, c]:
                frames = slice(start, end), c
                score = smooth[frames].mean() if task.is_regression else frame_scores[frames].max()
                onset, offset = round(start * hop_seconds, 6), round(end * hop_seconds, 6)
                events.append(Event(c, onset, offset, float(score)))
    return sorted(events, key=lambda event: (event.onset_seconds, event.label_index))


def check_hysteresis(task: Task, hysteresis: float) -> None:
    """Raise InputError for a hysteresis where no class has a threshold."""
    if task != MULTI_LABEL and hysteresis != 1:
        raise InputError(
            f"hysteresis: {hysteresis:g} is a share of thresholds, which a {task.kind} model "
            "lacks; leave it out"
        )


def _stretches(steps: np.ndarray) -> list[tuple[int, int]]:
    """Return where `(time,)` stays the same: the first frame, and that behind the last."""
    changes = (np.flatnonzero(steps[1:] != steps[:-1]) + 1).tolist()
    edges = [0, *changes, len(steps)] if len(steps) else []
    return list(zip(edges[:-1], edges[1:], strict=True))


def _medians(scores: np.ndarray, width: int) -> np.ndarray:
    """Return `(time, classes)` in which each frame is the median of `width` frames around it."""
    return np.median(frames_around(scores, width), axis=-1)
