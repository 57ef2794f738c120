"""Which names of a pretrained network mean an asked label: the same name, else the nearest ones."""

import collections
import csv
import re
from collections.abc import Callable, Sequence

import numpy as np

from mmat.labels import LabelSet
from mmat.models.pretrained.text import TextEncoder
from mmat.models.semantics import label_similarities, sound_label_names
from mmat.resources import data_list

Names = Sequence[Sequence[str]]


def matched_similarities(
    names: Names,
    labels: LabelSet,
    make_encoder: Callable[[], TextEncoder],
    floor: float,
    hypernyms: Names | None = None,
) -> np.ndarray:
    """Return how much each name of a network means each label: 1 the same, 0 nothing of the kind.

    names: what each output of the network is called, its whole name first. hypernyms: more general
    names for it, the nearest first, which count as its own for labels without synonyms. A label
    whose whole name is an output's is that output; one that shares another name with outputs is
    all of these, but an output that several labels share is that label's which names it most
    closely (a hen is a chicken before it is a bird). For the rest the cosines of the names' text
    vectors count, from `floor` on: a label that nothing is near enough to has a column of zeros.
    make_encoder: called only where a cosine is needed. Letter case does not matter. Returns
    float32 `(n_names, classes)` in [0, 1].

    >>> names = [("Bark",), ("Bee, wasp, etc.", "Bee", "wasp")]
    >>> matched_similarities(names, LabelSet.of(["bark", "Wasp"]), None, 0.6).tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """
    exact = _exact(names, labels, hypernyms)  # bool (n_names, classes)
    found = exact.astype(np.float32)
    rest = np.flatnonzero(~exact.any(axis=0))
    if len(rest):
        asked = LabelSet(
            tuple(labels.names[i] for i in rest),
            synonyms=tuple(asked_names(labels, i) for i in rest),
        )
        cosines = label_similarities(names, asked, make_encoder())
        found[:, rest] = np.where(cosines >= floor, np.clip(cosines, 0, 1), 0)
    return found


def asked_names(labels: LabelSet, index: int) -> tuple[str, ...]:
    """Return the names of an asked label, also without what stands in brackets behind them.

    >>> asked_names(LabelSet.of(["Police car (siren)"]), 0)
    ('Police car (siren)', 'Police car')
    """
    names = sound_label_names(labels, index)
    plain = (re.sub(r"\s*\([^)]*\)\s*$", "", name) for name in names)
    return tuple(dict.fromkeys([*names, *filter(None, plain)]))


def imagenet_hypernyms() -> tuple[tuple[str, ...], ...]:
    """Return each ImageNet label's hypernyms by WordNet 3.0, nearest first: what it is a kind of.

    >>> imagenet_hypernyms()[207][:6]  # golden retriever
    ('retriever', 'sporting dog', 'gun dog', 'hunting dog', 'dog', 'domestic dog')
    """
    with open(data_list("imagenet", "kinds.csv"), encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    names = {row["id"]: row["names"].split(";") for row in rows if row["names"]}
    above = {row["id"]: row["above"].split(";") if row["above"] else [] for row in rows}
    return tuple(
        tuple(name for each in _ancestors(row["id"], above) for name in names[each])
        for row in rows
        if not row["names"]
    )


def _ancestors(synset: str, above: dict[str, list[str]]) -> list[str]:
    found = [synset]
    for each in found:  # grows as it is read
        found += [other for other in above[each] if other not in found]
    return found[1:]


def _exact(names: Names, labels: LabelSet, hypernyms: Names | None) -> np.ndarray:
    """Which outputs are called what a label is: bool `(n_names, classes)`."""
    whole = _by_name([own[:1] for own in names])
    any_name = _by_name(names)
    any_hypernym = _by_name(hypernyms or ())
    distances = np.full((len(names), len(labels)), np.inf)
    for i, label in enumerate(labels.names):
        if outputs := whole.get(label.casefold()):
            distances[list(outputs), i] = 0
            continue
        for asked in {name.casefold() for name in asked_names(labels, i)}:
            if not labels.synonyms[i]:
                for output, place in any_hypernym.get(asked, {}).items():
                    distances[output, i] = min(distances[output, i], place + 1)
            distances[list(any_name.get(asked, ())), i] = 0
    return np.isfinite(distances) & (distances == distances.min(axis=1, keepdims=True))


def _by_name(names: Names) -> dict[str, dict[int, int]]:
    """Each name with the outputs that bear it, and its first place among each one's names."""
    found = collections.defaultdict(dict)
    for output, own in enumerate(names):
        for place, name in enumerate(own):
            found[name.casefold()].setdefault(output, place)
    return found
