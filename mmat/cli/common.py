"""What the commands share: exit statuses, messages, argument types."""

import argparse
import sys
from collections.abc import Callable, Sequence

BAD_INPUT, SOME_FAILED, INTERRUPTED = 2, 3, 130
SHOWN_ROWS = 20  # of those dropped


def say(kind: str, message: object) -> None:
    """Print a message on standard error, in one line."""
    print(f"mmat: {kind}: {' '.join(str(message).splitlines())}", file=sys.stderr)


def say_dropped(rows: Sequence) -> None:
    """Print on standard error which rows of a list were left out, the first of them."""
    for row in rows[:SHOWN_ROWS]:
        say("dropped", f"{row.file}:{row.line}: {row.reason}")


def at_least(minimum: int) -> Callable[[str], int]:
    """Return an argument type: whole numbers from `minimum` up."""

    def whole_number(text: str) -> int:
        if not text.isdecimal() or int(text) < minimum:
            raise argparse.ArgumentTypeError(f"{text!r} is no whole number from {minimum} up")
        return int(text)

    return whole_number


def on_terminal() -> bool:
    """Progress bars are for eyes: in a log or a pipe they are noise."""
    return sys.stderr.isatty()
