"""Tagging the files of a folder, untrained."""

import functools
import pathlib
from collections.abc import Callable

import mmat
from mmat.tagging.ahead import work_ahead

LABELS = "Dog;Train;Car"


def ahead(folder: str) -> Callable:
    """As `mmat tag FOLDER` does it."""
    tag, files = tagging(), sorted(pathlib.Path(folder).iterdir())
    return lambda: [
        job.result(lambda done, whole: None)
        for job in work_ahead(functools.partial(tag, file) for file in files)
    ]


def in_turn(folder: str) -> Callable:
    """As one would write it."""
    tag, files = tagging(), sorted(pathlib.Path(folder).iterdir())
    return lambda: [tag(file) for file in files]


def tagging() -> Callable:
    tagger = mmat.load(labels=LABELS)
    return lambda file, progress=None: tagger.tag(file, progress=progress)
