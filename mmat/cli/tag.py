"""`mmat tag`: what sounds in files, and when."""

import argparse

from mmat.cli.common import BAD_INPUT, on_terminal, say
from mmat.errors import InputError


def add(commands) -> None:
    """Add the command to the parser's."""
    what = "say what sounds in files, and when"
    command = commands.add_parser("tag", help=what, description=what.capitalize() + ".")
    command.add_argument("files", metavar="FILE", nargs="+", help="audio or video files")
    command.add_argument("--model", metavar="DIR", required=True, help="an exported model")
    command.add_argument("--plot", metavar="PNG", help="draw the (one) file's frame scores")
    command.add_argument("--format", choices=["table", "json", "csv"], default="table")
    command.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the command and return its exit status."""
    from mmat.serving.show import FORMATS, check_plot_path, plot
    from mmat.serving.tagger import Tagger

    if arguments.plot and len(arguments.files) > 1:
        raise InputError(f"--plot {arguments.plot}: draws one file, not {len(arguments.files)}")
    if arguments.plot:
        check_plot_path(arguments.plot)
    tagger = Tagger(arguments.model)
    import tqdm

    status, taggings = 0, []
    for file in tqdm.tqdm(arguments.files, "tag", unit=" files", disable=not on_terminal()):
        try:
            taggings.append(tagger.tag(file))
        except InputError as error:
            say("error", error)
            status = BAD_INPUT
    if arguments.plot and taggings:
        plot(tagger, taggings[0], arguments.plot)
    if taggings:
        print(FORMATS[arguments.format](taggings))
    return status
