"""`mmat score`: the challenge's official figures, from its own files."""

import argparse
import json

from mmat.cli.common import add_command, add_labels, add_max_seconds, label_set
from mmat.files import InputError


def add(commands) -> None:
    """Add the command to the parser's."""
    what = "score a prediction file as DCASE 2017 task 4 does"
    command = add_command(commands, "score", what, run, "Prints JSON, in per cent.")
    command.add_argument(
        "--task", choices=["tagging", "events"], required=True, help="subtask A or subtask B"
    )
    rows = "rows of file, start, end, label, or any list of events (see docs/data.md)"
    command.add_argument("--truth", metavar="FILE", required=True, help=rows)
    command.add_argument("--prediction", metavar="FILE", required=True, help=rows)
    command.add_argument(
        "--strict", action="store_true", help="count clips that the prediction leaves out (tagging)"
    )
    add_labels(command, "others are refused")
    add_max_seconds(command)


def run(arguments: argparse.Namespace) -> int:
    """Run the command and return its exit status."""
    from mmat.labels import MULTI_LABEL
    from mmat.lists.read import MachineIds
    from mmat.metrics.official import score_events, score_tagging

    labels = label_set(arguments)
    if labels is not None and labels.task != MULTI_LABEL:
        raise InputError(
            f"--labels {arguments.labels}: they are {labels.task}, and the challenge's figures are "
            "of several labels a clip; mmat evaluate has those of this task"
        )
    files = arguments.truth, arguments.prediction
    ids = MachineIds(arguments.truth, labels)
    options = {"labels": labels, "max_seconds": arguments.max_seconds, "name_of": ids.name}
    if arguments.task == "tagging":
        scores = score_tagging(*files, strict=arguments.strict, **options)
    elif arguments.strict:
        raise InputError("--strict: subtask B always counts every clip of the truth; leave it out")
    else:
        scores = score_events(*files, **options)
    ids.warn()
    print(json.dumps(scores, indent=1, ensure_ascii=False))
    return 0
