"""`mmat tag`: what sounds in files or in a stream, and when."""

import argparse
import contextlib
import dataclasses
import functools
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence

from mmat.cli.common import BAD_INPUT, SOME_FAILED, add_command, add_labels, at_least, log
from mmat.files import InputError, atomic_path
from mmat.parquet import check_parquet
from mmat.startup import on_terminal
from mmat.tagging import forms, result
from mmat.tagging.ahead import Progress, work_ahead
from mmat.tagging.result import MOST_ROWS

FILES_ONLY = ("out", "plot", "explain", "frame_scores", "median_filter_seconds")
FORMATS = ("table", "json", "csv", "tsv", "audacity", "raven", "kaleidoscope", "parquet")
STANDARD_INPUT = "-"
_BAR = "{desc}: {percentage:3.0f}%|{bar}| {n:.0f} of {total_fmt} s, {remaining} left"


def add(commands) -> None:
    """Add the command to the parser's."""
    command = add_command(commands, "tag", "say what sounds in files, and when", run)
    command.add_argument(
        "files",
        metavar="FILE",
        nargs="+",
        help="sound or video of any length, a folder of them, or - for standard input",
    )
    command.add_argument(
        "--model", metavar="DIR", help="a model's folder, trained or exported, or a .tflite file"
    )
    add_labels(
        command,
        "without a model, any labels (default: the 521 names that YAMNet knows; see `mmat labels`)",
    )
    command.add_argument(
        "--sound-model",
        metavar="NAME",
        help="without a model: yamnet (default), or a TF-Hub handle",
    )
    command.add_argument(
        "--image-model", metavar="NAME", help="without a model: efficientnet_lite0 (default), …"
    )
    command.add_argument(
        "--float32-mel",
        action="store_true",
        help="a trained model's log-mel in float32, which is faster, where training took float64",
    )
    _add_outputs(command)
    _add_rules(command)


def _add_outputs(command: argparse.ArgumentParser) -> None:
    command.add_argument("--format", choices=FORMATS, default="table", help="(default table)")
    command.add_argument(
        "--top",
        metavar="N",
        type=at_least(1),
        help="only the N surest tags that fire, and their events "
        f"(default {MOST_ROWS} with neither --model nor --labels, else all)",
    )
    command.add_argument("--out", metavar="FILE", help="write there instead of on the terminal")
    command.add_argument(
        "--explain", action="store_true", help="also the names that pretrained networks gave"
    )
    command.add_argument("--plot", metavar="PNG", help="draw the (one) file's frame scores")
    command.add_argument(
        "--frame-scores", metavar="DIR", help="write frame scores as sed_scores_eval reads them"
    )


def _add_rules(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--hop-seconds",
        metavar="S",
        type=float,
        help="from one window to the next (default: half a window; with --live 1)",
    )
    command.add_argument(
        "--median-filter-seconds",
        metavar="S",
        type=float,
        default=0.0,
        help="smooth away events and gaps shorter than half of it",
    )
    command.add_argument(
        "--hysteresis",
        metavar="SHARE",
        type=float,
        default=1.0,
        help="an event lasts while its score is above this share of its threshold (default 1); "
        "for models that have thresholds",
    )
    command.add_argument(
        "--live",
        metavar="HZ",
        type=int,
        help="standard input is 16-bit mono PCM at this rate; tag it as it comes",
    )


def run(arguments: argparse.Namespace) -> int:
    """Run the command and return its exit status."""
    files = _checked(arguments)
    from mmat.metrics.decisions import check_hysteresis
    from mmat.tagging.tagger import IMAGE_MODEL, SOUND_MODEL, EventRules, load

    rules = EventRules(arguments.median_filter_seconds, arguments.hysteresis)
    is_live = arguments.live is not None
    tagger = load(
        arguments.model,
        arguments.labels,
        None if is_live else arguments.hop_seconds,
        arguments.sound_model or SOUND_MODEL,
        arguments.image_model or IMAGE_MODEL,
        arguments.float32_mel,
    )
    check_hysteresis(tagger.task, rules.hysteresis)
    for label in tagger.unmapped:
        log("warning", f"label {label!r}: no sound and no picture has such a name; it never fires")
    for label, sense, name, cosine in tagger.guesses if arguments.labels else ():
        nearest = f"the nearest name of a {sense} is {name!r}, {cosine:.2f} of 1"
        log("warning", f"label {label!r}: {nearest}, which is a guess; see `mmat labels`")
    if is_live:
        return _listen(arguments, tagger)

    with TagFiles(tagger, rules, arguments, files) as taggings:
        text = _writer(arguments, len(files) > 1 or files != arguments.files)(taggings)
        if arguments.out:
            text = list(text)
            if taggings.failed < len(files):  # or what is there stays
                _write(arguments.out, text)
        else:
            for piece in text:
                print(piece, end="", flush=True)
    if not taggings.failed:
        return 0
    return BAD_INPUT if len(files) == 1 else SOME_FAILED


def _write(path: str, pieces: list[str] | list[bytes]) -> None:
    with atomic_path(path) as part, open(part, "wb") as out:
        for piece in pieces:  # names of files may be no text
            is_text = isinstance(piece, str)
            out.write(piece.encode("utf-8", "backslashreplace") if is_text else piece)


def _checked(arguments: argparse.Namespace) -> list[str]:
    """Return the files to tag; raises InputError for options that contradict each other."""
    if arguments.model is not None and arguments.labels is not None:
        raise InputError("name either --model EXPORT, or --labels without a model, or neither")
    if arguments.model is not None and (arguments.sound_model or arguments.image_model):
        raise InputError("--sound-model and --image-model: are not about a --model; leave them out")
    if arguments.top is None and arguments.model is arguments.labels is None:
        arguments.top = MOST_ROWS
    if arguments.live is not None:
        _check_live(arguments)
    files = expanded(arguments.files)
    if arguments.frame_scores and len(set(files)) < len(files):
        raise InputError("--frame-scores: a file is named twice; name each once")
    if len(files) == 1 and files != [STANDARD_INPUT]:
        from mmat.media.read import readable_path

        readable_path(files[0])  # before the model is loaded, which takes longer
    for option in ("plot", "out", "frame_scores"):
        path = getattr(arguments, option)
        if path:
            _check_target(f"--{option.replace('_', '-')}", path, option == "frame_scores")
    if arguments.format == "parquet":
        if not arguments.out:
            raise InputError("--format parquet: is no text; name the file by --out FILE")
        check_parquet("--format parquet")
    one_only = [("--plot", arguments.plot), ("--format audacity", arguments.format == "audacity")]
    for option, is_given in one_only:
        if is_given and len(files) > 1:
            raise InputError(f"{option}: is about one file, not {len(files)}")
    return files


def _check_live(arguments: argparse.Namespace) -> None:
    if arguments.files != [STANDARD_INPUT]:
        raise InputError("--live: tags standard input as it comes; name - as the only file")
    if arguments.format not in ("table", "json"):
        raise InputError(f"--live: prints lines or JSON lines, not {arguments.format}")
    for option in FILES_ONLY:
        if getattr(arguments, option):
            name = option.replace("_", "-")
            raise InputError(f"--{name}: is about files, not about --live; leave it out")
    if arguments.hysteresis != 1.0:
        raise InputError("--hysteresis: is about files, not about --live; leave it out")


def _check_target(option: str, path: str, is_folder: bool) -> None:
    if is_folder and os.path.exists(path):
        raise InputError(f"{option} {path}: is there already; name a new folder")
    if not is_folder and os.path.isdir(path):
        raise InputError(f"{option} {path}: is a folder; name the file")


def _writer(arguments: argparse.Namespace, several: bool) -> Callable[[Iterable], Iterator]:
    """Return what makes text, or bytes, of taggings, by --format and --top."""
    form = {
        "table": lambda: forms.table_form(arguments.explain, arguments.top),
        "json": lambda: forms.json_form(several, arguments.explain),
        "csv": forms.csv_form,
        "tsv": forms.events_form,
        "audacity": forms.audacity_form,
        "raven": forms.RavenForm,
        "kaleidoscope": forms.kaleidoscope_form,
        "parquet": forms.ParquetForm,
    }[arguments.format]()
    if arguments.top is None or arguments.format == "table":  # a table says how many it lacks
        return form.write
    return lambda taggings: form.write(tagging.best(arguments.top) for tagging in taggings)


def _listen(arguments: argparse.Namespace, tagger) -> int:
    from mmat.tagging.live import listen

    given = arguments.hop_seconds
    hop_seconds = min(1.0, tagger.clip_seconds) if given is None else given
    behind = False
    for moment in listen(tagger, sys.stdin.buffer, arguments.live, hop_seconds):
        tags = [_tag_of(tagger, *tag) for tag in moment.tags[: arguments.top]]
        if arguments.format == "json":
            line = json.dumps(moment._asdict() | {"tags": tags}, ensure_ascii=False)
        else:
            line = f"{moment.seconds:8.1f} s  {'; '.join(map(_told, tags)) or '-'}"
        print(line, flush=True)
        if moment.compute_seconds > hop_seconds and not behind:
            behind = True
            seconds = f"{moment.compute_seconds:.2f} s"
            log("warning", f"a prediction took {seconds}, longer than the hop; raise --hop-seconds")
    return 0


def _tag_of(tagger, label: str, score: float) -> dict:
    from mmat.metrics.decisions import confidence

    threshold = tagger.thresholds[tagger.labels.index(label)]
    sure = None if tagger.task.is_regression else confidence(tagger.task, score, threshold)
    return {"label": label, "score": score, "confidence": None if sure is None else float(sure)}


def _told(tag: dict) -> str:
    from mmat.metrics.decisions import percent_sure

    sure = tag["confidence"]
    return (
        f"{tag['label']} {tag['score']:.2f}"
        if sure is None
        else (f"{tag['label']} {percent_sure(sure)}")
    )


def expanded(names: Sequence[str]) -> list[str]:
    """Return files in the given order, the media of a folder and those below it by name.

    What is left out of a folder is counted on standard error. Raises InputError for a folder
    without media.
    """
    from mmat.media.folder import files_in, left_out_line

    files = []
    for name in names:
        if not os.path.isdir(name):
            files.append(name)
            continue
        found = files_in(name)
        left_out = left_out_line(found.left_out)
        if not found.media:
            said = "no media file in this folder" + (left_out and f" ({left_out})")
            raise InputError(f"{name}: {said}; name files or another folder")
        if left_out:
            log("note", f"{name}: {left_out}")
        files += found.media
    return files


class TagFiles:
    """Iterates over the taggings of files that can be read, in order; `failed` counts the others.

    Each file that fails is one line on standard error. The next files are tagged ahead; leaving the
    `with` block ends that.
    """

    def __init__(self, tagger, rules, arguments: argparse.Namespace, files: list[str]):
        self.failed = 0
        self._tagger, self._arguments, self._files = tagger, arguments, files
        self._rules = rules
        works = (functools.partial(self._tag, file) for file in files)
        self._jobs = work_ahead(works, self._is_ready)

    def __enter__(self):
        return self

    def __exit__(self, *_) -> None:
        self._jobs.close()

    def __iter__(self) -> Iterator[result.Tagging]:
        import tqdm

        kept = []
        how = {"disable": not on_terminal(), "leave": False, "bar_format": _BAR, "delay": 0.1}
        with tqdm.tqdm(**how) as bar:  # one for all, since Ctrl-C in a bar's `__del__` is lost
            for file, job in zip(self._files, self._jobs, strict=True):
                _begin(bar, os.path.basename(file))
                try:
                    tagging = job.result(functools.partial(_show, bar))
                except InputError as error:
                    self.failed += 1
                    bar.clear()
                    log("error", error)
                    continue
                bar.clear()
                if tagging.problem:
                    log("warning", f"{file}: {tagging.problem}")
                if self._arguments.plot:
                    result.plot(tagging, self._arguments.plot, self._arguments.top)
                if self._arguments.frame_scores:
                    kept.append((file, tagging.frame_scores))
                yield dataclasses.replace(tagging, file=file)
        if kept:
            self._write_frame_scores(kept)

    def _is_ready(self, number: int) -> bool:
        """Whether a file can be tagged ahead: one alone has nothing to wait for, a pipe may."""
        return len(self._files) > 1 and self._files[number] != STANDARD_INPUT

    def _tag(self, file: str, progress: Progress) -> result.Tagging:
        with _spooled() if file == STANDARD_INPUT else contextlib.nullcontext(file) as path:
            try:
                return self._tagger.tag(path, self._rules, bool(self._arguments.plot), progress)
            except InputError as error:
                raise InputError(str(error).replace(str(path), file)) from error

    def _write_frame_scores(self, kept: list) -> None:
        from mmat.metrics.psds import write_frame_scores

        names = [os.path.splitext(os.path.basename(file))[0] for file, _ in kept]
        if len(set(names)) < len(names):  # of different folders
            names = [file for file, _ in kept]
        scores = [scores for _, scores in kept]
        write_frame_scores(self._arguments.frame_scores, names, self._tagger.labels, scores)


def _begin(bar, name: str) -> None:
    bar.total = None
    bar.set_description_str(name, refresh=False)
    bar.reset()


def _show(bar, done: float, whole: float) -> None:
    bar.total = max(whole, done)
    bar.update(done - bar.n)


@contextlib.contextmanager
def _spooled() -> Iterator[str]:
    """Give the path of a temporary file with what comes from standard input.

    A film's index may stand at its end, so that it cannot be read as it comes.
    """
    with tempfile.NamedTemporaryFile(prefix="mmat-") as file:
        shutil.copyfileobj(sys.stdin.buffer, file)
        file.flush()
        yield file.name
