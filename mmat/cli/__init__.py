"""The command `mmat`: fetch, labels, lists, prepare, train, evaluate, score, export, tag, app.

Bad input is one line on standard error and exit status 2. What computes is imported by the command
that needs it, so that help and errors come at once.
"""

import argparse
from collections.abc import Sequence

from mmat import __version__
from mmat.cli import app, evaluate, export, fetch, labels, lists, prepare, score, tag, train
from mmat.cli.common import Parser, exit_status
from mmat.startup import collect_less_often


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line (default: the process's own) and return the exit status.

    >>> main(["fetch", "models", "--dry-run"])  # doctest: +ELLIPSIS
    would fetch ...
    0
    """
    if argv is None:
        collect_less_often()
    return exit_status(lambda: _run(argv))


def _run(argv: Sequence[str] | None) -> int:
    parser = _parser()
    # Beam's options change with its runner, so they are Beam's to know.
    arguments, arguments.beam_options = parser.parse_known_args(argv)
    if arguments.beam_options and getattr(arguments, "runner", None) is None:
        parser.error(f"unrecognized arguments: {' '.join(arguments.beam_options)}")
    return arguments.run(arguments)


def _parser() -> argparse.ArgumentParser:
    parser = Parser("mmat", description="Tag environmental sounds in clips by sound and picture.")
    parser.add_argument("--version", action="version", version=f"mmat {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for command in (fetch, labels, lists, prepare, train, evaluate, score, export, tag, app):
        command.add(commands)
    return parser
