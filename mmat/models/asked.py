"""The labels that a user asks for: read from what is typed, and looked up among known names.

YAMNet knows 521 names of AudioSet by ear, the image network ImageNet's 1000 things by eye. Both
lists lie beside the fetched weights, so nothing here needs a network.
"""

import difflib
import functools
import os
import re
import warnings
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from mmat.files import InputError
from mmat.labels import LabelSet, clean_name
from mmat.lists.read import NAMED_LABEL_SETS, audioset_is_fetched, named_label_set
from mmat.pretrained.embedded import YAMNET_CLASS_MAP, yamnet_labels, yamnet_wheel_folder
from mmat.pretrained.names import EAR, EYE, KnownName, network_names
from mmat.pretrained.registry import efficientnet_lite0, imagenet_labels, yamnet

_SUFFIXES = (".csv", ".tsv", ".txt")  # of label files
_IN_BRACKETS = re.compile(r"\s*\([^)]*\)\s*$")


def parse_label_set(text: str, all_of_audioset: bool = False) -> LabelSet:
    """Return the labels that a user's text means: a set's name, a file, or the names themselves.

    text: `dcase2017` or `audioset`; the path of a CSV file (as `LabelSet.from_csv` reads) or of a
    text file with a name a line; or names separated by `;`. What holds no `;` is a path where it
    ends in `.csv`, `.tsv` or `.txt`, holds a slash, or is a file. `audioset` without a fetched list
    is the names that YAMNet knows, with a warning; all_of_audioset: it is an error. Raises
    InputError for a path that cannot be read, where there is no name or one twice, for names that
    are separated by commas alone, and for the name of another set.

    >>> parse_label_set("Dog;Train horn").names, len(parse_label_set("dcase2017"))
    (('Dog', 'Train horn'), 17)
    >>> parse_label_set("Dog, Cow")
    Traceback (most recent call last):
    mmat.files.InputError: labels 'Dog, Cow': 2 names; separate them by ';': --labels "Dog;Cow"
    """
    text = text.strip()
    if text == "audioset" and not (all_of_audioset or audioset_is_fetched()):
        labels = heard_label_set()
        warnings.warn(
            f"labels audioset: the {len(labels)} names of AudioSet that YAMNet knows; "
            "`mmat fetch audioset` gets all 527",
            stacklevel=2,
        )
        return labels
    if text in NAMED_LABEL_SETS:
        return named_label_set(text)
    if ";" in text:
        return LabelSet.from_text(text)
    if text.lower().endswith(_SUFFIXES) or "/" in text or os.sep in text or os.path.isfile(text):
        if not os.path.exists(text):
            why = "no such file; separate names by ';', as in 'Dog;Train'"
            raise InputError(f"labels {text}: {why}")
        return LabelSet.from_file(text)
    if difflib.get_close_matches(text.lower(), NAMED_LABEL_SETS, cutoff=0.8):
        sets = " and ".join(NAMED_LABEL_SETS)
        raise InputError(f"labels {text}: no such set; there are {sets}")
    labels = LabelSet.from_text(text)
    check_commas(labels.names)
    return labels


def heard_label_set() -> LabelSet:
    """Return AudioSet's 521 names that YAMNet knows, with their machine ids, in its order.

    Raises InputError where YAMNet was not fetched.

    >>> labels = heard_label_set()
    >>> len(labels), labels.names[0], labels.mids[0]
    (521, 'Speech', '/m/09x0r')
    """
    return LabelSet.from_csv(yamnet_wheel_folder() / "assets" / YAMNET_CLASS_MAP)


def check_commas(names: Sequence[str]) -> None:
    """Raise InputError where the only name is several ones by its commas, see `names_in_one`.

    Who separates names by `;` knows the way, and means the commas.

    >>> check_commas(["Fire engine, fire truck (siren)"]), check_commas(["Bus, truck", "Dog"])
    (None, None)
    """
    parts = names_in_one(names[0]) if len(names) == 1 else ()
    if parts:
        raise InputError(
            f"labels {names[0]!r}: {len(parts)} names; separate them by ';': "
            f'--labels "{";".join(parts)}"'
        )


def names_in_one(name: str) -> tuple[str, ...]:
    """Return the names that commas separate in one name, and nothing where it is truly one.

    They are several where a network knows something by each part, or something near to it, and
    nothing by the whole, nor one thing by all of them. Without fetched weights every name is one.

    >>> names_in_one("Dog, cow,crow"), names_in_one("Bee, wasp, etc.")
    (('Dog', 'cow', 'crow'), ())
    >>> names_in_one("car horn, honking"), names_in_one("Hail, then a long silence")
    ((), ())
    """
    parts = tuple(dict.fromkeys(filter(None, map(clean_name, name.split(",")))))
    if len(parts) < 2:
        return ()
    try:
        known = _known()
    except InputError:  # what needs the weights will say so
        return ()
    if ", ".join(parts).casefold() in known:
        return ()
    things = [known.get(part.casefold(), frozenset()) for part in parts]
    if frozenset.intersection(*things):
        return ()
    if not all(things):
        unknown = [part for part, own in zip(parts, things, strict=True) if not own]
        if not all(mapping.heard or mapping.seen for mapping in mappings(unknown)):
            return ()
    return parts


@functools.cache
def _known() -> dict[str, frozenset[tuple[str, int]]]:
    """Every name, in small letters, with the outputs of the two networks that bear it."""
    found: dict[str, set] = {}
    by_ear = [(name, *name.split(", ")) for name in yamnet_labels()]
    for sense, outputs in ((EAR, by_ear), (EYE, imagenet_labels())):
        for index, names in enumerate(outputs):
            for name in (*names, *(_IN_BRACKETS.sub("", name) for name in names)):
                found.setdefault(name.casefold(), set()).add((sense, index))
    return {name: frozenset(outputs) for name, outputs in found.items()}


def known_names(text: str = "") -> list[KnownName]:
    """Return the names with a word that begins as a text does: what is heard, and then the rest.

    What is heard is known by eye too where the image network has names for it. Letter case does
    not matter. Raises InputError where weights were not fetched.

    >>> [(known.name, known.by) for known in known_names("accordion")]
    [('Accordion', ('ear', 'eye'))]
    >>> len([known for known in known_names() if "ear" in known.by])
    521
    """
    from mmat.models.name_maps import image_similarities

    heard = heard_label_set()
    by_eye = image_similarities(heard, efficientnet_lite0).any(axis=0)
    seen_too = {name for name, too in zip(heard.names, by_eye, strict=True) if too}
    names = [
        known._replace(by=(EAR, EYE)) if known.name in seen_too else known
        for known in network_names()
    ]
    asked = re.compile(r"(?<!\w)" + re.escape(clean_name(text)), re.IGNORECASE)
    return [known for known in names if any(map(asked.search, (known.name, *known.synonyms)))]


class Mapping(NamedTuple):
    """What a label is taken for: names of each sense with their similarities, the nearest first.

    A similarity of 1 is the same name (or kind). heard, seen: empty where no name is near enough.
    nearest_heard, nearest_seen: the nearest name and its cosine then, else None.
    """

    label: str
    heard: tuple[tuple[str, float], ...]
    seen: tuple[tuple[str, float], ...]
    nearest_heard: tuple[str, float] | None = None
    nearest_seen: tuple[str, float] | None = None


def mappings(labels: Iterable[str]) -> list[Mapping]:
    """Return what the pretrained networks' names are to each of the labels, if asked together.

    Raises InputError where weights were not fetched.

    >>> dog, tax = mappings(["Dog", "Quarterly tax return"])
    >>> dog.heard, len(dog.seen), tax.heard, tax.seen
    ((('Dog', 1.0),), 118, (), ())
    """
    from mmat.models.label_map import asked_names, label_similarities, nearest_labels
    from mmat.models.name_maps import image_similarities, sound_similarities
    from mmat.pretrained.text import embedded_text_encoder

    asked = LabelSet.of(labels)
    senses = []
    for names, similarities in (
        ([(name, *name.split(", ")) for name in yamnet.labels()], sound_similarities(asked)),
        (efficientnet_lite0.labels(), image_similarities(asked, efficientnet_lite0)),
    ):
        near = nearest_labels(similarities, names, len(names))
        near = [tuple((name, x) for name, x in each if x > 0) for each in near]
        below = dict.fromkeys(range(len(asked)))
        lost = [i for i, each in enumerate(near) if not each]
        if lost:
            rest = LabelSet(
                tuple(asked.names[i] for i in lost),
                synonyms=tuple(asked_names(asked, i) for i in lost),
            )  # as the mapping itself asks, whose cosines are in the cache
            cosines = label_similarities(names, rest, embedded_text_encoder())
            nearest = (each[0] for each in nearest_labels(cosines, names, 1))
            below |= dict(zip(lost, nearest, strict=True))
        senses.append((near, below))
    (heard, not_heard), (seen, not_seen) = senses
    return [
        Mapping(label, heard[i], seen[i], not_heard[i], not_seen[i])
        for i, label in enumerate(asked.names)
    ]
