"""What the training scripts leave: figures with intervals, a page a system, report.json."""

import argparse
import json
import pathlib

from corpus import Corpus

from mmat import __version__
from mmat.evaluation.evaluate import Evaluation, evaluate, figures
from mmat.evaluation.files import write_evaluation
from mmat.files import atomic_path
from mmat.models.bundle import Bundle
from mmat.startup import on_terminal


def evaluated(
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


def fused_over_audio(found: dict[str, Evaluation]) -> dict | None:
    """By how much the fusion is above audio, paired over clips, each with its own thresholds."""
    if not {"audio", "fused"} <= found.keys():
        return None
    audio, fused = found["audio"], found["fused"]
    pair = (audio.fired, audio.scores), (fused.fired, fused.scores)
    return figures.difference(fused.task, fused.truth, *pair)


def write_report(
    out: pathlib.Path, arguments: argparse.Namespace, systems: dict[str, Bundle], measured: dict
) -> None:
    """Write OUT/report.json: what was asked for, and what was measured on each split."""
    settings = {"mmat": __version__, **vars(arguments)}
    held_out = {name: bundle.figures for name, bundle in systems.items()}
    report = {"settings": settings, "validation": held_out, **measured}
    with atomic_path(out / "report.json") as part:
        text = json.dumps(report, indent=1, ensure_ascii=False, allow_nan=False)
        part.write_text(text + "\n", encoding="utf-8")
    print(f"\n{out}/report.json; models, TensorBoard and pages lie beside it")
