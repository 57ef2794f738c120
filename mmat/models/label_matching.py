"""Which names of a pretrained network mean an asked label: the same name, else the nearest ones."""

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
    kinds: Names | None = None,
) -> np.ndarray:
    """Return how much each name of a network means each label: 1 the same, 0 nothing of the kind.

    names: what each output of the network is called, its whole name first. kinds: more general
    names for it, which count as its own for labels without synonyms. A label whose whole name is
    an output's is that output; one that shares another name with outputs is all of these; for the
    rest the cosines of the names' text vectors count, from `floor` on. So a label that nothing is
    near enough to has a column of zeros. make_encoder: called only where a cosine is needed.
    Letter case does not matter. Returns float32 `(n_names, classes)` in [0, 1].

    >>> names = [("Bark",), ("Bee, wasp, etc.", "Bee", "wasp")]
    >>> matched_similarities(names, LabelSet.of(["bark", "Wasp"]), None, 0.6).tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """
    exact = np.stack([_same(names, labels, i, kinds) for i in range(len(labels))], axis=1)
    found = exact.astype(np.float32)  # (n_names, classes)
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


def image_kinds() -> tuple[tuple[str, ...], ...]:
    """Return the kinds of thing that each ImageNet label is, by WordNet 3.0; nearest first.

    >>> image_kinds()[207][:6]  # golden retriever
    ('retriever', 'sporting dog', 'gun dog', 'hunting dog', 'dog', 'domestic dog')
    """
    with open(data_list("imagenet", "kinds.csv"), encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    names = {row["id"]: row["names"].split(";") for row in rows if row["names"]}
    above = {row["id"]: row["above"].split(";") if row["above"] else [] for row in rows}
    return tuple(
        tuple(name for kind in _ancestors(row["id"], above) for name in names[kind])
        for row in rows
        if not row["names"]
    )


def _ancestors(synset: str, above: dict[str, list[str]]) -> list[str]:
    found = [synset]
    for each in found:  # grows as it is read
        found += [kind for kind in above[each] if kind not in found]
    return found[1:]


def _same(names: Names, labels: LabelSet, index: int, kinds: Names | None) -> np.ndarray:
    """Which outputs share a name with a label: bool `(n_names,)`."""
    whole = labels.names[index].casefold()
    by_whole_name = np.array([own[0].casefold() == whole for own in names])
    if by_whole_name.any():
        return by_whole_name
    if kinds is not None and not labels.synonyms[index]:
        names = [(*own, *more) for own, more in zip(names, kinds, strict=True)]
    asked = {name.casefold() for name in asked_names(labels, index)}
    return np.array([any(name.casefold() in asked for name in own) for own in names])
