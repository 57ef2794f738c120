"""From what a picture shows to what may sound: label similarities, and ways to use them.

The similarity of an image label and a sound label is the largest cosine between the text vectors
of their names. Synonyms are embedded one by one: a string of many names lies near none of them.

- `label_similarities` computes it, `nearest_labels` lists what lies nearest;
- the evidence functions (`top_label`, `Sharpened`, …) turn image-label probabilities into evidence
  of sounds by it;
- `matched_similarities` goes by equal names first, then by what people call sounds, and by cosines
  for the rest, which is how the names of a pretrained network are mapped to any labels
  (`mmat.models.names`).
"""

import collections
import csv
import dataclasses
import hashlib
import json
import re
from collections.abc import Callable, Sequence

import keras
import numpy as np
from keras import ops

from mmat.files import atomic_path, cache_folder, data_list
from mmat.labels import LabelSet
from mmat.models.words import everyday_sound, stems
from mmat.pretrained.text import TextEncoder

# (probabilities (…, n_image_labels), similarities (n_image_labels, classes)) -> (…, classes)
EvidenceFunction = Callable[..., keras.KerasTensor]
Names = Sequence[Sequence[str]]  # of each output of a network the names it is known by
SMALLEST_SHARE = 1e-6


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


@keras.saving.register_keras_serializable(package="mmat")
def top_label(probabilities, similarities):
    """Evidence of the likeliest image label alone: its similarity, times its probability.

    probabilities (…, n_image_labels), similarities (n_image_labels, classes); returns float32
    (…, classes) in [0, 1].

    >>> top_label(np.float32([[0.75, 0.25]]), np.float32([[0.5, 0], [0, 1]])).numpy().tolist()
    [[0.375, 0.0]]
    """
    probabilities = ops.cast(probabilities, "float32")
    top = ops.argmax(probabilities, axis=-1)
    rows = ops.take(_positive(similarities), top, axis=0)
    return ops.max(probabilities, axis=-1, keepdims=True) * rows


@keras.saving.register_keras_serializable(package="mmat")
def similarity_weighted(probabilities, similarities):
    """Evidence as the mean similarity under the image labels' probabilities.

    probabilities (…, n_image_labels), similarities (n_image_labels, classes); returns float32
    (…, classes) in [0, 1].

    >>> probabilities, similarities = np.float32([[0.75, 0.25]]), np.float32([[0.5, 0], [0, 1]])
    >>> similarity_weighted(probabilities, similarities).numpy().tolist()
    [[0.375, 0.25]]
    """
    return ops.matmul(ops.cast(probabilities, "float32"), _positive(similarities))


class _Saved:
    """What Keras needs to save a frozen dataclass, and to make it again."""

    def get_config(self):
        return dataclasses.asdict(self)

    @classmethod
    def from_config(cls, config):
        return cls(**config)


@keras.saving.register_keras_serializable(package="mmat")
@dataclasses.dataclass(frozen=True)
class Sharpened(_Saved):
    """Evidence as the mean of similarity ** power: far labels fade, however many they are.

    Call with probabilities (…, n_image_labels) and similarities (n_image_labels, classes); returns
    float32 (…, classes) in [0, 1].

    >>> probabilities, similarities = np.float32([[0.75, 0.25]]), np.float32([[0.5, 0], [0, 1]])
    >>> Sharpened(power=2)(probabilities, similarities).numpy().tolist()
    [[0.1875, 0.25]]
    """

    power: float = 16.0

    def __call__(self, probabilities, similarities):
        return similarity_weighted(probabilities, ops.power(_positive(similarities), self.power))


@keras.saving.register_keras_serializable(package="mmat")
@dataclasses.dataclass(frozen=True)
class Thresholded(_Saved):
    """Evidence as the mean similarity, where those under a threshold are 0, above it scaled to 1.

    Call with probabilities (…, n_image_labels) and similarities (n_image_labels, classes); returns
    float32 (…, classes) in [0, 1].

    >>> probabilities, similarities = np.float32([[0.75, 0.25]]), np.float32([[0.5, 0], [0, 1]])
    >>> Thresholded(threshold=0.5)(probabilities, similarities).numpy().tolist()
    [[0.0, 0.25]]
    """

    threshold: float = 0.6

    def __call__(self, probabilities, similarities):
        above = (_positive(similarities) - self.threshold) / (1 - self.threshold)
        return similarity_weighted(probabilities, above)


@keras.saving.register_keras_serializable(package="mmat")
@dataclasses.dataclass(frozen=True)
class LikeliestName(_Saved):
    """Evidence as the likeliest of the names of each class, for names that may be true together.

    The class's nearest name counts fully, others by `(similarity / the largest) ** power`; of them
    the `n_names` nearest count. A class without any similarity gets 0.
    Call with probabilities (…, n_names) and similarities (n_names, classes); returns float32
    (…, classes) in [0, 1].

    >>> probabilities, similarities = np.float32([[0.75, 0.25]]), np.float32([[0.4, 0], [0.8, 0]])
    >>> LikeliestName(power=1)(probabilities, similarities).numpy().tolist()
    [[0.375, 0.0]]
    """

    power: float = 16.0
    n_names: int = 16

    def __call__(self, probabilities, similarities):
        weights = ops.transpose(_relative(similarities, self.power))  # (classes, all names)
        weights, names = ops.top_k(weights, min(self.n_names, similarities.shape[0]))
        named = ops.take(ops.cast(probabilities, "float32"), names, axis=-1)
        return ops.max(named * weights, axis=-1)


@keras.saving.register_keras_serializable(package="mmat")
@dataclasses.dataclass(frozen=True)
class EqualPriors(_Saved):
    """Evidence as the sum of the names of each class, as if every class were equally common.

    For names of which one is true. The nearest name counts fully, others by `(similarity / the
    largest) ** power`. A class of many names (118 breeds of dog) gathers chance from all of them:
    its odds are divided by those of its share of the names, times those of `prior`.
    Call with probabilities (…, n_names) and similarities (n_names, classes); returns float32
    (…, classes) in [0, 1].

    >>> probabilities, similarities = np.float32([[0.5, 0.25, 0.25]]), np.float32(np.eye(3, 2))
    >>> EqualPriors(prior=1 / 3)(probabilities, similarities).numpy().round(3).tolist()
    [[0.5, 0.25]]
    """

    power: float = 16.0
    prior: float = 0.001

    def __call__(self, probabilities, similarities):
        weights = _relative(similarities, self.power)
        share = ops.clip(ops.mean(weights, axis=0), SMALLEST_SHARE, 1.0 - SMALLEST_SHARE)
        ratio = self.prior / (1.0 - self.prior) * (1.0 - share) / share
        summed = ops.minimum(similarity_weighted(probabilities, weights), 1.0)
        return summed * ratio / (1.0 - summed + summed * ratio)


def _relative(similarities, power: float):
    positive = _positive(similarities)
    largest = ops.max(positive, axis=0)
    return ops.power(positive / ops.where(largest > 0, largest, 1.0), power)


def _positive(similarities):
    return ops.clip(ops.cast(similarities, "float32"), 0.0, 1.0)


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
