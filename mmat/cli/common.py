"""What the commands share: how they are added and end, messages, lists, argument types."""

import argparse
import functools
import math
import os
import select
import sys
import warnings
from collections.abc import Callable, Sequence

from mmat.files import InputError
from mmat.tables import MAX_SECONDS

BAD_INPUT, SOME_FAILED, INTERRUPTED = 2, 3, 130
STANDARD_OUTPUT = 1
NOBODY_READS = 141  # a shell's status for a command that a closed pipe ended
SHOWN_ROWS = 20  # of those dropped
LABEL_FORMS = (
    '"Dog;Train horn", a file (a name a line, or a CSV of display_name[,mid][,synonyms][,task]), '
    "dcase2017 or audioset"
)


def add_command(
    commands, name: str, what: str, run: Callable[[argparse.Namespace], int], more: str = ""
) -> argparse.ArgumentParser:
    """Add a command to the parser's and return its own parser.

    what: a phrase that describes it; more: further sentences of its help; run: runs it and returns
    the exit status.
    """
    description = f"{what[0].upper()}{what[1:]}.{more and ' ' + more}"
    command = commands.add_parser(name, help=what, description=description)
    command.set_defaults(run=run)
    return command


def log(kind: str, message: object) -> None:
    """Print a message on standard error, in one line."""
    print(f"mmat: {kind}: {' '.join(str(message).splitlines())}", file=sys.stderr)


class Parser(argparse.ArgumentParser):
    """Reports what is wrong with a command line like every other bad input: in one line."""

    def error(self, message: str):
        raise InputError(f"{message}; see `{self.prog} --help`")


def exit_status(command: Callable[[], int | None]) -> int:
    """Run a command and return its exit status; bad input and a full disk are one line and 2.

    Warnings are one line each, said once. A KeyboardInterrupt may carry a status of its own. Where
    what reads the output has gone, as `head` does, it ends without a word.

    >>> exit_status(lambda: None)
    0
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a file's name may be no text that can be encoded
            stream.reconfigure(errors="backslashreplace", line_buffering=True)
    with warnings.catch_warnings():
        said = functools.cache(log)  # else once from every place of the code that may warn
        warnings.showwarning = lambda message, *_: said("warning", str(message))
        try:
            return command() or 0
        except InputError as error:
            log("error", error)
        except OSError as error:
            if isinstance(error, BrokenPipeError) and _nobody_reads():
                return NOBODY_READS
            where = f"{error.filename}: " if error.filename else ""
            log("error", f"{where}{error.strerror or error}")
        except KeyboardInterrupt as interrupt:
            if str(interrupt):
                log("stopped", interrupt)
            return getattr(interrupt, "exit_status", INTERRUPTED)
    return BAD_INPUT


def _nobody_reads() -> bool:
    """Return whether standard output is a closed pipe; what it holds back is dropped then."""
    poll = select.poll()
    poll.register(STANDARD_OUTPUT, 0)  # that the other end was closed is told anyway
    if not poll.poll(0):
        return False
    # Or Python would try once more at its end, and complain.
    os.dup2(os.open(os.devnull, os.O_WRONLY), STANDARD_OUTPUT)
    return True


def log_dropped(rows: Sequence) -> None:
    """Print on standard error which rows of a list were left out, the first of them."""
    for row in rows[:SHOWN_ROWS]:
        log("dropped", row)


def add_labels(command: argparse.ArgumentParser, which: str) -> None:
    """Add the option --labels, in the forms that `label_set` reads; which: labels they are."""
    command.add_argument("--labels", metavar="LABELS", help=f"{which}: {LABEL_FORMS}")


def label_set(arguments: argparse.Namespace):
    """Return the labels that --labels means, None without; `audioset` is all of AudioSet's."""
    from mmat.models.asked import parse_label_set

    text = arguments.labels
    return None if text is None else parse_label_set(text, all_of_audioset=True)


def read_lists(arguments: argparse.Namespace, files: Sequence[str]):
    """Read clip lists as one, by --media and the options that say how lists are read."""
    from mmat.lists import read

    found = read.read_lists(
        files,
        label_set(arguments),
        arguments.events,
        arguments.split,
        arguments.strict,
        arguments.max_seconds,
        arguments.media,
    )
    log_dropped(found.dropped)
    return found


def at_least(minimum: int) -> Callable[[str], int]:
    """Return an argument type: whole numbers from `minimum` up."""

    def whole_number(text: str) -> int:
        if not text.isdecimal() or int(text) < minimum:
            raise argparse.ArgumentTypeError(f"{text!r} is no whole number from {minimum} up")
        return int(text)

    return whole_number


def above_zero(what: str = "number") -> Callable[[str], float]:
    """Return an argument type: numbers above 0; what: their name in a message."""

    def number(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not 0 < value < math.inf:
            raise argparse.ArgumentTypeError(f"{text!r} is no {what} above 0")
        return value

    return number


def add_networks(command: argparse.ArgumentParser, encoder: str, more: str = "") -> None:
    """Add --image-model and --audio-encoder, the networks that prepared clips go through.

    encoder: the default of the latter; more: what else its help says.
    """
    command.add_argument(
        "--image-model",
        metavar="NAME",
        default="efficientnet_lite0",
        help="what looks at pictures, or none (default efficientnet_lite0)",
    )
    command.add_argument(
        "--audio-encoder",
        metavar="NAME",
        default=encoder,
        help=f"what hears the sound, a name, http address or folder{more} (default {encoder})",
    )


def add_workers(command: argparse.ArgumentParser) -> None:
    """Add --workers, how many processes read media."""
    command.add_argument(
        "--workers",
        metavar="N",
        type=at_least(0),
        default=len(os.sched_getaffinity(0)),
        help="decoding processes (default: one a core)",
    )


def add_max_seconds(command: argparse.ArgumentParser) -> None:
    """Add the option --max-seconds, the bound of times in lists and scores."""
    command.add_argument(
        "--max-seconds",
        metavar="S",
        type=above_zero("number of seconds"),
        default=MAX_SECONDS,
        help=f"a later time in a row is wrong (default {MAX_SECONDS:g}, a day)",
    )
