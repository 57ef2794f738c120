"""From what a picture shows to what may sound: how near the names of both are, in NumPy alone.

The similarity of an image label and a sound label is the largest cosine between the text vectors
of their names. Synonyms are embedded one by one: a string of many names lies near none of them.

- `label_similarities` computes it, `nearest_labels` lists what lies nearest;
- `matched_similarities` goes by equal names first, then by what people call sounds, and by cosines
  for the rest, which is how the names of a pretrained network are mapped to any labels
  (`mmat.models.name_maps`).

`mmat.models.evidence` turns image-label probabilities into evidence of sounds by it.
"""

import collections
import csv
import hashlib
import json
import re
from collections.abc import Callable, Sequence

import numpy as np

from mmat.files import atomic_path, cache_folder, data_list
from mmat.labels import LabelSet
from mmat.models.words import everyday_sound, stems
from mmat.pretrained.text import TextEncoder

Names = Sequence[Sequence[str]]  # of each output of a network the names it is known by


def label_similarities(
    image_labels: Sequence[Sequence[str]],
    sound_labels: LabelSet,
    encoder: TextEncoder,
) -> np.ndarray:
    """Return the similarity of each image label and each sound label.

    image_labels: the synonyms of each label. Returns float32 (n_image_labels, classes) in [-1, 1].
    Computed once for the same labels and encoder, then read from the cache.
    """
    sound_names = [sound_label_names(sound_labels, index) for index in range(len(sound_labels))]
    key = json.dumps([encoder.name, [list(names) for names in image_labels], sound_names])
    digest = hashlib.sha256(key.encode()).hexdigest()
    path = cache_folder() / "similarities" / f"{digest}.npy"
    if path.is_file():
        return np.load(path, allow_pickle=False)
    image_vectors = encoder([name for names in image_labels for name in names])
    sound_vectors = encoder([name for names in sound_names for name in names])
    cosines = image_vectors @ sound_vectors.T  # (all image names, all sound names)
    by_image = np.maximum.reduceat(cosines, _group_starts(image_labels), axis=0)
    similarities = np.maximum.reduceat(by_image, _group_starts(sound_names), axis=1)
    similarities = np.clip(similarities, -1, 1).astype(np.float32)
    with atomic_path(path) as part, open(part, "wb") as file:
        np.save(file, similarities)
    return similarities


def sound_label_names(labels: LabelSet, index: int) -> tuple[str, ...]:
    """Return the names a sound label is known by: its own, the parts of that, its synonyms.

    AudioSet joins synonyms by commas, so the parts count as names too.

    >>> sound_label_names(LabelSet.of(["Air horn, truck horn"]), 0)
    ('Air horn, truck horn', 'Air horn', 'truck horn')
    """
    name = labels.names[index]
    return tuple(dict.fromkeys([name, *name.split(", "), *labels.synonyms[index]]))


def _group_starts(groups: Sequence[Sequence[str]]) -> np.ndarray:
    return np.cumsum([0] + [len(group) for group in groups[:-1]])


def nearest_labels(
    similarities: np.ndarray, image_labels: Sequence[Sequence[str]], k: int = 5
) -> list[list[tuple[str, float]]]:
    """Return, for each class, the k image labels most like it and their similarities.

    >>> nearest_labels(np.float32([[0.25], [0.75]]), [("banana",), ("dog",)], k=1)
    [[('dog', 0.75)]]
    """
    order = np.argsort(-similarities, axis=0, kind="stable")[:k]  # (k, classes)
    return [
        [(image_labels[row][0], float(similarities[row, column])) for row in rows]
        for column, rows in enumerate(order.T)
    ]


def matched_similarities(
    names: Names,
    labels: LabelSet,
    make_encoder: Callable[[], TextEncoder],
    floor: float,
    hypernyms: Names | None = None,
    heard: bool = False,
) -> np.ndarray:
    """Return how much each name of a network means each label: 1 the same, 0 nothing of the kind.

    names: what each output of the network is called, its whole name first. hypernyms: more general
    names for it, the nearest first, which count as its own for labels without synonyms. heard:
    whether the names are of sounds, so that other endings and another order make no other name
    ("sneezing" is Sneeze, but fencing is no fence), and verbs are looked up.

    A label whose whole name is an output's is that output; one that shares another name with
    outputs is all of these, but an output that several labels share is that label's which names it
    most closely (a hen is a chicken before it is a bird). A label that is no name, but an everyday
    word (`mmat.models.words`), is what that means and nothing else. For the rest the cosines of the
    names' text vectors count, from `floor` on: a label that nothing is near enough to has a column
    of zeros.

    make_encoder: called only where a cosine is needed. Letter case does not matter. Returns
    float32 `(n_names, classes)` in [0, 1].

    >>> names = [("Bark",), ("Bee, wasp, etc.", "Bee", "wasp")]
    >>> labels = LabelSet.of(["woof", "Wasp"])
    >>> matched_similarities(names, labels, None, 0.6, heard=True).tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """
    same = _exact(names, labels, hypernyms)  # bool (n_names, classes)
    by_stems = _by_stems(names) if heard else {}
    rest = []
    for i in np.flatnonzero(~same.any(axis=0)):
        asked = asked_names(labels, i)
        inflected = [by_stems[stems(name)] for name in asked if stems(name) in by_stems]
        everyday = [sound for name in asked if (sound := everyday_sound(name))]
        if inflected:
            same[list(set().union(*inflected)), i] = True
        elif not everyday:
            rest.append(i)
        elif meant := [name for x in everyday if heard or x.is_thing for name in x.names]:
            same[:, i] = _exact(names, LabelSet.of(dict.fromkeys(meant)), hypernyms).any(axis=1)
    found = same.astype(np.float32)
    if rest:
        asked = LabelSet(
            tuple(labels.names[i] for i in rest),
            synonyms=tuple(asked_names(labels, i) for i in rest),
        )
        cosines = label_similarities(names, asked, make_encoder())
        found[:, rest] = np.where(cosines >= floor, np.clip(cosines, 0, 1), 0)
    return found


def asked_names(labels: LabelSet, index: int) -> tuple[str, ...]:
    """Return the names of an asked label, also without what stands in brackets behind them.

    Underscores are spaces, as in the files of data sets.

    >>> asked_names(LabelSet.of(["Police_car (siren)"]), 0)
    ('Police car (siren)', 'Police car')
    """
    names = [name.replace("_", " ") for name in sound_label_names(labels, index)]
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


def _by_stems(names: Names) -> dict[frozenset[str], set[int]]:
    """The stems of each name with the outputs that bear it; of a whole name with that output."""
    found = collections.defaultdict(set)
    for output, own in enumerate(names):
        for name in own:
            found[stems(name)].add(output)
    return found | {stems(own[0]): {output} for output, own in enumerate(names)}
