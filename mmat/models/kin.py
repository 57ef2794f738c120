"""Which labels are kin by AudioSet's ontology, so that one of them does not speak against another.

A dog is an animal: whoever hears both is right twice. Laughter and speech are of one voice, which
does both in a breath, and a network that heard a million speakers gives speech ten times the score
of a laugh. A cow and a sheep are kinds of livestock, but what sounds is one or the other.
"""

import csv
import functools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from mmat.files import data_list

VOICE, SPEECH = "Human voice", "Speech"  # as AudioSet's ontology calls them


class Kind(NamedTuple):
    """A sound of AudioSet's ontology by its name: what is directly above it, and whether it sounds.

    above: names. is_heading: it only gathers others, such as human voice, and is never a label.
    """

    above: tuple[str, ...]
    is_heading: bool


@functools.cache
def audioset_kinds() -> dict[str, Kind]:
    """Return the 632 sounds of AudioSet's ontology, name to kind.

    >>> audioset_kinds()["Bark"]
    Kind(above=('Dog',), is_heading=False)
    """
    with open(data_list("audioset", "kinds.csv"), encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return {
        row["name"]: Kind(tuple(filter(None, row["above"].split(";"))), row["heading"] == "1")
        for row in rows
    }


def are_kin(one: str, other: str) -> bool:
    """Return whether a sound is a kind of another, or both stand directly under one heading.

    Names that AudioSet lacks are nobody's kin.

    >>> are_kin("Bark", "Animal"), are_kin("Speech", "Laughter"), are_kin("Dog", "Cat")
    (True, True, False)
    """
    kinds = audioset_kinds()
    if one not in kinds or other not in kinds:
        return False
    if one in all_above(other) or other in all_above(one):
        return True
    return any(kinds[name].is_heading for name in {*kinds[one].above} & {*kinds[other].above})


@functools.cache
def all_above(name: str) -> frozenset[str]:
    """Return a sound and all that it is a kind of, nearer and farther.

    >>> sorted(all_above("Yip"))
    ['Animal', 'Dog', 'Domestic animals, pets', 'Yip']
    """
    return frozenset([name]).union(*map(all_above, audioset_kinds()[name].above))


def kin_pairs(similarities: np.ndarray, names: Sequence[str]) -> list[tuple[int, int]]:
    """Return the pairs of labels that are kin, each once, the lesser index first.

    similarities: how much each name of a sound network means each label, `(n_names, classes)`;
    names: those, as AudioSet has them, or none. Labels are as the names nearest to them are; a
    label that no name is near to has no kin.

    >>> kin_pairs(np.eye(3), ["Animal", "Dog", "Speech"])
    [(0, 1)]
    """
    nearest = _nearest_names(similarities, names)
    return [
        (i, j)
        for j in range(len(nearest))
        for i in range(j)
        if any(are_kin(one, other) for one in nearest[i] for other in nearest[j])
    ]


def speech_and_other_acts(
    similarities: np.ndarray, names: Sequence[str]
) -> tuple[list[int], list[int]]:
    """Return the labels that are speech, and those that are other acts of the voice.

    Half of AudioSet's clips hold speech, so a network hears it in whatever a voice does. Arguments
    as of `kin_pairs`.

    >>> speech_and_other_acts(np.eye(4), ["Laughter", "Conversation", "Speech", "Sneeze"])
    ([2], [0])
    """
    nearest = _nearest_names(similarities, names)
    speech = [i for i, own in enumerate(nearest) if SPEECH in own]
    return speech, [i for i, own in enumerate(nearest) if own and all(map(_is_other_act, own))]


def _is_other_act(name: str) -> bool:
    return VOICE in all_above(name) and SPEECH not in all_above(name)


def _nearest_names(similarities: np.ndarray, names: Sequence[str]) -> list[list[str]]:
    """The names nearest to each label; without names, no labels."""
    if not names:
        return []
    largest = similarities.max(axis=0)
    return [
        [names[row] for row in np.flatnonzero(column)]
        for column in ((similarities == largest) & (largest > 0)).T
    ]
