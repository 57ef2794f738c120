"""What the training scripts leave: figures with intervals, a page a system, report.json."""

import argparse
import json
import pathlib

import tabulate
from corpus import Corpus
from held_out import Asked

from mmat import __version__
from mmat.cli.common import on_terminal
from mmat.errors import atomic_path
from mmat.evaluation import Evaluation, evaluate
from mmat.metrics.by_task import NO_SHARES
from mmat.metrics.tables import write_tags_tsv, write_truth_tsv
from mmat.metrics.thresholds import fire
from mmat.models.bundle import Bundle
from mmat.report import figures
from mmat.report.folder import write_evaluation
from mmat.report.text import shown

RESAMPLES = 1000


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


def ranked(corpus: Corpus, name: str, bundle: Bundle, split: str, out: pathlib.Path) -> dict:
    """Measure a system on a split of any size, a few clips in memory at a time.

    Leaves predictions and truth as tables in OUT/report/NAME-SPLIT, and returns the figures of
    `mmat.report.figures`.
    """
    print(f"== {name} on {split}", flush=True)
    ids, truth, scores, _ = Asked(bundle.model, corpus, split).all()
    fired, names = fire(scores, bundle.thresholds), bundle.labels.names
    folder = out / "report" / f"{name}-{split}"
    folder.mkdir(parents=True, exist_ok=True)
    write_tags_tsv(folder / "predictions.tsv", ids, names, fired, scores)
    write_truth_tsv(folder / "truth.tsv", ids, names, truth)
    return {
        "clips": len(ids),
        **figures.headline(truth, fired, scores, None, RESAMPLES),
        "per_class": figures.classes(truth, fired, scores, bundle.thresholds, names),
    }


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


def table(rows: dict[str, dict], columns: tuple[str, ...]) -> str:
    """Return figures, a row a system, as a table; with intervals where there are.

    All is in per cent, but for a mean absolute error and a correlation.
    """
    body = [[name, *(_cell(of, column) for column in columns)] for name, of in rows.items()]
    if set(columns).isdisjoint(NO_SHARES):
        return tabulate.tabulate(body, ["%", *columns], disable_numparse=True)
    head = [column + ("" if column in NO_SHARES else ", %") for column in columns]
    return tabulate.tabulate(body, ["", *head], disable_numparse=True)


def _cell(of: dict, column: str) -> str:
    if of.get(column) is None:
        return ""
    ends = of.get("intervals", {}).get("clips", {}).get(column)
    between = " [{}, {}]".format(*(shown(column, ends[x]) for x in ("low", "high"))) if ends else ""
    return f"{shown(column, of[column])}{between}"


def gain_line(gain: dict, name: str = "f1") -> str:
    """Return the fusion's gain over audio in a figure in words."""
    of_scale, title = name in NO_SHARES, name.upper()
    scale, decimals, unit = (1, 3, title) if of_scale else (100, 1, f"points of {title}")
    own = gain[name]
    estimate, low, high = (f"{scale * own[x]:+.{decimals}f}" for x in ("estimate", "low", "high"))
    above = own["share_above_zero"]
    # Of an error less is better.
    side, share = ("below", 1 - above) if name == "mae" else ("above", above)
    return (
        f"fused over audio: {estimate} {unit}, 95 % interval {low} to {high}, {side} 0 in "
        f"{100 * share:.1f} % of draws"
    )
