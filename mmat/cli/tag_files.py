"""The files of `mmat tag`, one after the other: their progress, and what goes wrong with them."""

import argparse
import contextlib
import dataclasses
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence

from mmat.cli.common import say
from mmat.errors import InputError
from mmat.serving.tagging import Tagging
from mmat.startup import on_terminal

STANDARD_INPUT = "-"
_BAR = "{desc}: {percentage:3.0f}%|{bar}| {n:.0f} of {total_fmt} s, {remaining} left"


def expanded(names: Sequence[str]) -> list[str]:
    """Return files in the given order, the media of a folder and those below it by name.

    Raises InputError for a folder without media.
    """
    from mmat.data.finding import MEDIA_SUFFIXES

    files = []
    for name in names:
        if not os.path.isdir(name):
            files.append(name)
            continue
        found = [
            os.path.join(folder, file)
            for folder, _, inside in os.walk(name)
            for file in inside
            if os.path.splitext(file)[1].lower() in MEDIA_SUFFIXES
        ]
        if not found:
            raise InputError(f"{name}: no media file in this folder; name files or another folder")
        files += sorted(found)
    return files


class TagFiles:
    """Iterates over the taggings of files that can be read, in order; `failed` counts the others.

    Each file that fails is one line on standard error.
    """

    def __init__(self, tagger, rules, arguments: argparse.Namespace, files: list[str]):
        self.failed = 0
        self._tagger, self._arguments, self._files = tagger, arguments, files
        self._rules = rules

    def __iter__(self) -> Iterator[Tagging]:
        import tqdm

        kept = []
        for file in self._files:
            name = os.path.basename(file)
            with tqdm.tqdm(
                desc=name, unit="s", disable=not on_terminal(), leave=False, bar_format=_BAR
            ) as bar:
                try:
                    tagging = self._tag(file, bar)
                except InputError as error:
                    self.failed += 1
                    bar.clear()
                    say("error", error)
                    continue
            if tagging.problem:
                say("warning", f"{file}: {tagging.problem}; tagged up to there")
            if self._arguments.plot:
                from mmat.serving.show import plot

                plot(tagging, self._arguments.plot)
            if self._arguments.frame_scores:
                kept.append((file, tagging.frame_scores))
            yield dataclasses.replace(tagging, file=file)
        if kept:
            self._write_frame_scores(kept)

    def _tag(self, file: str, bar) -> Tagging:
        def progress(done: float, whole: float) -> None:
            bar.total = max(whole, done)
            bar.update(done - bar.n)

        with _spooled() if file == STANDARD_INPUT else contextlib.nullcontext(file) as path:
            try:
                return self._tagger.tag(path, self._rules, bool(self._arguments.plot), progress)
            except InputError as error:
                raise InputError(str(error).replace(str(path), file)) from error

    def _write_frame_scores(self, kept: list) -> None:
        from mmat.metrics.frame_scores import write_frame_scores

        names = [os.path.splitext(os.path.basename(file))[0] for file, _ in kept]
        if len(set(names)) < len(names):  # of different folders
            names = [file for file, _ in kept]
        scores = [scores for _, scores in kept]
        write_frame_scores(self._arguments.frame_scores, names, self._tagger.labels, scores)


@contextlib.contextmanager
def _spooled() -> Iterator[str]:
    """Give the path of a temporary file with what comes from standard input.

    A film's index may stand at its end, so that it cannot be read as it comes.
    """
    with tempfile.NamedTemporaryFile(prefix="mmat-") as file:
        shutil.copyfileobj(sys.stdin.buffer, file)
        file.flush()
        yield file.name
