"""Sound event detection without a threshold: PSDS, and precision over recall of segments.

Conventions
-----------
Both are sed_scores_eval's own, which goes through every threshold exactly. Frame scores are
probabilities `(time, classes)`, one array a clip, a row every `hop_seconds`; events are `(label
index, onset seconds, offset seconds, …)`, a list a clip. Only classes that occur in the truth
count. Malformed input raises InputError; a truth without events warns and returns 0.

`write_frame_scores` writes the form that sed_scores_eval reads: a folder with a TSV for each clip,
named after it, with the columns `onset`, `offset` and one for every class, a row a frame, whose
onset is the offset of the row before. Scores are written so that float32 comes back bit for bit.

Metrics
-------
- `psds`: area under the polyphonic sound detection ROC: true positive rate, less its spread over
  classes, over false positives an hour. `REACT_FAST` and `TELL_APART` are the two usual scenarios.
- `segment_curves`: each class's precision over recall of one-second segments, and its area.

References
----------
Ç. Bilen et al., "A Framework for the Robust Evaluation of Sound Event Detection", ICASSP 2020.
J. Ebbers, R. Serizel, R. Haeb-Umbach, "Threshold-Independent Evaluation of Sound Event Detection
Scores", ICASSP 2022. The scenarios are those of DCASE task 4 since 2021.
"""

import csv
import dataclasses
import hashlib
import os
import warnings
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from mmat.files import InputError, atomic_path
from mmat.metrics import checks
from mmat.metrics.ranking import Curve

LONGEST_NAME_BYTES = 200


@dataclasses.dataclass(frozen=True)
class Scenario:
    """What PSDS counts as found, and what it punishes.

    detection_tolerance: the least share of a detection that true events must cover.
    truth_tolerance: the least share of a true event that such detections must cover.
    cross_trigger_tolerance: the least share of a false detection that events of another class
    cover, for it to be a confusion with that class. cross_trigger_weight: what confusions add to
    false positives. instability_weight: how much the spread over classes costs.
    max_false_per_hour: where the curve ends.
    """

    detection_tolerance: float
    truth_tolerance: float
    cross_trigger_tolerance: float | None = None
    cross_trigger_weight: float = 0.0
    instability_weight: float = 1.0
    max_false_per_hour: float = 100.0


REACT_FAST = Scenario(detection_tolerance=0.7, truth_tolerance=0.7)
TELL_APART = Scenario(
    detection_tolerance=0.1,
    truth_tolerance=0.1,
    cross_trigger_tolerance=0.3,
    cross_trigger_weight=0.5,
)


class SegmentCurve(NamedTuple):
    """Precision over recall of one class's segments, and its area."""

    curve: Curve
    average_precision: float


def psds(
    frame_scores: Sequence[np.ndarray],
    truth_events: Sequence[Sequence[tuple]],
    clip_seconds: float | Sequence[float],
    scenario: Scenario = REACT_FAST,
    hop_seconds: float = 0.1,
) -> float:
    """Return the polyphonic sound detection score, in [0, 1].

    >>> scores = np.zeros((100, 1))
    >>> scores[20:50] = 0.9
    >>> round(psds([scores], [[(0, 2.0, 5.0)]], clip_seconds=10.0), 6)
    1.0
    """
    inputs = _inputs(frame_scores, truth_events, clip_seconds, hop_seconds)
    if inputs is None:
        return 0.0
    # One class cannot be confused with another, and sed_scores_eval fails where it is asked to be.
    alone = len({event[0] for events in truth_events for event in events}) == 1
    score, *_ = _sed_scores_eval().intersection_based.psds(
        *inputs,
        dtc_threshold=scenario.detection_tolerance,
        gtc_threshold=scenario.truth_tolerance,
        cttc_threshold=None if alone else scenario.cross_trigger_tolerance,
        alpha_ct=0.0 if alone else scenario.cross_trigger_weight,
        alpha_st=scenario.instability_weight,
        max_efpr=scenario.max_false_per_hour,
    )
    return float(score)


def segment_curves(
    frame_scores: Sequence[np.ndarray],
    truth_events: Sequence[Sequence[tuple]],
    clip_seconds: float | Sequence[float],
    segment_seconds: float = 1.0,
    hop_seconds: float = 0.1,
) -> dict[int, SegmentCurve]:
    """Return, for each class that occurs, precision over recall of its segments by falling score.

    A segment's score is the highest of its frames.

    >>> scores = np.zeros((30, 1))
    >>> scores[20:] = 0.9
    >>> segment_curves([scores], [[(0, 2.0, 3.0)]], clip_seconds=3.0)[0].average_precision
    1.0
    """
    inputs = _inputs(frame_scores, truth_events, clip_seconds, hop_seconds)
    if inputs is None:
        return {}
    areas, curves = _sed_scores_eval().segment_based.average_precision(
        *inputs, segment_length=segment_seconds
    )
    return {
        int(name): SegmentCurve(Curve(precision, recall), float(areas[name]))
        for name, (precision, recall, *_) in curves.items()
    }


def write_frame_scores(
    folder: str | os.PathLike,
    ids: Sequence[str],
    labels: Sequence[str],
    frame_scores: Sequence[np.ndarray],
    hop_seconds: float = 0.1,
) -> None:
    """Write the frame scores of clips into a folder, whole or not at all.

    frame_scores: one array a clip, `(time, classes)`, a row every `hop_seconds`. Raises InputError
    for a clip without frames, two clips of one name, and names of classes that the form cannot hold
    (a backslash, twice the same).

    >>> import tempfile
    >>> folder = os.path.join(tempfile.mkdtemp(), "scores")
    >>> write_frame_scores(folder, ["a"], ["Dog"], [np.float32([[0.25], [0.5]])])
    >>> print(open(os.path.join(folder, "a.tsv")).read().replace("\\t", " "), end="")
    onset offset Dog
    0.0 0.1 0.25
    0.1 0.2 0.5
    """
    names = [file_stem(clip) for clip in ids]
    if len(ids) != len(frame_scores):
        raise InputError(f"frame scores: those of {len(frame_scores)} clips for {len(ids)} names")
    if len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise InputError(f"frame scores: the clip {twice!r} comes twice; each needs its own name")
    for label in labels:
        if "\\" in label or list(labels).count(label) > 1 or label in ("onset", "offset"):
            raise InputError(f"frame scores: a column cannot be named {label!r}; rename the class")
    with atomic_path(folder) as part:
        part.mkdir()
        for clip, name, scores in zip(ids, names, frame_scores, strict=True):
            scores = checks.as_scores(scores, f"frame scores of {clip}", np.shape(scores))
            if scores.ndim != 2 or not len(scores) or scores.shape[1] != len(labels):
                raise InputError(f"frame scores of {clip}: {scores.shape} for {len(labels)} labels")
            times = frame_times(len(scores), hop_seconds)
            with open(part / f"{name}.tsv", "w", encoding="utf-8", newline="") as file:
                writer = csv.writer(file, delimiter="\t", lineterminator="\n")
                writer.writerow(["onset", "offset", *labels])
                for t, row in enumerate(scores.astype(np.float32)):
                    writer.writerow([times[t], times[t + 1], *map(str, row)])


def frame_times(n_frames: int, hop_seconds: float) -> np.ndarray:
    """Return the onset of every frame and the offset of the last: float64 `(n_frames + 1,)`.

    Rounded, so that 0.1 s hops do not end at 0.30000000000000004 s.

    >>> frame_times(3, 0.1).tolist()
    [0.0, 0.1, 0.2, 0.3]
    """
    if hop_seconds <= 0:
        raise InputError(f"hop_seconds: {hop_seconds} is no duration; it is 0.1 for 10 Hz")
    return np.round(np.arange(n_frames + 1) * hop_seconds, 6)


def file_stem(clip: str) -> str:
    """Return a clip's name as a file's: it stays inside the folder, and is not too long.

    >>> file_stem("-5QrBL6MzLg_60.000_70.000"), file_stem("../dogs/a 1%")
    ('-5QrBL6MzLg_60.000_70.000', '%2E.%2Fdogs%2Fa 1%25')
    """
    stem = clip.replace("%", "%25").replace("/", "%2F").replace("\\", "%5C").replace("\0", "%00")
    if stem.startswith("."):
        stem = "%2E" + stem[1:]
    encoded = os.fsencode(stem)
    if len(encoded) > LONGEST_NAME_BYTES:
        digest = hashlib.sha256(encoded).hexdigest()[:16]
        stem = encoded[: LONGEST_NAME_BYTES - 17].decode(errors="ignore") + "-" + digest
    return stem


def _inputs(frame_scores, truth_events, clip_seconds, hop_seconds):
    """Return sed_scores_eval's scores, truth and durations; None where the truth has no event."""
    n_clips = len(truth_events)
    if len(frame_scores) != n_clips:
        raise InputError(f"frame scores: of {len(frame_scores)} clips, {n_clips} in the truth")
    durations = np.broadcast_to(np.asarray(clip_seconds, np.float64), (n_clips,)).tolist()
    n_classes = {np.shape(scores)[-1] for scores in frame_scores if np.ndim(scores) == 2}
    if len(n_classes) != 1 and n_clips:
        raise InputError("frame scores: each clip needs (time, classes), with the same classes")
    present = sorted({event[0] for events in truth_events for event in events})
    if not present:
        warnings.warn("the truth holds no event; every figure is 0", stacklevel=3)
        return None
    if not 0 <= present[0] <= present[-1] < n_classes.pop():
        raise InputError("truth: an event's label is none of the classes of the frame scores")
    create = _sed_scores_eval().base_modules.scores.create_score_dataframe
    names = [str(c) for c in present]
    scores, truth = {}, {}
    for i, (of_clip, events) in enumerate(zip(frame_scores, truth_events, strict=True)):
        of_clip = checks.as_probabilities(of_clip, f"frame scores of clip {i}", np.shape(of_clip))
        if not len(of_clip) or durations[i] <= 0:
            raise InputError(f"frame scores of clip {i}: it has no frames or no duration")
        times = frame_times(len(of_clip), hop_seconds)
        scores[str(i)] = create(of_clip[:, present].astype(np.float64), times, names)
        truth[str(i)] = _joined(events)
    return scores, truth, {str(i): seconds for i, seconds in enumerate(durations)}


def _joined(events: Sequence[tuple]) -> list[tuple[float, float, str]]:
    """Return `(onset, offset, label)` in which events of one class that touch are one."""
    joined: list[list] = []
    for label, onset, offset in sorted(event[:3] for event in events):
        if not 0 <= onset < offset:
            raise InputError(f"truth: an event from {onset} to {offset} s has no duration")
        if joined and joined[-1][2] == str(label) and onset <= joined[-1][1]:
            joined[-1][1] = max(joined[-1][1], offset)
        else:
            joined.append([float(onset), float(offset), str(label)])
    return [tuple(event) for event in joined]


def _sed_scores_eval():
    return checks.quiet_import("sed_scores_eval", "PSDS", "0.0.4")
