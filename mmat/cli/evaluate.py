"""`mmat evaluate`: a trained model against prepared clips."""

import argparse
import os

from mmat.cli.common import add_command
from mmat.files import InputError
from mmat.startup import on_terminal


def add(commands) -> None:
    """Add the command to the parser's."""
    command = add_command(commands, "evaluate", "measure a trained model on prepared clips", run)
    command.add_argument("--model", metavar="DIR", required=True, help="a model's folder")
    command.add_argument("--data", metavar="DIR", required=True, help="a folder of shards")
    command.add_argument("--split", default="test", help="which of its splits (default test)")
    command.add_argument("--out", metavar="DIR", help="the report's folder: page, figures, tables")
    command.add_argument(
        "--groups",
        metavar="CSV",
        help="id,source_group: intervals over these groups too (default: those in the shards)",
    )
    command.add_argument(
        "--against", metavar="DIR", help="another model's folder: its figures, and the differences"
    )


def run(arguments: argparse.Namespace) -> int:
    """Run the command and return its exit status."""
    if arguments.out and os.path.exists(arguments.out) and not os.path.isdir(arguments.out):
        raise InputError(f"{arguments.out}: is a file; name a folder for the report")
    from mmat.evaluation.evaluate import evaluate
    from mmat.evaluation.files import read_groups, write_evaluation
    from mmat.evaluation.page import as_table

    groups = read_groups(arguments.groups) if arguments.groups else None
    evaluation = evaluate(
        arguments.model,
        arguments.data,
        arguments.split,
        progress=on_terminal(),
        groups=groups,
        against=arguments.against,
    )
    if arguments.out:
        name = os.path.basename(os.path.abspath(arguments.model))
        write_evaluation(arguments.out, evaluation, title=f"{name} on {arguments.split}")
    print(as_table(evaluation))
    return 0
