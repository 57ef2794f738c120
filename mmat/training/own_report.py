"""What a training on own clips found, as `report.json` holds it and as tables to read."""

import dataclasses
import math
import pathlib

import tabulate

from mmat.evaluation.evaluate import Evaluation
from mmat.evaluation.page import as_table, percent
from mmat.models.bundle import Bundle
from mmat.training.learn import Learnt
from mmat.training.own_clips import Source
from mmat.training.review import (
    FEWEST_GROUPS,
    REVIEW_FILE,
    Doubt,
    LabelFigures,
    gain,
    label_figures,
)


@dataclasses.dataclass(frozen=True)
class Trained:
    """A model that was trained on own clips; print it for tables.

    folder: of the model. shards: of the clips that it learnt from. report: what its `report.json`
    holds. labels: figures a label. unmapped: labels that no name of a pretrained network is near
    to. doubts: labels of training clips to check. test_shards, evaluation: of the test clips and
    on them, None without.
    """

    folder: pathlib.Path
    shards: pathlib.Path
    report: dict
    labels: tuple[LabelFigures, ...]
    unmapped: tuple[str, ...] = ()
    doubts: tuple[Doubt, ...] = ()
    test_shards: pathlib.Path | None = None
    evaluation: Evaluation | None = None

    def __str__(self) -> str:
        return as_text(self)


def figures_of_labels(learnt: Learnt | None, source: Source) -> tuple[LabelFigures, ...]:
    """Return the figures of each label of the clips; without names to learn from, counts alone."""
    names = source.labels.names
    if learnt is not None:
        return label_figures(names, learnt.truth, learnt.untrained, learnt.scores, learnt.groups)
    having = {name: [clip for clip in source.clips if name in clip.labels] for name in names}
    return tuple(
        LabelFigures(name, len(own), len({group for clip in own for group in clip.source_groups}))
        for name, own in having.items()
    )


def report_of(
    learnt: Learnt | None,
    own: tuple[LabelFigures, ...],
    doubts: tuple[Doubt, ...],
    evaluation: Evaluation | None,
    bundle: Bundle,
) -> dict:
    """Return what `report.json` holds; learnt: None where nothing was learnt from names."""
    report = {
        "labels": {each.label: each._asdict() for each in own},
        "validation": bundle.figures,
        "test": evaluation and evaluation.report,
    }
    if learnt is None:
        return report
    found = learnt.truth, learnt.untrained, learnt.scores, learnt.groups
    return report | {
        "mean_average_precision": gain(*found),
        "threshold": float(bundle.thresholds[0]),
        "chosen": _finite(learnt.chosen),
        "doubts": len(doubts),
    }


def _finite(entry):
    """Return an entry with an infinite ridge as the text that JSON has no number for."""
    if isinstance(entry, dict):
        return {str(name): _finite(value) for name, value in entry.items()}
    return entry if math.isfinite(entry) else str(entry)


def as_text(trained: Trained) -> str:
    """Return what a training found: figures by label, on test clips, and what to do next."""
    parts = [_label_table(trained)]
    few = [each.label for each in trained.labels if each.groups < FEWEST_GROUPS]
    if few:
        parts.append(f"too little to learn from (one source, or none): {'; '.join(few)}")
    if pictures := trained.report["validation"].get("pictures"):
        parts.append(f"pictures are {pictures}")
    if trained.unmapped:
        parts.append(f"no name is near to: {'; '.join(trained.unmapped)}")
    if trained.evaluation is not None:
        parts.append(f"test clips\n{as_table(trained.evaluation)}")
    if trained.doubts:
        path = trained.folder / REVIEW_FILE
        parts.append(f"doubted labels: {len(trained.doubts)}, to listen to again: {path}")
    kept = "\n".join(str(each) for each in (trained.shards, trained.test_shards) if each)
    parts.append(f"prepared clips are kept in\n{kept}")
    parts.append(f"mmat tag FILE --model {trained.folder}")
    return "\n\n".join(parts)


def _label_table(trained: Trained) -> str:
    head = ["label", "clips", "groups"]
    if "chosen" not in trained.report:
        rows = [each[:3] for each in trained.labels]
        return tabulate.tabulate(rows, head, disable_numparse=True)
    rows = [
        [each.label, each.clips, each.groups, percent(each.untrained), percent(each.learnt)]
        + [percent(_above(each.untrained, each.learnt), signed=True), each.trust]
        for each in trained.labels
    ]
    whole = trained.report["mean_average_precision"]
    if whole:
        ends = " to ".join(percent(whole[end], signed=True) for end in ("low", "high"))
        means = [percent(whole[name]) for name in ("untrained", "learnt")]
        gained = percent(whole["estimate"], signed=True)
        rows.append(["mean", "", "", *means, f"{gained} ({ends})", ""])
    head += ["untrained", "learnt", "difference", ""]
    title = "average precision on held-out groups, %"
    return f"{title}\n{tabulate.tabulate(rows, head, disable_numparse=True)}"


def _above(first: float | None, second: float | None) -> float | None:
    return None if first is None or second is None else second - first
