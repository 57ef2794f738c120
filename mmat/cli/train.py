"""`mmat train`: a tagger of your own labels, from a folder or a list of clips."""

import argparse

from mmat.cli.common import add_command, add_labels, add_networks, add_workers

HOW = """\
A folder has a folder of sound and video for each label, named after it; in _noise or background
none of the labels sounds. A folder inside of a label's is one source, such as a recorder. Files
longer than 60 s become clips of 30 s with the labels of the whole, which are then right only by
chance: cut them around the sound. A list is of any form in docs/data.md. Training starts at what
the names of the labels give untrained, and moves only as far as the clips warrant. A run that was
stopped goes on where it was."""


def add(commands) -> None:
    """Add the command to the parser's."""
    command = add_command(commands, "train", "learn labels of your own from clips", run, HOW)
    command.add_argument("source", metavar="FOLDER_OR_LIST", help="the clips to learn from")
    command.add_argument(
        "--out", metavar="DIR", required=True, help="the model's folder; replaces a model there"
    )
    command.add_argument(
        "--test", metavar="FOLDER_OR_LIST", help="measure on these (default: a list's split test)"
    )
    command.add_argument(
        "--media", metavar="DIR", help="where the files of lists lie (default: beside the list)"
    )
    add_labels(command, "those to learn (default: the folders', or the list's own)")
    add_networks(command, encoder="yamnet")
    add_workers(command)
    command.add_argument(
        "--scratch",
        action="store_true",
        help="a convolutional network that learns from the clips alone, some hundreds at least",
    )
    command.add_argument(
        "--cache", metavar="DIR", help="where prepared clips are kept (default: mmat's cache)"
    )


def run(arguments: argparse.Namespace) -> int:
    """Run the command and return its exit status."""
    from mmat.training.own import train

    trained = train(
        arguments.source,
        arguments.out,
        arguments.test,
        arguments.media,
        arguments.labels,
        None if arguments.image_model == "none" else arguments.image_model,
        arguments.audio_encoder,
        arguments.workers,
        arguments.scratch,
        arguments.cache,
    )
    print(trained)
    return 0
