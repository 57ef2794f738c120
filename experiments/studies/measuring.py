"""What the studies measure of a system: tagging, localisation, and gains with their intervals."""

import statistics
from collections.abc import Iterable

import numpy as np

from experiments.common import mean_and_spread, mean_gains
from mmat.corpora.mini import mini_groups
from mmat.metrics.bootstrap import Difference
from mmat.metrics.events import frames_to_events, segment_f1
from mmat.metrics.psds import psds, segment_curves
from mmat.metrics.tagging import mean_average_precision, precision_recall_f1
from mmat.metrics.thresholds import best_single_threshold, fire

CLIP_SECONDS = 10.0


def decided(data: dict, scores: dict) -> tuple[np.ndarray, float]:
    """Return what fires in the test clips, and the one threshold that validation gave."""
    threshold = best_single_threshold(
        data["validation"]["weak_labels"] > 0, scores["validation_clip"]
    )
    return fire(scores["test_clip"], threshold), threshold


def tagging(data: dict, scores: dict) -> dict[str, float]:
    """Validation and test figures of the clip scores, in per cent."""
    fired, threshold = decided(data, scores)
    held, truth = (data[split]["weak_labels"] > 0 for split in ("validation", "test"))
    held_fired = fire(scores["validation_clip"], threshold)
    return {
        "validation F1": 100 * precision_recall_f1(held, held_fired).f1,
        "validation mAP": 100 * mean_average_precision(held, scores["validation_clip"]),
        "F1": 100 * precision_recall_f1(truth, fired).f1,
        "mAP": 100 * mean_average_precision(truth, scores["test_clip"]),
    }


def localisation(data: dict, scores: dict) -> dict[str, float]:
    """Test figures of the frame scores in per cent; nothing strong was seen in training or tuning.

    Segments of 1 s: a class is active where its frames reach the threshold of the clips and the
    clip fires. Segment mAP and PSDS need no threshold.
    """
    fired, threshold = decided(data, scores)
    truth, frames = data["test"]["events"], scores["test_frame"]
    events = [
        [event for event in frames_to_events(clip, np.float32(threshold)) if tags[event[0]]]
        for clip, tags in zip(frames, fired, strict=True)
    ]
    segments = segment_f1(truth, events, fired.shape[1], CLIP_SECONDS)
    curves = segment_curves(list(frames), truth, CLIP_SECONDS)
    return {
        "segment ER": 100 * segments.error_rate,
        "segment F1": 100 * segments.f1,
        "segment mAP": 100 * statistics.fmean(curve.average_precision for curve in curves.values()),
        "PSDS": 100 * psds(list(frames), truth, CLIP_SECONDS),
    }


def gains(
    data: dict, firsts: list[dict], seconds: list[dict], figure: str = "f1"
) -> dict[str, Difference]:
    """The mean of the second system over the first's, paired: drawn by clip and by source group.

    firsts, seconds: the scores of each training. figure: a name of `headline_intervals`.
    """
    truth = data["test"]["weak_labels"] > 0
    systems = [
        [(decided(data, scores)[0], scores["test_clip"]) for scores in trainings]
        for trainings in (firsts, seconds)
    ]
    groups = [mini_groups()[clip] for clip in data["test"]["ids"]]
    return {by: of[figure] for by, of in mean_gains(truth, *systems, groups).items()}


def summary(figures: Iterable[dict[str, float]]) -> dict[str, dict]:
    """Mean, standard deviation and single values over seeds, figure by figure.

    >>> summary([{"F1": 40.0}, {"F1": 44.0}])["F1"]["mean"]
    42.0
    """
    figures = list(figures)
    return {name: mean_and_spread(one[name] for one in figures) for name in figures[0]}
