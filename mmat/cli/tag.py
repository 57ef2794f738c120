"""`mmat tag`: what sounds in files, and when."""

import argparse
import sys

from mmat.cli.common import BAD_INPUT, SOME_FAILED, say
from mmat.errors import InputError, atomic_path

FORMATS = ("table", "json", "csv", "tsv", "audacity")


def add(commands) -> None:
    """Add the command to the parser's."""
    what = "say what sounds in files, and when"
    command = commands.add_parser("tag", help=what, description=what.capitalize() + ".")
    command.add_argument(
        "files",
        metavar="FILE",
        nargs="+",
        help="sound or video of any length, a folder of them, or - for standard input",
    )
    command.add_argument("--model", metavar="DIR", help="an exported model")
    command.add_argument(
        "--labels",
        metavar="LABELS",
        help='without a model: any labels, "Dog;Train horn", a label file, dcase2017 or audioset',
    )
    _add_answers(command)
    _add_rules(command)
    command.set_defaults(run=run)


def _add_answers(command: argparse.ArgumentParser) -> None:
    command.add_argument("--format", choices=FORMATS, default="table", help="(default table)")
    command.add_argument("--out", metavar="FILE", help="write there instead of on the terminal")
    command.add_argument(
        "--explain", action="store_true", help="also what each sense said, and by which names"
    )
    command.add_argument("--plot", metavar="PNG", help="draw the (one) file's frame scores")
    command.add_argument(
        "--frame-scores", metavar="DIR", help="write frame scores as sed_scores_eval reads them"
    )


def _add_rules(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--hop-seconds",
        metavar="S",
        type=float,
        help="from one window to the next (default: half a window; with --live 1)",
    )
    command.add_argument(
        "--median-filter-seconds",
        metavar="S",
        type=float,
        default=0.0,
        help="smooth away events and gaps shorter than half of it",
    )
    command.add_argument(
        "--hysteresis",
        metavar="SHARE",
        type=float,
        default=1.0,
        help="an event lasts while its score is above this share of its threshold (default 1)",
    )
    command.add_argument(
        "--live",
        metavar="HZ",
        type=int,
        help="standard input is 16-bit mono PCM at this rate; tag it as it comes",
    )


def run(arguments: argparse.Namespace) -> int:
    """Run the command and return its exit status."""
    files = _checked(arguments)
    from mmat.serving.load import load
    from mmat.serving.tagger import EventRules

    rules = EventRules(arguments.median_filter_seconds, arguments.hysteresis)

    tagger = load(
        arguments.model, arguments.labels, None if arguments.live else arguments.hop_seconds
    )
    for label in tagger.unmapped:
        say("warning", f"label {label!r}: no sound and no picture has such a name; it never fires")
    if arguments.live:
        return _listen(arguments, tagger)
    from mmat.cli.tag_files import TagFiles

    tagging = TagFiles(tagger, rules, arguments, files)
    text = _form(arguments, len(files) > 1 or files != arguments.files).write(tagging)
    if arguments.out:
        with atomic_path(arguments.out) as part, open(part, "w", encoding="utf-8") as out:
            out.writelines(text)
    else:
        for piece in text:
            print(piece, end="", flush=True)
    if not tagging.failed:
        return 0
    return BAD_INPUT if len(files) == 1 else SOME_FAILED


def _checked(arguments: argparse.Namespace) -> list[str]:
    """Return the files to tag; raises InputError for options that contradict each other."""
    from mmat.cli.tag_files import expanded

    if (arguments.model is None) == (arguments.labels is None):
        raise InputError("name either --model EXPORT, or --labels without a model")
    if arguments.live and arguments.files != ["-"]:
        raise InputError("--live: tags standard input as it comes; name - as the only file")
    if arguments.live and arguments.format not in ("table", "json"):
        raise InputError(f"--live: prints lines or JSON lines, not {arguments.format}")
    files = expanded(arguments.files)
    if len(files) == 1 and files != ["-"]:
        from mmat.data.media import checked

        checked(files[0])  # before the model is loaded, which takes longer
    for option in ("plot", "out", "frame_scores"):
        path = getattr(arguments, option)
        if path:
            _check_target(f"--{option.replace('_', '-')}", path, option == "frame_scores")
    one_only = [("--plot", arguments.plot), ("--format audacity", arguments.format == "audacity")]
    for option, asked in one_only:
        if asked and len(files) > 1:
            raise InputError(f"{option}: is about one file, not {len(files)}")
    return files


def _check_target(option: str, path: str, is_folder: bool) -> None:
    import os

    if is_folder and os.path.exists(path):
        raise InputError(f"{option} {path}: is there already; name a new folder")
    if not is_folder and os.path.isdir(path):
        raise InputError(f"{option} {path}: is a folder; name the file")


def _form(arguments: argparse.Namespace, several: bool):
    from mmat.serving import formats, show

    forms = {
        "table": lambda: show.table_form(arguments.explain),
        "json": lambda: formats.json_form(several, arguments.explain),
        "csv": formats.csv_form,
        "tsv": formats.events_form,
        "audacity": formats.audacity_form,
    }
    return forms[arguments.format]()


def _listen(arguments: argparse.Namespace, tagger) -> int:
    import json

    from mmat.serving.live import listen

    hop_seconds = arguments.hop_seconds or 1.0
    behind = False
    for moment in listen(tagger, sys.stdin.buffer, arguments.live, hop_seconds):
        if arguments.format == "json":
            tags = [{"label": label, "score": score} for label, score in moment.tags]
            line = json.dumps(moment._asdict() | {"tags": tags}, ensure_ascii=False)
        else:
            tags = ", ".join(f"{label} {score:.2f}" for label, score in moment.tags)
            line = f"{moment.seconds:8.1f} s  {tags or '-'}"
        print(line, flush=True)
        if moment.compute_seconds > hop_seconds and not behind:
            behind = True
            seconds = f"{moment.compute_seconds:.2f} s"
            say("warning", f"an answer took {seconds}, longer than the hop; raise --hop-seconds")
    return 0
