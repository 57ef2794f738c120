"""`mmat export`: a trained model into a SavedModel."""

import argparse


def add(commands) -> None:
    """Add the command to the parser's."""
    what = "turn a trained model into a SavedModel that needs TensorFlow alone"
    command = commands.add_parser("export", help=what, description=what.capitalize() + ".")
    command.add_argument("model", metavar="MODEL", help="a trained model's folder")
    command.add_argument("--out", metavar="DIR", required=True, help="the SavedModel's folder")
    command.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the command and return its exit status."""
    from mmat.models.bundle import load_bundle
    from mmat.serving.export import export_saved_model

    print(export_saved_model(load_bundle(arguments.model), arguments.out))
    return 0
