"""The page's taggers: its models, and untrained ones for labels that are typed in."""

import functools
import os
import pathlib
from collections.abc import Iterable
from typing import TYPE_CHECKING

import mmat
from mmat.files import InputError
from mmat.labels import names_in

if TYPE_CHECKING:
    from mmat.tagging.tagger import Tagger

TYPED = "Labels that I type"  # the name of the choice that is no model's
EXAMPLE = "Dog; Train; Fire engine, fire truck (siren)"
MOST_LABELS, LONGEST_LABEL = 50, 100
TYPED_PICTURES_HZ = 0.8  # of an untrained tagger, known before one is made
N_KEPT = 3  # taggers of the last label sets; each takes some seconds to make


def parse_labels(text: str) -> tuple[str, ...]:
    """Return the labels in a text, separated by `;` since names hold commas, each once.

    Raises InputError for none, too many and too long ones.

    >>> parse_labels("Dog; Fire engine, fire truck (siren) ;; Dog")
    ('Dog', 'Fire engine, fire truck (siren)')
    """
    labels = tuple(dict.fromkeys(names_in(text)))
    if not labels:
        raise InputError(f"labels: there are none; type some, separated by `;`, such as {EXAMPLE}")
    if len(labels) > MOST_LABELS:
        raise InputError(f"labels: {len(labels)} of them; ask for {MOST_LABELS} at most at a time")
    longest = max(labels, key=len)
    if len(longest) > LONGEST_LABEL:
        raise InputError(
            f"labels: {longest[:40]}… has {len(longest)} letters, {LONGEST_LABEL} are the most; "
            "separate labels by `;`"
        )
    return labels


def names_of(folders: Iterable[str | os.PathLike]) -> dict[str, str | os.PathLike]:
    """Return the folders by name: the last part of their paths, or more where names are equal.

    A folder that is given twice is there once.

    >>> list(names_of(["runs/mini", "runs/a/export", "runs/b/export"]))
    ['mini', 'a/export', 'b/export']
    """
    paths = {pathlib.Path(os.path.abspath(folder)): folder for folder in folders}
    taken = [*paths, pathlib.Path(TYPED)]

    def name(path: pathlib.Path) -> str:
        n_parts = 1
        while sum(other.parts[-n_parts:] == path.parts[-n_parts:] for other in taken) > 1:
            n_parts += 1
        return str(pathlib.Path(*path.parts[-n_parts:]))

    return {name(path): folder for path, folder in paths.items()}


class Taggers:
    """The models of a page, and untrained taggers, made at their first use.

    folders: of models. names: of the choices, labels that are typed first; chosen: the one at the
    start, the first model if there is any. pictures_hz: so many pictures a second are enough for
    each of them. Raises InputError for a folder that holds no model and, where there are none, if
    the pretrained weights were not fetched.
    """

    def __init__(self, folders: Iterable[str | os.PathLike] = ()):
        self._trained = {name: mmat.load(folder) for name, folder in names_of(folders).items()}
        self._untrained = functools.lru_cache(N_KEPT)(lambda labels: mmat.load(None, labels=labels))
        self.names = (TYPED, *self._trained)
        self.chosen = next(iter(self._trained), TYPED)
        rates = [tagger.n_frames / tagger.clip_seconds for tagger in self._trained.values()]
        self.pictures_hz = max([TYPED_PICTURES_HZ, *rates])
        if not self._trained:  # missing weights show at once, and the first clip does not wait
            self.get(TYPED, EXAMPLE)

    def get(self, name: str | None, text: str) -> "Tagger":
        """Return the tagger of a choice, one of `names`; the text counts where labels are typed.

        Raises InputError as `parse_labels` does, for another name, and where the pretrained weights
        were not fetched.
        """
        if name in self._trained:
            return self._trained[name]
        if name != TYPED:
            raise InputError("tagger: none is chosen; choose one of the page's")
        return self._untrained(parse_labels(text))
