"""The report of a training script: figures, a page a system, the better system, report.json."""

import argparse
import json
import pathlib
from collections.abc import Mapping

import mmat
from experiments.figures import gain_line
from experiments.validation import ValidationSet
from mmat.evaluation.evaluate import Evaluation, evaluate
from mmat.evaluation.figures import difference
from mmat.evaluation.files import write_evaluation
from mmat.files import atomic_path
from mmat.metrics.decisions import decide
from mmat.metrics.tagging import figure_names
from mmat.models.bundle import Bundle, save_bundle
from mmat.shards.corpus import Corpus
from mmat.startup import on_terminal


def evaluate_on(
    corpus: Corpus, systems: dict[str, Bundle], split: str, out: pathlib.Path
) -> dict[str, Evaluation]:
    """Measure systems on a split, and leave a report folder of each: OUT/report/NAME-SPLIT."""
    found = {}
    for name, bundle in systems.items():
        print(f"== {name} on {split}", flush=True)
        found[name] = evaluate(bundle, corpus.folder, split, progress=on_terminal())
        folder = out / "report" / f"{name}-{split}"
        write_evaluation(folder, found[name], title=f"{name} on {split}")
    return found


def gain_of(found: dict[str, Evaluation], name: str, over: str) -> dict | None:
    """By how much a system is above another, paired over clips, each with its own thresholds.

    None where one of them was not measured.
    """
    if not {name, over} <= found.keys():
        return None
    first, second = found[over], found[name]
    pair = (first.fired, first.scores), (second.fired, second.scores)
    return difference(second.task, second.truth, *pair)


def is_better(gain: Mapping[str, Mapping], figure: str) -> bool:
    """Whether a gain of a figure is one; of an error less is better."""
    return gain[figure]["estimate"] < 0 if figure == "mae" else gain[figure]["estimate"] > 0


def keep_better(corpus: Corpus, systems: dict[str, Bundle], out: pathlib.Path) -> dict | None:
    """Leave in OUT/auto the better of audio and fused by validation, and say by how much.

    Of equals audio. Returns its name and the paired gain, None without both.
    """
    if not {"audio", "fused"} <= systems.keys():
        return None
    pair = []
    for name in ("audio", "fused"):
        validation, task = ValidationSet(corpus, systems[name].model), corpus.task
        validation(systems[name].model)
        fired = decide(task, validation.scores, systems[name].thresholds)
        pair.append((fired, validation.scores))
    gain, figure = difference(task, validation.truth, *pair), _main(corpus)
    kept = "fused" if is_better(gain, figure) else "audio"
    save_bundle(out / "auto", systems[kept])
    print(gain_line(gain, figure, "fused over audio on validation"))
    print(f"auto: {kept} is the better one, and kept in {out / 'auto'}")
    return {"auto": kept, "fused_over_audio": gain}


def say_if_lost(found: dict[str, Evaluation], corpus: Corpus) -> None:
    """Say so where no trained system is better than the untrained one."""
    figure = _main(corpus)
    gains = {name: gain_of(found, name, "untrained") for name in found if name != "untrained"}
    if not all(gains.values()) or any(is_better(gain, figure) for gain in gains.values()):
        return
    for name, gain in gains.items():
        print(gain_line(gain, figure, f"{name} over untrained"))
    print(
        "training lost: the labels' names alone do as well or better. Use `mmat tag --labels`, or "
        "learn from names by `mmat train`; this recipe needs more clips, or more passes over them"
    )


def _main(corpus: Corpus) -> str:
    return figure_names(corpus.task)[0]


def write_report(
    out: pathlib.Path, arguments: argparse.Namespace, systems: dict[str, Bundle], measured: dict
) -> None:
    """Write OUT/report.json: what was asked for, and what was measured on each split."""
    settings = {"mmat": mmat.__version__, **vars(arguments)}
    validation = {name: bundle.figures for name, bundle in systems.items()}
    report = {"settings": settings, "validation": validation, **measured}
    with atomic_path(out / "report.json") as part:
        text = json.dumps(report, indent=1, ensure_ascii=False, allow_nan=False)
        part.write_text(text + "\n", encoding="utf-8")
    print(f"\n{out}/report.json; models, TensorBoard and pages lie beside it")
