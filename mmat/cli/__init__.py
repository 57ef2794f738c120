"""The command `mmat`: fetch, lists, prepare, evaluate, score, export, tag.

Bad input is one line on standard error and exit status 2. What computes is imported by the command
that needs it, so that help and errors come at once.
"""

import argparse
import os
import sys
import warnings
from collections.abc import Sequence

from mmat import __version__
from mmat.cli import evaluate, export, fetch, lists, prepare, score, tag
from mmat.cli.common import BAD_INPUT, INTERRUPTED, say
from mmat.errors import InputError


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line (default: the process's own) and return the exit status.

    >>> main(["fetch", "models", "--dry-run"])  # doctest: +ELLIPSIS
    would fetch ...
    0
    """
    # Start-up chatter of TensorFlow and CUDA; it must be said before the first import.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a file's name may be no text that can be encoded
            stream.reconfigure(errors="backslashreplace")
    with warnings.catch_warnings():
        warnings.showwarning = lambda message, *_: say("warning", message)
        try:
            parser = _parser()
            # Beam's options change with its runner, so they are Beam's to know.
            arguments, arguments.beam_options = parser.parse_known_args(argv)
            if arguments.beam_options and getattr(arguments, "runner", None) is None:
                parser.error(f"unrecognized arguments: {' '.join(arguments.beam_options)}")
            return arguments.run(arguments)
        except InputError as error:
            say("error", error)
        except OSError as error:
            where = f"{error.filename}: " if error.filename else ""
            say("error", f"{where}{error.strerror or error}")
        except KeyboardInterrupt:
            return INTERRUPTED
    return BAD_INPUT


class _Parser(argparse.ArgumentParser):
    """Says what is wrong with a command line as every other bad input is said: in one line."""

    def error(self, message: str):
        raise InputError(f"{message}; see `{self.prog} --help`")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser("mmat", description="Tag environmental sounds in clips by sound and picture.")
    parser.add_argument("--version", action="version", version=f"mmat {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for command in (fetch, lists, prepare, evaluate, score, export, tag):
        command.add(commands)
    return parser
