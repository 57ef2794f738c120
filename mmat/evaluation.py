"""A trained model against the truth of a split: figures, and the tables they can be redone from."""

import dataclasses
import json
import os
import pathlib

import numpy as np
import tabulate
import tqdm

from mmat.data.datasets import MODEL_INPUTS, load_split, read_arrays
from mmat.data.shards import read_index
from mmat.errors import InputError, atomic_path
from mmat.metrics.tables import write_tags_tsv, write_truth_tsv
from mmat.metrics.tagging import (
    best_constant,
    mean_average_precision,
    per_class,
    precision_recall_f1,
)
from mmat.metrics.thresholds import fire
from mmat.models.bundle import Bundle
from mmat.training import predict

CLIPS_A_STEP = 32


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """A model's answers to the clips of a split, and its figures.

    ids: one a clip; truth, fired: bool, scores: float32, all `(clips, classes)`. report: micro
    `precision`, `recall` and `f1`, `mean_average_precision`, `per_class` figures by label and
    `best_constant`, what the best fixed answer reaches (None without a validation split).
    """

    ids: list[str]
    labels: tuple[str, ...]
    truth: np.ndarray
    fired: np.ndarray
    scores: np.ndarray
    report: dict


def evaluate(
    bundle: Bundle, shards_folder: str | os.PathLike, split: str = "test", progress: bool = True
) -> Evaluation:
    """Let a model answer a split of prepared clips, and measure its decisions.

    A clip without what the model needs scores 0. The best constant answer is chosen on the split
    `validation` if there is one. Raises InputError for shards with other labels, without the
    probabilities that the model looks at, or damaged.
    """
    index = read_index(shards_folder)
    _check_fit(bundle, shards_folder, index)
    arrays = read_arrays(shards_folder, split)
    truth = arrays["weak_labels"] > 0
    scores = _clip_scores(bundle, arrays, progress)
    fired = fire(scores, bundle.thresholds)
    classes = zip(bundle.labels.names, per_class(truth, fired), truth.sum(axis=0), strict=True)
    report = {
        "split": split,
        "clips": len(truth),
        **precision_recall_f1(truth, fired)._asdict(),
        "mean_average_precision": mean_average_precision(truth, scores),
        "best_constant": _best_constant(shards_folder, index, truth),
        "per_class": {name: prf._asdict() | {"clips": int(n)} for name, prf, n in classes},
    }
    return Evaluation(arrays["ids"], bundle.labels.names, truth, fired, scores, report)


def _clip_scores(bundle: Bundle, arrays: dict, progress: bool) -> np.ndarray:
    inputs = {name: arrays[name] for name in MODEL_INPUTS}
    starts = range(0, len(arrays["ids"]), CLIPS_A_STEP)
    scores = []
    for start in tqdm.tqdm(starts, "evaluate", unit=" steps", disable=not progress):
        step = {name: values[start : start + CLIPS_A_STEP] for name, values in inputs.items()}
        scores.append(predict(bundle.model, step)["clip"])
    return np.concatenate(scores)


def write_evaluation(folder: str | os.PathLike, evaluation: Evaluation) -> None:
    """Write `report.json`, `predictions.tsv` and `truth.tsv` into a folder, each of them whole."""
    folder, e = pathlib.Path(folder), evaluation
    folder.mkdir(parents=True, exist_ok=True)
    write_tags_tsv(folder / "predictions.tsv", e.ids, e.labels, e.fired, e.scores)
    write_truth_tsv(folder / "truth.tsv", e.ids, e.labels, e.truth)
    with atomic_path(folder / "report.json") as part:
        part.write_text(json.dumps(e.report, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _check_fit(bundle: Bundle, shards_folder: str | os.PathLike, index: dict) -> None:
    if tuple(index["labels"]) != bundle.labels.names:
        raise InputError(
            f"{shards_folder}: its labels are not those of the model; prepare the clips with the "
            "model's labels.csv"
        )
    if "image_probabilities" not in bundle.model.input:
        return
    if index["image_network"] != bundle.image_network:
        raise InputError(
            f"{shards_folder}: its pictures went through {index['image_network'] or 'no network'}, "
            f"the model looks through {bundle.image_network}; prepare the clips with that"
        )


def _best_constant(shards_folder, index: dict, truth: np.ndarray) -> dict | None:
    """Return micro figures on `truth` of the fixed answer that is best on the validation split."""
    if "validation" not in index["splits"]:
        return None
    clips = load_split(shards_folder, "validation", inputs=("has_audio",))
    validation = np.stack([weak_labels for _, weak_labels in clips.as_numpy_iterator()]) > 0
    return best_constant(validation, truth).test._asdict()


def as_table(evaluation: Evaluation) -> str:
    """Return the figures in percent as text: the whole, the best constant answer, each class."""
    report = evaluation.report
    names = ("f1", "precision", "recall")
    rows = [["all, micro", *(report[name] for name in names), report["clips"]]]
    if report["best_constant"]:
        rows.append(["best constant", *(report["best_constant"][name] for name in names), ""])
    for label, figures in report["per_class"].items():
        rows.append([label, *(figures[name] for name in names), figures["clips"]])
    shown = [[label, *(f"{100 * x:.1f}" for x in xs), n] for label, *xs, n in rows]
    head = [f"{report['split']}, %", "F1", "precision", "recall", "clips"]
    table = tabulate.tabulate(shown, head, disable_numparse=True)
    return f"{table}\n\nmean average precision: {100 * report['mean_average_precision']:.1f} %"
