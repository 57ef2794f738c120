"""DCASE 2017 task 4 as its official scorers count it, from the challenge's own files, in per cent.

Conventions
-----------
Every score is a dict `{"micro": {…}, "class_based": {…}, "per_class": {label: {…}}}` of per cent.
A fraction without a denominator is 0.

Metrics
-------
- `score_tagging`: subtask A. Micro precision, recall and F1 over pooled labels rank systems.
- `score_events`: subtask B. Error rate and F1 over segments of one second, by sed_eval.

What is peculiar to the official figure of subtask A
----------------------------------------------------
Only clips that the prediction names count: a missing one adds no miss. Clips unknown to the truth
are ignored. Rows of four columns that end at 0 s are dropped. A label that is predicted twice for
one clip is one hit and one false alarm in the micro figure, one hit in the class-based one, and a
false alarm each time where it is wrong. `class_based` is the mean precision and the mean recall
over the classes that occur in either file, and the F1 of these two means. A label that the truth
does not know is a false alarm and a class of its own. `strict` counts every clip of the truth.

Source: the published behaviour of the challenge's scorers, held to their golden values in tests.
"""

import os
import warnings
from collections import Counter

from mmat.errors import InputError
from mmat.labels import LabelSet
from mmat.metrics.events import class_segments, micro_segments, segment_counts
from mmat.metrics.official_files import Row, read_rows


def score_tagging(
    truth_path: str | os.PathLike,
    prediction_path: str | os.PathLike,
    strict: bool = False,
    labels: LabelSet | None = None,
) -> dict[str, dict]:
    """Return subtask A's figures of a prediction file.

    strict: clips of the truth that the prediction leaves out count as predicted to have no label.
    labels: refuse every other label in either file. Raises InputError for files that are wrong,
    and where they have no clip in common.
    """
    truth, predicted = _read(truth_path, prediction_path, labels)
    true_labels, predicted_labels = _labels_of(truth, strict), _labels_of(predicted, False)
    _need_common(true_labels, predicted_labels, truth_path, prediction_path)
    _warn_of_unknown(truth, predicted, prediction_path)
    clips = true_labels if strict else [clip for clip in predicted_labels if clip in true_labels]
    micro, by_class = Counter(), {}
    for clip in clips:
        true, found = true_labels[clip], predicted_labels.get(clip, Counter())
        hits = (true & found).total()
        micro.update(hits=hits, false=found.total() - hits, missed=true.total() - hits)
        for label in true | found:
            outcome = "false" if label not in true else "hits" if label in found else "missed"
            rows = found[label] if outcome == "false" else true[label]
            by_class.setdefault(label, Counter())[outcome] += rows
    per_class = {label: _figures(by_class[label]) for label in sorted(by_class)}
    means = [
        sum(figures[name] for figures in per_class.values()) / max(len(per_class), 1)
        for name in ("precision", "recall")
    ]
    return {
        "micro": _figures(micro),
        "class_based": dict(zip(("precision", "recall", "f1"), _with_f1(*means), strict=True)),
        "per_class": per_class,
    }


def score_events(
    truth_path: str | os.PathLike,
    prediction_path: str | os.PathLike,
    labels: LabelSet | None = None,
    segment_seconds: float = 1.0,
) -> dict[str, dict]:
    """Return subtask B's figures: error rate, precision, recall and F1 over segments.

    The classes are those of the truth; clips that it does not name are ignored, each clip lasts to
    its last event in either file. Raises InputError as `score_tagging`, for a label that the truth
    does not have, and without sed_eval.
    """
    truth, predicted = _read(truth_path, prediction_path, labels)
    clips = dict.fromkeys(row.clip for row in truth)
    _need_common(clips, {row.clip for row in predicted}, truth_path, prediction_path)
    sounding = [row for row in truth if row.label and row.end_seconds > 0]
    if not sounding:
        raise InputError(f"{truth_path}: no row has an event; subtask B needs strong labels")
    names = sorted({row.label for row in sounding})
    known = set(names)
    for row in predicted:
        if row.label and row.label not in known:
            where = f"{prediction_path}:{row.line}"
            raise InputError(f"{where}: unknown label {row.label!r}; the truth has no such event")
    counts = segment_counts(
        _events_of(sounding, clips, names, truth_path),
        _events_of(predicted, clips, names, prediction_path),
        len(names),
        None,
        segment_seconds,
    )
    per_class = dict(zip(names, class_segments(counts), strict=True))
    means = [sum(column) / len(names) for column in zip(*per_class.values(), strict=True)]
    return {
        "micro": _percent(micro_segments(counts)),
        "class_based": _percent(next(iter(per_class.values()))._make(means)),
        "per_class": {name: _percent(figures) for name, figures in per_class.items()},
    }


def _read(truth_path, prediction_path, labels) -> tuple[list[Row], list[Row]]:
    """Read both files; raises InputError for a label outside `labels`."""
    both = read_rows(truth_path), read_rows(prediction_path)
    for path, rows in zip((truth_path, prediction_path), both, strict=True):
        for row in rows:
            if labels is not None and row.label and row.label not in labels.names:
                known = ", ".join(labels.names[:3])
                raise InputError(
                    f"{path}:{row.line}: unknown label {row.label!r}; it is none of the "
                    f"{len(labels)} of the label set ({known}, …)"
                )
    if not any(row.label for row in both[0]):
        raise InputError(f"{truth_path}: no row has a label, so there is nothing to find")
    return both


def _labels_of(rows: list[Row], keep_inaudible: bool) -> dict[str, Counter]:
    """Return how often each clip has each label; a label that ends at 0 s is not there."""
    labels: dict[str, Counter] = {}
    for row in rows:
        inaudible = bool(row.label) and row.end_seconds == 0
        if inaudible and not keep_inaudible:
            continue
        counts = labels.setdefault(row.clip, Counter())
        if row.label and not inaudible:
            counts[row.label] += 1
    return labels


def _need_common(true_clips, predicted_clips, truth_path, prediction_path) -> None:
    if not any(clip in true_clips for clip in predicted_clips):
        first = next(iter(predicted_clips), "none")
        raise InputError(
            f"{prediction_path}: none of its clips (the first is {first!r}) is in {truth_path}; "
            "are the two of the same set?"
        )


def _warn_of_unknown(truth: list[Row], predicted: list[Row], path) -> None:
    known = {row.label for row in truth} | {""}
    for row in predicted:
        if row.label not in known:
            warnings.warn(
                f"{path}:{row.line}: the truth does not have the label {row.label!r}; it counts as "
                "a false alarm, as do others like it",
                stacklevel=3,
            )
            return


def _events_of(rows: list[Row], clips, names: list[str], path) -> list[list[tuple]]:
    """Return the events of each clip in turn, with the label's position."""
    positions = {name: c for c, name in enumerate(names)}
    events: dict[str, list] = {clip: [] for clip in clips}
    for row in rows:
        if row.label and row.end_seconds > 0 and row.clip in events:
            if row.end_seconds <= row.start_seconds:
                raise InputError(f"{path}:{row.line}: the event has no duration")
            event = (positions[row.label], row.start_seconds, row.end_seconds)
            events[row.clip].append(event)
    return list(events.values())


def _figures(counts: Counter) -> dict[str, float]:
    hits = counts["hits"]
    precision = 100 * hits / max(hits + counts["false"], 1)
    recall = 100 * hits / max(hits + counts["missed"], 1)
    return dict(zip(("precision", "recall", "f1"), _with_f1(precision, recall), strict=True))


def _with_f1(precision: float, recall: float) -> tuple[float, float, float]:
    total = precision + recall
    return precision, recall, 2 * precision * recall / total if total else 0.0


def _percent(figures) -> dict[str, float]:
    return {name: 100 * value for name, value in figures._asdict().items()}
