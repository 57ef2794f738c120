"""`mmat app`: a page to tag clips on."""

import argparse
import contextlib
import signal
import threading

from mmat.cli.common import above_zero, add_command, at_least, log

HIGHEST_PORT = 65_535


def add(commands) -> None:
    """Add the command to the parser's."""
    command = add_command(commands, "app", "serve a page to tag clips on, on this machine", run)
    command.add_argument(
        "--model",
        metavar="DIR",
        action="append",
        default=[],
        help="a model's folder, trained or exported, to choose; may be given several times; beside "
        "it, and by default alone: any labels, without training",
    )
    command.add_argument(
        "--host",
        default="127.0.0.1",
        help="who can reach it: this machine alone (default), 0.0.0.0: all",
    )
    command.add_argument("--port", type=_port, default=7860, help="default 7860; 0: a free one")
    command.add_argument(
        "--allow-host",
        metavar="NAME",
        action="append",
        default=[],
        help="another name that the page answers to, such as that of a proxy before it, or "
        "NAME:PORT; may be given several times",
    )
    limits = "of a clip; default %(default)g"
    command.add_argument(
        "--max-megabytes", type=above_zero(), default=200.0, metavar="N", help=limits
    )
    command.add_argument(
        "--max-seconds", type=above_zero(), default=120.0, metavar="N", help=limits
    )


def run(arguments: argparse.Namespace) -> int:
    """Run the command and return its exit status."""
    from mmat.app.server import serving
    from mmat.app.uploads import Limits

    # Uploads are deleted however the page is stopped.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    limits = Limits(arguments.max_megabytes, arguments.max_seconds)
    if arguments.host not in ("127.0.0.1", "localhost", "::1"):
        log("warning", f"--host {arguments.host}: whoever reaches this machine can use the page")
    port = arguments.port or None
    page = serving(arguments.model, arguments.host, port, limits, arguments.allow_host)
    with page as address, contextlib.suppress(KeyboardInterrupt):
        print(f"open {address} in a browser; Ctrl-C stops the page", flush=True)
        threading.Event().wait()
    return 0


def _port(text: str) -> int:
    port = at_least(0)(text)
    if port > HIGHEST_PORT:
        raise argparse.ArgumentTypeError(f"{text} is no port; the highest is {HIGHEST_PORT}")
    return port
