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

N_RIVALS = 16  # strongest labels of a moment among which a label's rivals are looked for
COMPETITION = 1.0  # its power among as many labels as a rival is looked for, or fewer
MORE_COMPETITION = 0.2  # with more labels the power grows as their number to the power of this
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


def rivals_of(kin: Sequence[Sequence[int]], n_classes: int) -> np.ndarray:
    """Return which labels compete, float32 `(classes, classes)` of 0 and 1; no label with itself.

    >>> rivals_of([(0, 1)], 3).tolist()
    [[0.0, 0.0, 1.0], [0.0, 0.0, 1.0], [1.0, 1.0, 0.0]]
    """
    rivals = 1.0 - np.eye(n_classes, dtype=np.float32)
    for one, other in kin:
        rivals[one, other] = rivals[other, one] = 0.0
    return rivals


def competition(n_labels: int) -> float:
    """Return the power of the competition among so many labels: of more, more are alike.

    >>> competition(2), competition(16), round(competition(521), 2)
    (1.0, 1.0, 2.01)
    """
    return COMPETITION * max(1.0, n_labels / N_RIVALS) ** MORE_COMPETITION


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
