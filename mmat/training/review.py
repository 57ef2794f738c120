"""What a learnt tagger makes of its own training clips: figures a label, and labels to check.

All of it rests on scores out of fold: of each clip by weights that had learnt from none of its
sources. A label is doubted where the scores contradict it, the clips with the highest loss first.
"""

import csv
import pathlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from mmat.labels import FRAME_HZ, MULTI_LABEL, Task
from mmat.metrics.bootstrap import paired_difference
from mmat.metrics.calibration import cross_entropies
from mmat.metrics.decisions import decide
from mmat.metrics.tagging import average_precision, mean_average_precision

NOT_HEARD, NOT_LABELLED = "labelled, but not heard", "heard, but not labelled"
SURE = 0.5
LEAST_DOUBTS, SHARE_OF_DOUBTS = 10, 0.05  # of all clips
FEWEST_GROUPS, FEW_GROUPS = 2, 5  # held out: with fewer nothing is measured, or little is sure
NOT_MEASURED, UNSURE = "not measured", "few groups"
REVIEW_FILE, REVIEW_FOLDER = "review.csv", "review"


class LabelFigures(NamedTuple):
    """How well a label is told from the others, out of fold; None where that is not known.

    clips, groups: how many have the label; untrained, learnt: average precision; trust: empty,
    or why not to trust the figures.
    """

    label: str
    clips: int
    groups: int
    untrained: float | None = None
    learnt: float | None = None
    trust: str = ""


class Doubt(NamedTuple):
    """A label of a clip to check: the seconds of its file, and what the model holds against it."""

    file: str
    label: str
    doubt: str
    score: float
    start_seconds: float
    end_seconds: float
    source_group: str


def label_figures(
    names: Sequence[str], truth, untrained, learnt, groups: Sequence[tuple[str, ...]]
) -> tuple[LabelFigures, ...]:
    """Return the figures of each label, in the label set's order.

    truth: bool, untrained, learnt: scores, NaN where there are none, all `(clips, classes)`;
    groups: the source groups of each clip.

    >>> truth = np.array([[True], [False], [True]])
    >>> label_figures(["Dog"], truth, truth * 0.5, truth * 1.0, [("a",), ("b",), ("c",)])
    (LabelFigures(label='Dog', clips=2, groups=2, untrained=1.0, learnt=1.0, trust='few groups'),)
    """
    found = []
    for c, name in enumerate(names):
        has, known = truth[:, c], np.isfinite(learnt[:, c]) & np.isfinite(untrained[:, c])
        counts = int(has.sum()), _count_groups(has, groups)
        held_out = _count_groups(has & known, groups)
        if held_out < FEWEST_GROUPS:
            found.append(LabelFigures(name, *counts, trust=NOT_MEASURED))
            continue
        own = (float(average_precision(has[known], x[known, c])) for x in (untrained, learnt))
        trust = UNSURE if held_out < FEW_GROUPS else ""
        found.append(LabelFigures(name, *counts, *own, trust=trust))
    return tuple(found)


def _count_groups(clips: np.ndarray, groups: Sequence[tuple[str, ...]]) -> int:
    """Return how many sources some clips are of; a clip of several counts once."""
    rows = np.flatnonzero(clips)
    return min(len(rows), len({group for row in rows for group in groups[row]}))


def gain(truth, untrained, learnt, groups: Sequence[tuple[str, ...]]) -> dict | None:
    """Return the mean average precision of both, and the difference with its 95 % interval.

    Arguments as of `label_figures`. Measured are the labels that it measures, on the clips that
    could be held out for all of them; None where those are fewer than half. Returns `untrained`,
    `learnt`, and `estimate`, `low`, `high` of the difference, paired over source groups.
    """
    measured = label_figures(range(truth.shape[1]), truth, untrained, learnt, groups)
    columns = [each.label for each in measured if each.learnt is not None]
    rows = np.isfinite(learnt[:, columns]).all(axis=1)
    if not columns or 2 * rows.sum() < len(rows):
        return None
    truth, untrained, learnt = (x[rows][:, columns] for x in (truth, untrained, learnt))
    own = [group for group, is_known in zip(groups, rows, strict=True) if is_known]
    pair = [(truth, scores) for scores in (untrained, learnt)]  # no decision is measured
    found = paired_difference(truth, *pair, own)["mean_average_precision"]._asdict()
    means = [float(mean_average_precision(truth, scores)) for scores in (untrained, learnt)]
    return {"untrained": means[0], "learnt": means[1]} | found


def doubted(task: Task, truth, scores, thresholds) -> list[tuple[int, int]]:
    """Return (row, class) of the labels to check, those with the highest loss first.

    truth: bool, scores: out of fold, NaN where there are none, both `(clips, classes)`. Doubted is
    a label that is not decided where another is; one that scores below `SURE` and below a decided
    label that the clip lacks; and, where a clip may have several, a missing one that is decided
    and scores `SURE`. There are at most 10, or a twentieth of the clips.

    >>> truth = np.array([[True, False], [True, False]])
    >>> doubted(MULTI_LABEL, truth, np.float32([[0.9, 0.1], [0.1, 0.8]]), [0.5, 0.5])
    [(1, 0), (1, 1)]
    """
    is_known = np.isfinite(scores)
    scores = np.where(is_known, scores, 0.0).astype(np.float32)
    decides = decide(task, scores, thresholds)
    rival = np.where(decides & ~truth, scores, 0).max(axis=1, keepdims=True)
    doubts = truth & ~decides & decides.any(axis=1, keepdims=True)
    doubts |= truth & (scores < np.minimum(rival, SURE))
    if task == MULTI_LABEL:
        doubts |= ~truth & decides & (scores >= SURE)
    losses = np.where(doubts & is_known, cross_entropies(truth, scores), -np.inf)
    most = max(LEAST_DOUBTS, int(SHARE_OF_DOUBTS * len(truth)))
    order = np.argsort(-losses, axis=None, kind="stable")[:most]
    places = zip(*(x.tolist() for x in np.unravel_index(order, losses.shape)), strict=True)
    return [place for place in places if np.isfinite(losses[place])]


def moment(frame_scores: np.ndarray) -> tuple[float, float]:
    """Return from when to when a label scores highest, in seconds.

    frame_scores: `(time,)` at 10 Hz. It is the stretch around the highest frame in which scores
    are at least half of it.

    >>> moment(np.float32([0.1, 0.4, 0.6, 0.1]))
    (0.1, 0.3)
    """
    best = int(np.argmax(frame_scores))
    below = np.flatnonzero(frame_scores < frame_scores[best] / 2)
    start = below[below < best].max(initial=-1) + 1
    end = below[below > best].min(initial=len(frame_scores))
    return float(start / FRAME_HZ), float(end / FRAME_HZ)


def write_review(folder: pathlib.Path, doubts: Sequence[Doubt]) -> None:
    """Write `review.csv`, a row a doubt, and `review/FILE.txt` of each file: labels of Audacity."""
    with open(folder / REVIEW_FILE, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(Doubt._fields)
        for doubt in doubts:
            times = f"{doubt.start_seconds:.1f}", f"{doubt.end_seconds:.1f}"
            score = f"{doubt.score:.3f}"
            writer.writerow([*doubt[:3], score, *times, doubt.source_group])
    tracks: dict[str, list[str]] = {}
    for doubt in doubts:
        times = f"{doubt.start_seconds:.6f}\t{doubt.end_seconds:.6f}"
        label = " ".join(f"{doubt.label} ({doubt.doubt})".split())
        tracks.setdefault(doubt.file, []).append(f"{times}\t{label}\n")
    for name, lines in tracks.items():
        path = folder / REVIEW_FOLDER / f"{name}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(lines), encoding="utf-8")
