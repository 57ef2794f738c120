"""The command `mmat`: fetch, prepare, evaluate, export, tag.

Bad input is one line on standard error and exit status 2. What computes is imported by the command
that needs it, so that help and errors come at once.
"""

import argparse
import os
import sys
import warnings
from collections.abc import Callable, Sequence

from mmat import __version__
from mmat.errors import InputError

BAD_INPUT, INTERRUPTED = 2, 130


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
        warnings.showwarning = lambda message, *_: _say("warning", message)
        try:
            arguments = _parser().parse_args(argv)
            return arguments.run(arguments)
        except InputError as error:
            _say("error", error)
        except OSError as error:
            where = f"{error.filename}: " if error.filename else ""
            _say("error", f"{where}{error.strerror or error}")
        except KeyboardInterrupt:
            return INTERRUPTED
    return BAD_INPUT


def _say(kind: str, message: object) -> None:
    print(f"mmat: {kind}: {' '.join(str(message).splitlines())}", file=sys.stderr)


class _Parser(argparse.ArgumentParser):
    """Says what is wrong with a command line as every other bad input is said: in one line."""

    def error(self, message: str):
        raise InputError(f"{message}; see `{self.prog} --help`")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser("mmat", description="Tag environmental sounds in clips by sound and picture.")
    parser.add_argument("--version", action="version", version=f"mmat {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    _add_fetch(commands)
    _add_prepare(commands)
    _add_evaluate(commands)
    _add_export(commands)
    _add_tag(commands)
    return parser


def _add_fetch(commands) -> None:
    what = "download what mmat works with, once, into its cache"
    command = commands.add_parser("fetch", help=what, description=what.capitalize() + ".")
    command.add_argument(
        "what", choices=["models", "mini"], help="the pretrained weights, or the mini corpus"
    )
    command.add_argument("--dry-run", action="store_true", help="say what would be done")
    command.add_argument("--debs", metavar="FOLDER", help="where the Debian packages lie (mini)")
    command.set_defaults(run=_fetch)


def _fetch(arguments: argparse.Namespace) -> int:
    if arguments.what == "mini":
        from mmat.fetch.mini import fetch_and_compose

        fetch_and_compose(dry_run=arguments.dry_run, deb_folder=arguments.debs)
        return 0
    if arguments.debs:
        raise InputError("--debs: packages hold the mini corpus, not the models; leave it out")
    from mmat.fetch.weights import fetch_models

    for name, folder in fetch_models(dry_run=arguments.dry_run).items():
        print(f"would fetch {name} into {folder}" if arguments.dry_run else f"{name}: {folder}")
    return 0


def _add_prepare(commands) -> None:
    what = "decode a list of clips into shards for training"
    command = commands.add_parser("prepare", help=what, description=what.capitalize() + ".")
    command.add_argument("list", metavar="LIST", help="CSV with the columns file,labels[,split,…]")
    command.add_argument("--media", metavar="DIR", required=True, help="where the files lie")
    command.add_argument("--labels", metavar="CSV", required=True, help="index,mid,display_name")
    command.add_argument("--out", metavar="DIR", required=True, help="the folder of shards")
    command.add_argument("--events", metavar="TSV", help="strong times of the events")
    command.add_argument(
        "--image-model",
        metavar="NAME",
        default="efficientnet_lite0",
        help="what looks at pictures, or none",
    )
    command.add_argument("--frames", type=_at_least(1), default=8, help="a clip (default 8)")
    command.add_argument("--workers", type=_at_least(0), default=2, help="to decode (default 2)")
    command.set_defaults(run=_prepare)


def _prepare(arguments: argparse.Namespace) -> int:
    from mmat.data.lists import read_clip_list
    from mmat.labels import LabelSet

    labels = LabelSet.from_csv(arguments.labels)
    clips = read_clip_list(arguments.list, labels, arguments.events)
    from mmat.data.prepare import prepare

    images = {}
    if arguments.image_model != "none":
        from mmat.models.pretrained.hub import HubImageClassifier
        from mmat.models.pretrained.registry import image_network

        network = image_network(arguments.image_model)
        images = {
            "image_classifier": HubImageClassifier.of(network),
            "image_network": network.name,
            "image_size_px": network.input_size_px,
        }
    index = prepare(
        clips,
        arguments.media,
        arguments.out,
        labels,
        n_frames=arguments.frames,
        workers=arguments.workers,
        progress=_on_terminal(),
        **images,
    )
    for split, entry in index["splits"].items():
        print(f"{split}: {entry['clips']} clips")
    if index["failures"]:
        print(f"{index['failures']} clips cannot be read, see {arguments.out}/failures.csv")
    return 0


def _add_evaluate(commands) -> None:
    what = "measure a trained model on prepared clips"
    command = commands.add_parser("evaluate", help=what, description=what.capitalize() + ".")
    command.add_argument("--model", metavar="DIR", required=True, help="a trained model's folder")
    command.add_argument("--data", metavar="DIR", required=True, help="a folder of shards")
    command.add_argument("--split", default="test", help="which of its splits (default test)")
    command.add_argument("--out", metavar="DIR", help="for report.json and the TSV tables")
    command.set_defaults(run=_evaluate)


def _evaluate(arguments: argparse.Namespace) -> int:
    if arguments.out and os.path.exists(arguments.out) and not os.path.isdir(arguments.out):
        raise InputError(f"{arguments.out}: is a file; name a folder for the report")
    from mmat.evaluation import as_table, evaluate, write_evaluation
    from mmat.models.bundle import load_bundle

    bundle = load_bundle(arguments.model)
    evaluation = evaluate(bundle, arguments.data, arguments.split, progress=_on_terminal())
    if arguments.out:
        write_evaluation(arguments.out, evaluation)
    print(as_table(evaluation))
    return 0


def _add_export(commands) -> None:
    what = "turn a trained model into a SavedModel that needs TensorFlow alone"
    command = commands.add_parser("export", help=what, description=what.capitalize() + ".")
    command.add_argument("model", metavar="MODEL", help="a trained model's folder")
    command.add_argument("--out", metavar="DIR", required=True, help="the SavedModel's folder")
    command.set_defaults(run=_export)


def _export(arguments: argparse.Namespace) -> int:
    from mmat.models.bundle import load_bundle
    from mmat.serving.export import export_saved_model

    print(export_saved_model(load_bundle(arguments.model), arguments.out))
    return 0


def _add_tag(commands) -> None:
    what = "say what sounds in files, and when"
    command = commands.add_parser("tag", help=what, description=what.capitalize() + ".")
    command.add_argument("files", metavar="FILE", nargs="+", help="audio or video files")
    command.add_argument("--model", metavar="DIR", required=True, help="an exported model")
    command.add_argument("--plot", metavar="PNG", help="draw the (one) file's frame scores")
    command.add_argument("--format", choices=["table", "json", "csv"], default="table")
    command.set_defaults(run=_tag)


def _tag(arguments: argparse.Namespace) -> int:
    from mmat.serving.show import FORMATS, check_plot_path, plot
    from mmat.serving.tagger import Tagger

    if arguments.plot and len(arguments.files) > 1:
        raise InputError(f"--plot {arguments.plot}: draws one file, not {len(arguments.files)}")
    if arguments.plot:
        check_plot_path(arguments.plot)
    tagger = Tagger(arguments.model)
    import tqdm

    status, taggings = 0, []
    for file in tqdm.tqdm(arguments.files, "tag", unit=" files", disable=not _on_terminal()):
        try:
            taggings.append(tagger.tag(file))
        except InputError as error:
            _say("error", error)
            status = BAD_INPUT
    if arguments.plot and taggings:
        plot(tagger, taggings[0], arguments.plot)
    if taggings:
        print(FORMATS[arguments.format](taggings))
    return status


def _at_least(minimum: int) -> Callable[[str], int]:
    def whole_number(text: str) -> int:
        if not text.isdecimal() or int(text) < minimum:
            raise argparse.ArgumentTypeError(f"{text!r} is no whole number from {minimum} up")
        return int(text)

    return whole_number


def _on_terminal() -> bool:
    """Progress bars are for eyes: in a log or a pipe they are noise."""
    return sys.stderr.isatty()
