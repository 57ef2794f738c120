"""`mmat export`: a model, or any labels untrained, for TensorFlow, LiteRT, ONNX or the browser."""

import argparse
import pathlib
import shlex

from mmat.cli.common import add_command, add_labels
from mmat.files import InputError

SAVED_MODEL, TFLITE, ONNX, WEB = "savedmodel", "tflite", "onnx", "web"
FILES = {".tflite": TFLITE, ".onnx": ONNX}  # the formats that are one file, by its suffix


def add(commands) -> None:
    """Add the command to the parser's."""
    command = add_command(
        commands, "export", "turn a model, or labels untrained, into what runs without mmat", run
    )
    command.add_argument("model", metavar="MODEL", nargs="?", help="a trained model's folder")
    add_labels(command, "without a model, those of an untrained tagger")
    command.add_argument(
        "--out",
        metavar="PATH",
        required=True,
        help="the folder of a SavedModel or a web page, NAME.tflite or NAME.onnx",
    )
    command.add_argument(
        "--format",
        choices=[SAVED_MODEL, TFLITE, ONNX, WEB],
        default=SAVED_MODEL,
        help="savedmodel (default), for TensorFlow; tflite: a LiteRT file, which needs none; onnx: "
        "an ONNX file; web: a page that tags in the browser",
    )
    command.add_argument("--quantize", choices=["int8"], help="a tflite file's weights in 8 bits")
    command.add_argument(
        "--float32-mel",
        action="store_true",
        help="a SavedModel's log-mel in float32, which is faster, where training took float64; the "
        "other formats have it so anyway",
    )


def run(arguments: argparse.Namespace) -> int:
    """Run the command and return its exit status."""
    if arguments.quantize and arguments.format != TFLITE:
        raise InputError(f"--quantize {arguments.quantize}: needs --format {TFLITE}")
    suffix = pathlib.Path(arguments.out).suffix
    if suffix in FILES and arguments.format not in FILES.values():
        raise InputError(
            f"--out {arguments.out}: --format {arguments.format} writes a folder; for a {suffix} "
            f"file add --format {FILES[suffix]}"
        )
    bundle = _bundle(arguments)
    export = {SAVED_MODEL: _saved_model, TFLITE: _tflite, ONNX: _onnx, WEB: _web}[arguments.format]
    for line in export(bundle, arguments):
        print(line)
    return 0


def _bundle(arguments: argparse.Namespace):
    if (arguments.model is None) == (arguments.labels is None):
        raise InputError("export: name either a trained model's folder, or --labels without one")
    if arguments.labels is None:
        from mmat.models.bundle import load_bundle

        return load_bundle(arguments.model)
    from mmat.models.asked import parse_label_set
    from mmat.models.names import zero_shot_bundle

    return zero_shot_bundle(parse_label_set(arguments.labels))


def _saved_model(bundle, arguments: argparse.Namespace) -> list:
    from mmat.export.savedmodel import export_saved_model

    return [export_saved_model(bundle, arguments.out, arguments.float32_mel)]


def _tflite(bundle, arguments: argparse.Namespace) -> list:
    from mmat.export.litert import export_tflite, measure_tflite

    path = export_tflite(bundle, arguments.out, arguments.quantize or "")
    figures = measure_tflite(path, bundle)
    return [
        path,
        f"{figures.megabytes:.1f} MB, {figures.milliseconds:.0f} ms for {figures.clip_seconds:g} s "
        f"on one thread, scores within {figures.largest_deviation:.1g} of Keras",
    ]


def _onnx(bundle, arguments: argparse.Namespace) -> list:
    from mmat.export.onnx import export_onnx, measure_onnx

    path = export_onnx(bundle, arguments.out)
    figures = measure_onnx(path, bundle)
    return [
        path,
        f"{figures.megabytes:.1f} MB, opset {figures.opset}, scores within "
        f"{figures.largest_deviation:.1g} of Keras",
    ]


def _web(bundle, arguments: argparse.Namespace) -> list:
    from mmat.export.web import export_web, measure_web

    folder = export_web(bundle, arguments.out)
    figures = measure_web(folder, bundle)
    return [
        folder,
        f"{figures.megabytes:.1f} MB, scores within {figures.largest_deviation:.1g} of Keras",
        f"serve it: python -m http.server --directory {shlex.quote(str(folder))}",
    ]
