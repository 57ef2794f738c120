"""`mmat export`: a trained model into a SavedModel or a TensorFlow Lite file."""

import argparse

from mmat.cli.common import add_command
from mmat.files import InputError

SAVED_MODEL, TFLITE = "savedmodel", "tflite"


def add(commands) -> None:
    """Add the command to the parser's."""
    command = add_command(
        commands, "export", "turn a trained model into a SavedModel or a TensorFlow Lite file", run
    )
    command.add_argument("model", metavar="MODEL", help="a trained model's folder")
    command.add_argument(
        "--out", metavar="PATH", required=True, help="the SavedModel's folder, or NAME.tflite"
    )
    command.add_argument(
        "--format",
        choices=[SAVED_MODEL, TFLITE],
        default=SAVED_MODEL,
        help="savedmodel (default), for TensorFlow; tflite: a LiteRT file, which needs none",
    )
    command.add_argument("--quantize", choices=["int8"], help="a tflite file's weights in 8 bits")


def run(arguments: argparse.Namespace) -> int:
    """Run the command and return its exit status."""
    if arguments.quantize and arguments.format != TFLITE:
        raise InputError(f"--quantize {arguments.quantize}: needs --format {TFLITE}")
    from mmat.models.bundle import load_bundle

    bundle = load_bundle(arguments.model)
    if arguments.format == SAVED_MODEL:
        from mmat.export.savedmodel import export_saved_model

        print(export_saved_model(bundle, arguments.out))
        return 0
    from mmat.export.litert import export_tflite, measure_tflite

    path = export_tflite(bundle, arguments.out, arguments.quantize or "")
    figures = measure_tflite(path, bundle)
    print(path)
    print(
        f"{figures.megabytes:.1f} MB, {figures.milliseconds:.0f} ms for {figures.clip_seconds:g} s "
        f"on one thread, scores within {figures.largest_deviation:.1g} of Keras"
    )
    return 0
