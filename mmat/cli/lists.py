"""`mmat lists`: what clip lists hold, and which of their media are there."""

import argparse
import dataclasses
import json
import os

from mmat.cli.common import SHOWN_ROWS, add_command, add_labels, add_max_seconds, log, read_lists
from mmat.files import InputError


def add(commands) -> None:
    """Add the command to the parser's."""
    command = add_command(commands, "lists", "say what clip lists hold: clips, hours, labels", run)
    command.add_argument(
        "files",
        metavar="FILE",
        nargs="+",
        help="a list of DCASE 2017 task 4 or AudioSet, weak or strong truth, your own CSV, or a "
        "table of Raven, Kaleidoscope, BirdNET-Analyzer, Audacity or warbleR; several are read as "
        "one",
    )
    add_labels(command, "those that count (default: the lists' own)")
    command.add_argument("--events", metavar="TSV", help="strong times of the clips' events")
    command.add_argument("--split", metavar="NAME", help="the split of every clip")
    command.add_argument("--media", metavar="DIR", help="count what is found here and what is not")
    command.add_argument("--strict", action="store_true", help="stop at the first wrong row")
    add_max_seconds(command)
    command.add_argument("--json", action="store_true", help="print JSON instead of tables")
    command.add_argument("--plot", metavar="FILE", help="draw clips a class (.png, .pdf, .svg)")


def run(arguments: argparse.Namespace) -> int:
    """Run the command and return its exit status."""
    if arguments.plot:
        _check_plot(arguments.plot)
    from mmat.lists.summary import summarise
    from mmat.media.find import MediaFolder

    media = MediaFolder(arguments.media) if arguments.media else None
    read = read_lists(arguments, arguments.files)
    if read.dropped[SHOWN_ROWS:]:
        log("dropped", f"and {len(read.dropped) - SHOWN_ROWS} more rows")
    summary = summarise(read, media)
    if media:
        _doubts(media, summary.media)
    if arguments.plot:
        _plot(arguments.plot, summary, arguments.files)
    if arguments.json:
        print(json.dumps(_as_json(summary, read.dropped), ensure_ascii=False, allow_nan=False))
    else:
        print(_as_text(summary, len(read.dropped)))
    return 0


def _doubts(media, count) -> None:
    """Warn of files that cannot be what they are taken for, and say what is no media file."""
    from mmat.media.folder import left_out_line

    if count.ways.doubt():
        log("warning", count.ways.doubt())
    if count.missing and media.left_out:
        log("media", f"{media.folder}: {left_out_line(media.left_out)}")


def _check_plot(path: str) -> None:
    from mmat.plots.lists import plot_format

    plot_format(path)
    if os.path.isdir(path):
        raise InputError(f"{path}: is a folder; name a file for the plot")


def _plot(path: str, summary, files: list[str]) -> None:
    from mmat.plots.lists import plot_list

    title = ", ".join(os.path.basename(file) for file in files)
    plot_list(path, summary.labels, summary.media and summary.media.found_by_label, title)


def _as_json(summary, dropped) -> dict:
    report = {
        "clips": summary.clips,
        "hours": round(summary.hours, 6),
        "labels": summary.labels,
        "labels_by_split": summary.labels_by_split,
        "labels_per_clip": {str(n): clips for n, clips in summary.labels_per_clip.items()},
        "dropped": len(dropped),
        "splits": summary.splits,
        "clips_without_length": summary.without_length,
        "dropped_rows": [row._asdict() for row in dropped],
    }
    if summary.media:
        count = dataclasses.asdict(summary.media)
        found, missing = count.pop("found_by_label"), count.pop("missing_by_label")
        count["ways"] = {way.value: clips for way, clips in count.pop("ways").clips.items()}
        count["labels"] = {
            name: {"found": found[name], "missing": missing[name]} for name in summary.labels
        }
        report["media"] = count
    return report


def _as_text(summary, n_dropped: int) -> str:
    import tabulate

    media = summary.media
    unknown = summary.without_length
    facts = [("clips", f"{summary.clips:,}"), ("hours", f"{summary.hours:,.2f}")]
    if unknown:
        facts.append(("of unknown length", f"{unknown:,} (not in the hours)"))
    facts += [(f"split {split}", f"{clips:,}") for split, clips in summary.splits.items()]
    facts.append(("rows dropped", f"{n_dropped:,}"))
    by_split = summary.labels_by_split if len(summary.splits) > 1 else {}
    head = ["label", "clips", *by_split]
    rows = [
        [name, f"{clips:,}", *(f"{of_split[name]:,}" for of_split in by_split.values())]
        for name, clips in summary.labels.items()
    ]
    if media:
        facts.append(("media found", f"{media.found:,}"))
        facts += [(f"  {words}", f"{clips:,}") for words, clips in media.ways.told()]
        facts.append(("media missing", f"{media.missing:,}"))
        head += ["found", "missing"]
        for row in rows:
            row += [f"{media.found_by_label[row[0]]:,}", f"{media.missing_by_label[row[0]]:,}"]
    per_clip = [(n, f"{clips:,}") for n, clips in summary.labels_per_clip.items()]
    names_left = ("left", *["right"] * (len(head) - 1))
    return "\n\n".join(
        [
            tabulate.tabulate(facts, tablefmt="plain", disable_numparse=True),
            tabulate.tabulate(rows, head, disable_numparse=True, colalign=names_left),
            tabulate.tabulate(
                per_clip, ["labels a clip", "clips"], disable_numparse=True, colalign=["right"] * 2
            ),
        ]
    )
