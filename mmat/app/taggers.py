"""The page's taggers: its models, and untrained ones for labels that are typed in."""

import collections
import functools
import os
import pathlib
import zipfile
from collections.abc import Iterable
from typing import TYPE_CHECKING

import mmat
from mmat.files import InputError
from mmat.labels import clean_name, names_in
from mmat.media.windows import WindowSpec
from mmat.pretrained.names import network_names

if TYPE_CHECKING:
    from mmat.tagging.tagger import Tagger

TYPED = "Labels that I type"  # the name of the choice that is no model's
EXAMPLE = ("Dog", "Train", "Fire engine, fire truck (siren)")
MOST_LABELS, LONGEST_LABEL = 50, 100
TYPED_SPEC = WindowSpec(square_px=224)  # of an untrained tagger, known before one is made
N_KEPT = 3  # taggers of the last label sets; each takes some seconds to make
_EXPORT = "export"  # what `mmat export` calls its folder, which is nobody's name
_CARD, _LONGEST_NAME = "README.md", 60
_COMMON_TITLE = "An audio tagger made with mmat"  # of a card that nobody has named


def parse_labels(entries: str | Iterable[str]) -> tuple[str, ...]:
    """Return the labels in a text, or in several, separated by `;` since names hold commas.

    Each comes once. Raises InputError for none, too many and too long ones, and for names that are
    separated by commas.

    >>> parse_labels(["Dog; Fire engine, fire truck (siren) ;; Dog", "Train"])
    ('Dog', 'Fire engine, fire truck (siren)', 'Train')
    """
    entries = [entries] if isinstance(entries, str) else list(map(str, entries))
    text = ";".join(entries)
    labels = tuple(dict.fromkeys(names_in(text)))
    if not labels:
        raise InputError(f"labels: there are none; type some, such as {EXAMPLE[0]}")
    if len(labels) > MOST_LABELS:
        raise InputError(f"labels: {len(labels)} of them; ask for {MOST_LABELS} at most at a time")
    longest = max(labels, key=len)
    if len(longest) > LONGEST_LABEL:
        raise InputError(
            f"labels: {longest[:40]}… has {len(longest)} letters, {LONGEST_LABEL} are the most; "
            "separate labels by `;`"
        )
    from mmat.models.asked import names_in_one  # models, which a page of exports does without

    for entry in entries:  # who separates names by `;` means the commas
        if ";" not in entry and (parts := names_in_one(entry)):
            raise InputError(f"labels: {entry} are {len(parts)} names; type them one by one")
    return labels


def offered_names() -> tuple[str, ...]:
    """Return the names that are offered while labels are typed, those that are heard first.

    There are none where the weights were not fetched.
    """
    try:
        return tuple(known.name for known in network_names())
    except InputError:
        return ()


def names_of(folders: Iterable[str | os.PathLike]) -> dict[str, str | os.PathLike]:
    """Return the folders of models by name: that in their card, or where they lie.

    A card is the file README.md in the folder, or in a LiteRT file, its first heading the name.
    Without one it is the last part of the path (of an export's folder that before it), or more
    where names are equal. A folder that is given twice is there once.

    >>> list(names_of(["runs/mini", "runs/a/export", "runs/b/export"]))
    ['mini', 'a', 'b']
    """
    paths = {pathlib.Path(os.path.abspath(folder)): folder for folder in folders}
    places = {path: _place(path, paths) for path in paths}
    taken = [*places.values(), pathlib.Path(TYPED)]
    cards = {path: _name_in_card(path) for path in paths}
    times = collections.Counter([*cards.values(), TYPED])

    def name(path: pathlib.Path) -> str:
        card, place = cards[path], _shortest(places[path], taken)
        if not card:
            return place
        return card if times[card] == 1 else f"{card} ({place})"

    return {name(path): folder for path, folder in paths.items()}


def _place(path: pathlib.Path, others: Iterable[pathlib.Path]) -> pathlib.Path:
    is_export = path.name == _EXPORT and path.parent.name and path.parent not in others
    return path.parent if is_export else path


def _shortest(place: pathlib.Path, taken: list[pathlib.Path]) -> str:
    """Return as much of the end of a path as no other one has."""
    n_parts = 1
    while sum(other.parts[-n_parts:] == place.parts[-n_parts:] for other in taken) > 1:
        n_parts += 1
    return str(pathlib.Path(*place.parts[-n_parts:]))


def _name_in_card(folder: pathlib.Path) -> str:
    """Return the first heading of a model's card, empty where it has none or the common one."""
    is_file = folder.is_file()  # of LiteRT, which holds its card as a zip archive does
    place = zipfile.Path(folder) if is_file and zipfile.is_zipfile(folder) else folder
    try:
        with (place / _CARD).open(encoding="utf-8", errors="replace") as card:
            heading = card.readline(1000)
    except (OSError, zipfile.BadZipFile):
        return ""
    name = clean_name(heading.removeprefix("# ")) if heading.startswith("# ") else ""
    return "" if name == _COMMON_TITLE else name[:_LONGEST_NAME]


class Taggers:
    """The models of a page, and untrained taggers, made at their first use.

    folders: of models. names: of the choices, labels that are typed first; chosen: the one at the
    start, the first model if there is any. specs: the windows that they take of a clip. Raises
    InputError for a folder that holds no model and, where there are none, if the pretrained weights
    were not fetched.
    """

    def __init__(self, folders: Iterable[str | os.PathLike] = ()):
        self._trained = {name: mmat.load(folder) for name, folder in names_of(folders).items()}
        self._untrained = functools.lru_cache(N_KEPT)(lambda labels: mmat.load(None, labels=labels))
        self.names = (TYPED, *self._trained)
        self.chosen = next(iter(self._trained), TYPED)
        self.specs = {self.spec(name) for name in self.names}
        if not self._trained:  # missing weights show at once, and the first clip does not wait
            self.get(TYPED, EXAMPLE)

    def spec(self, name: str | None) -> WindowSpec:
        """Return the windows that a choice takes; raises InputError for another name."""
        if name == TYPED:
            return TYPED_SPEC
        if name not in self._trained:
            raise InputError("tagger: none is chosen; choose one of the page's")
        return self._trained[name].window_spec

    def get(self, name: str | None, labels: str | Iterable[str]) -> "Tagger":
        """Return the tagger of a choice, one of `names`; the labels count where they are typed.

        Raises InputError as `parse_labels` and `spec` do, and where the pretrained weights were not
        fetched.
        """
        self.spec(name)
        return self._untrained(parse_labels(labels)) if name == TYPED else self._trained[name]
