"""Sound event detection: from frame scores to events with an onset and an offset, and their score.

Conventions
-----------
An event is `(label_index, onset_seconds, offset_seconds, score)`; a true event's score is
ignored and may be left out. Frame t covers the time from t to t + 1 hops. Error rates are 0 for
perfect and may pass 1; F1, precision and recall are fractions in [0, 1], 0 where they have no
denominator. Malformed input raises InputError; empty input warns and returns 0.

Metrics
-------
- `segment_f1`: clips cut into segments of one second; micro F1 and error rate over all
  `(segment, class)` decisions, by sed_eval's definitions and by sed_eval itself.
- `segment_counts` with `micro_segments` and `class_segments`: the same, and class by class.

Reference
---------
A. Mesaros, T. Heittola, T. Virtanen, "Metrics for Polyphonic Sound Event Detection", Applied
Sciences 6(6), 2016.
"""

import math
import warnings
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from mmat.files import InputError
from mmat.metrics import checks
from mmat.metrics.thresholds import fire


class Event(NamedTuple):
    """One stretch of time in which one class sounds; score: the highest of its frames."""

    label_index: int
    onset_seconds: float
    offset_seconds: float
    score: float = 1.0


class SegmentScores(NamedTuple):
    """Micro figures over segments; the error rate counts substitutions, misses and insertions."""

    error_rate: float
    f1: float
    precision: float
    recall: float


def frames_to_events(
    frame_scores,
    thresholds,
    hop_seconds: float = 0.1,
    median_filter_frames: int = 1,
    hysteresis: float = 1.0,
) -> list[Event]:
    """Return the events of one clip, in order of onset: runs of frames that reach the threshold.

    frame_scores: probabilities `(time, classes)`; thresholds: `(classes,)` or one for all, see
    `mmat.metrics.thresholds`. median_filter_frames: an odd width; runs and gaps shorter than
    half of it are smoothed away. hysteresis: an event lasts as long as its score stays above this
    share of the threshold, if it reaches the threshold at least once. Raises InputError
    for malformed input.

    >>> frames_to_events([[0.1], [0.9], [0.8], [0.2]], [0.5])
    [Event(label_index=0, onset_seconds=0.1, offset_seconds=0.3, score=0.9)]
    >>> frames_to_events([[0.1], [0.3], [0.9], [0.2], [0.3]], [0.5], hysteresis=0.5)
    [Event(label_index=0, onset_seconds=0.1, offset_seconds=0.3, score=0.9)]
    """
    frame_scores = np.asarray(frame_scores, np.float64)
    if frame_scores.ndim != 2:
        raise InputError(f"frame scores: {frame_scores.ndim} axes, where (time, classes) has two")
    checks.as_probabilities(frame_scores, "frame scores", frame_scores.shape)
    thresholds = np.asarray(thresholds, np.float32)
    if thresholds.shape not in ((), (1,), frame_scores.shape[1:]):
        raise InputError(f"thresholds: {thresholds.shape} for {frame_scores.shape[1]} classes")
    if hop_seconds <= 0:
        raise InputError(f"hop_seconds: {hop_seconds} is no duration; it is 0.1 for 10 Hz")
    if not 0 < hysteresis <= 1:
        raise InputError(f"hysteresis: {hysteresis} is no share above 0 and up to 1")
    active = fire(frame_scores, thresholds)
    if hysteresis < 1:
        active = _runs_that_reach(active, fire(frame_scores, thresholds * np.float32(hysteresis)))
    active = _median_filter(active, median_filter_frames)
    events = []
    for c in range(active.shape[1]):
        for start, end in _runs(active[:, c]):
            # Rounded, or 30 frames would end at 3.0000000000000004 s and touch a fourth second.
            onset, offset = round(start * hop_seconds, 6), round(end * hop_seconds, 6)
            events.append(Event(c, onset, offset, float(frame_scores[start:end, c].max())))
    return sorted(events, key=lambda event: (event.onset_seconds, event.label_index))


def segment_f1(
    truth_events: Sequence[Sequence[tuple]],
    predicted_events: Sequence[Sequence[tuple]],
    n_classes: int,
    clip_seconds: float | Sequence[float] | None,
    segment_seconds: float = 1.0,
) -> SegmentScores:
    """Return error rate and micro F1 over segments, pooled over clips, as sed_eval has them.

    The arguments are those of `segment_counts`. Raises InputError as it does.

    >>> segment_f1([[(0, 0.0, 2.0)]], [[(0, 0.0, 1.0)]], n_classes=1, clip_seconds=10.0).recall
    0.5
    """
    return micro_segments(
        segment_counts(truth_events, predicted_events, n_classes, clip_seconds, segment_seconds)
    )


def segment_counts(
    truth_events: Sequence[Sequence[tuple]],
    predicted_events: Sequence[Sequence[tuple]],
    n_classes: int,
    clip_seconds: float | Sequence[float] | None,
    segment_seconds: float = 1.0,
):
    """Return sed_eval's `SegmentBasedMetrics` as it is after it has seen every clip.

    It counts every segment of every class in Python; here time and memory depend on the number of
    events alone, not on how long they or the clips are. True negatives are not counted.
    truth_events, predicted_events: the list of events of each clip; clip_seconds: one duration
    for all or one a clip, what lies beyond it is not counted; None: each clip lasts to its last
    event. A segment that an event touches is a segment of that class. Raises InputError for
    malformed events, or without sed_eval; warns where the truth holds no event.
    """
    n_clips = len(truth_events)
    if len(predicted_events) != n_clips:
        raise InputError(f"events: {len(predicted_events)} clips predicted, {n_clips} in the truth")
    durations = [None] * n_clips
    if clip_seconds is not None:
        durations = np.broadcast_to(np.asarray(clip_seconds, np.float64), (n_clips,)).tolist()
        if min(durations, default=1.0) <= 0:
            raise InputError("events: clips must be longer than 0 seconds")
    if segment_seconds <= 0:
        raise InputError("events: segments must be longer than 0 seconds")
    names = [str(c) for c in range(n_classes)]
    counts = _sed_eval().sound_event.SegmentBasedMetrics(names, float(segment_seconds))
    for true, predicted, length in zip(truth_events, predicted_events, durations, strict=True):
        n_segments = math.inf if length is None else math.ceil(length / segment_seconds)
        true, predicted = (
            _runs_of_segments(events, what, n_classes, segment_seconds, n_segments)
            for events, what in ((true, "truth"), (predicted, "prediction"))
        )
        _count(counts, true, predicted)
    if not counts.overall["Nref"]:
        warnings.warn("the truth holds no event; every figure is 0", stacklevel=2)
    return counts


def micro_segments(counts) -> SegmentScores:
    """Return the figures of all classes pooled, from what `segment_counts` gave."""
    if not counts.overall["Nref"]:
        return SegmentScores(0.0, 0.0, 0.0, 0.0)
    return _segment_scores({**counts.overall_error_rate(), **counts.overall_f_measure()})


def class_segments(counts) -> list[SegmentScores]:
    """Return the figures of every class, from what `segment_counts` gave; 0 for absent ones."""
    return [
        _segment_scores({**counts.class_wise_error_rate(name), **counts.class_wise_f_measure(name)})
        if counts.class_wise[name]["Nref"]
        else SegmentScores(0.0, 0.0, 0.0, 0.0)
        for name in counts.event_label_list
    ]


def _segment_scores(figures: dict) -> SegmentScores:
    names = ("error_rate", "f_measure", "precision", "recall")
    # sed_eval returns NaN where nothing was predicted.
    return SegmentScores(*(float(np.nan_to_num(figures[name])) for name in names))


def _runs(active: np.ndarray) -> list[tuple[int, int]]:
    """Return the first frame of each run of a class, bool `(time,)`, and that behind its last."""
    steps = np.diff(np.concatenate([[False], active, [False]]).astype(np.int8))
    starts, ends = np.flatnonzero(steps == 1), np.flatnonzero(steps == -1)
    return list(zip(starts.tolist(), ends.tolist(), strict=True))


def _runs_that_reach(high: np.ndarray, low: np.ndarray) -> np.ndarray:
    """Return the runs of `low` in which `high` is true somewhere: bool `(time, classes)`."""
    kept = np.zeros_like(low)
    for c in range(low.shape[1]):
        for start, end in _runs(low[:, c]):
            kept[start:end, c] = high[start:end, c].any()
    return kept


def _median_filter(active: np.ndarray, width: int) -> np.ndarray:
    """Return `(time, classes)` in which each frame is what most of `width` frames around it are."""
    return frames_around(active, width).sum(axis=-1) > width // 2


def frames_around(frames: np.ndarray, width: int) -> np.ndarray:
    """Return `(time, classes, width)`, the frames around each of `(time, classes)`.

    Beyond the ends the first and the last are repeated. Raises InputError for an even width.

    >>> frames_around(np.array([[1], [2]]), 3).tolist()
    [[[1, 1, 2]], [[1, 2, 2]]]
    """
    if width < 1 or width % 2 == 0:
        raise InputError(f"median_filter_frames: {width} is no odd number of frames")
    if not frames.size:
        return np.zeros((*frames.shape, width), frames.dtype)
    padded = np.pad(frames, ((width // 2, width // 2), (0, 0)), mode="edge")
    return np.lib.stride_tricks.sliding_window_view(padded, width, axis=0)


_Runs = dict[int, list[tuple[float, float]]]  # of a class: the first segment, and that behind


def _runs_of_segments(
    events, what: str, n_classes: int, segment_seconds: float, n_segments: float
) -> _Runs:
    """Return the segments that events touch, as runs that are apart, in order, by class.

    Raises InputError where an event is impossible.
    """
    runs: _Runs = {}
    for event in events:
        label_index, onset, offset = event[:3]
        if not 0 <= label_index < n_classes:
            raise InputError(f"{what}: label {label_index} is none of the {n_classes} classes")
        if not 0 <= onset < offset < math.inf:
            raise InputError(f"{what}: an event from {onset} to {offset} s has no duration")
        start = math.floor(onset / segment_seconds)
        end = min(math.ceil(offset / segment_seconds), n_segments)
        if start < end:
            runs.setdefault(label_index, []).append((start, end))
    return {label_index: _merged(each) for label_index, each in runs.items()}


def _merged(runs: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return the same segments as runs that are apart, in order."""
    merged: list[tuple[float, float]] = []
    for start, end in sorted(runs):
        if merged and start <= merged[-1][1]:
            merged[-1] = merged[-1][0], max(end, merged[-1][1])
        else:
            merged.append((start, end))
    return merged


def _common(
    left: list[tuple[float, float]], right: list[tuple[float, float]]
) -> list[tuple[float, float]]:
    """Return the segments that lie in both of two lists of runs that are apart, in order."""
    common, i, j = [], 0, 0
    while i < len(left) and j < len(right):
        start, end = max(left[i][0], right[j][0]), min(left[i][1], right[j][1])
        if start < end:
            common.append((start, end))
        if left[i][1] < right[j][1]:
            i += 1
        else:
            j += 1
    return common


def _count(counts, true: _Runs, predicted: _Runs) -> None:
    """Add a clip to sed_eval's counts, as its `evaluate` does segment by segment."""
    hits = {c: _common(runs, predicted[c]) for c, runs in true.items() if c in predicted}
    for name, runs_of in (("Nref", true), ("Nsys", predicted), ("Ntp", hits)):
        for c, runs in runs_of.items():
            counts.class_wise[str(c)][name] += sum(end - start for start, end in runs)
    for c in true.keys() | predicted.keys():
        of_class = counts.class_wise[str(c)]
        of_class["Nfp"] = of_class["Nsys"] - of_class["Ntp"]
        of_class["Nfn"] = of_class["Nref"] - of_class["Ntp"]
    widths, (n_true, n_predicted, n_hit) = _stretches([true, predicted, hits])
    for name, n_classes in {
        "Nref": n_true,
        "Nsys": n_predicted,
        "Ntp": n_hit,
        "Nfp": n_predicted - n_hit,
        "Nfn": n_true - n_hit,
        "S": np.minimum(n_true, n_predicted) - n_hit,
        "D": np.maximum(0, n_true - n_predicted),
        "I": np.maximum(0, n_predicted - n_true),
    }.items():
        counts.overall[name] += float(widths @ n_classes)


def _stretches(several: list[_Runs]) -> tuple[np.ndarray, np.ndarray]:
    """Cut time wherever a run begins or ends: between two cuts all segments are alike.

    Returns how many segments a stretch has, and how many classes each of `several` has in it.
    """
    edges = [
        (segment, which, step)
        for which, runs_of in enumerate(several)
        for runs in runs_of.values()
        for run in runs
        for segment, step in zip(run, (1, -1), strict=True)
    ]
    if not edges:
        return np.zeros(0), np.zeros((len(several), 0))
    segments, which, steps = np.array(edges, np.float64).T
    cuts, place = np.unique(segments, return_inverse=True)
    changes = np.zeros((len(several), len(cuts)))
    np.add.at(changes, (which.astype(int), place), steps)
    return np.diff(cuts), np.cumsum(changes, axis=1)[:, :-1]


def _sed_eval():
    return checks.quiet_import("sed_eval", "segment scores", "0.2.1")
