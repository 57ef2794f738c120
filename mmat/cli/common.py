"""What the commands share: exit statuses, messages, argument types."""

import argparse
import sys
import warnings
from collections.abc import Callable, Sequence

from mmat.files import InputError
from mmat.startup import prepare_tensorflow

BAD_INPUT, SOME_FAILED, INTERRUPTED = 2, 3, 130
SHOWN_ROWS = 20  # of those dropped


def log(kind: str, message: object) -> None:
    """Print a message on standard error, in one line."""
    print(f"mmat: {kind}: {' '.join(str(message).splitlines())}", file=sys.stderr)


class Parser(argparse.ArgumentParser):
    """Says what is wrong with a command line as every other bad input is said: in one line."""

    def error(self, message: str):
        raise InputError(f"{message}; see `{self.prog} --help`")


def exit_status(command: Callable[[], int | None]) -> int:
    """Run a command and return its exit status; bad input and a full disk are one line and 2.

    Warnings are one line each. A KeyboardInterrupt may carry the status that it asks for.

    >>> exit_status(lambda: None)
    0
    """
    prepare_tensorflow()
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a file's name may be no text that can be encoded
            stream.reconfigure(errors="backslashreplace")
    with warnings.catch_warnings():
        warnings.showwarning = lambda message, *_: log("warning", message)
        try:
            return command() or 0
        except InputError as error:
            log("error", error)
        except OSError as error:
            where = f"{error.filename}: " if error.filename else ""
            log("error", f"{where}{error.strerror or error}")
        except KeyboardInterrupt as interrupt:
            if str(interrupt):
                log("stopped", interrupt)
            return getattr(interrupt, "exit_status", INTERRUPTED)
    return BAD_INPUT


def log_dropped(rows: Sequence) -> None:
    """Print on standard error which rows of a list were left out, the first of them."""
    for row in rows[:SHOWN_ROWS]:
        log("dropped", row)


def at_least(minimum: int) -> Callable[[str], int]:
    """Return an argument type: whole numbers from `minimum` up."""

    def whole_number(text: str) -> int:
        if not text.isdecimal() or int(text) < minimum:
            raise argparse.ArgumentTypeError(f"{text!r} is no whole number from {minimum} up")
        return int(text)

    return whole_number
