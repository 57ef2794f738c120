"""How near the names that two networks know come to a label: by ear and by eye."""

import dataclasses

import numpy as np

from mmat.labels import LabelSet
from mmat.models.label_map import imagenet_hypernyms, matched_similarities, sound_label_names
from mmat.models.names import IMAGE_FLOOR, SOUND_FLOOR
from mmat.pretrained.registry import image_network, yamnet
from mmat.pretrained.text import TextEncoder, embedded_text_encoder

EAR, EYE = "ear", "eye"
SURE = 0.8  # cosine under which a name is a guess: 6 of 7 wrong ones of ESC-50's labels are


@dataclasses.dataclass(frozen=True)
class NearName:
    """A name that a network knows, and how near it is to a label.

    sense: `EAR` or `EYE`, the network's. cosine: 1 for the same name, and for what an everyday word
    means. is_meant: whether the label takes its scores from this name.
    """

    name: str
    sense: str
    cosine: float
    is_meant: bool

    @property
    def is_guess(self) -> bool:
        """Whether a label would take its scores from a name that is not near enough to be sure."""
        return self.is_meant and self.cosine < SURE


def nearest_names(
    label: str,
    n_names: int = 3,
    network: str = "efficientnet_lite0",
    text_encoder: TextEncoder | None = None,
) -> list[NearName]:
    """Return the names nearest to a label, `n_names` by ear and then as many by eye, nearest first.

    Of a label that is a name, or an everyday word, only what it is. network: the image network's
    name. text_encoder: default the embedded one, loaded only for labels that no network knows by
    name. Raises InputError where weights were not fetched.

    >>> nearest_names("woof", 1)[0]
    NearName(name='Bark', sense='ear', cosine=1.0, is_meant=True)
    """
    asked = LabelSet.of([label])
    found = _near(asked, n_names, network, text_encoder)
    return [near for (of_label,) in found for near in of_label]


def guessed_names(
    labels: LabelSet, network: str = "efficientnet_lite0", text_encoder: TextEncoder | None = None
) -> dict[str, list[NearName]]:
    """Return, of the labels whose nearest name is a guess to a network, that name a network.

    What `mmat.models.names.zero_shot_bundle` makes of such labels may be wrong; labels that nothing
    is near to are not among them (`unmapped_labels`). Raises InputError as `nearest_names` does.

    >>> guessed_names(LabelSet.of(["Dog", "Washing machine"]))["Washing machine"][0].name
    'Sewing machine'
    """
    guessed = {}
    for of_sense in _near(labels, 1, network, text_encoder):
        for label, nearest in zip(labels.names, of_sense, strict=True):
            if nearest and nearest[0].is_guess:
                guessed.setdefault(label, []).append(nearest[0])
    return guessed


def _near(
    labels: LabelSet, n_names: int, network: str, text_encoder: TextEncoder | None
) -> list[list[list[NearName]]]:
    """Of each sense, of each label the nearest names, nearest first."""
    heard, seen = LabelSet.of(yamnet.labels()), image_network(network).labels()
    heard = [sound_label_names(heard, i) for i in range(len(heard))]
    encoder = (lambda: text_encoder) if text_encoder else embedded_text_encoder
    by_ear = matched_similarities(heard, labels, encoder, 0.0, heard=True)
    by_eye = matched_similarities(seen, labels, encoder, 0.0, imagenet_hypernyms())
    return [
        [_nearest(x, names, sense, floor)[:n_names] for x in cosines.T]
        for cosines, names, sense, floor in (
            (by_ear, heard, EAR, SOUND_FLOOR),
            (by_eye, seen, EYE, IMAGE_FLOOR),
        )
    ]


def _nearest(cosines: np.ndarray, names, sense: str, floor: float) -> list[NearName]:
    order = np.argsort(-cosines, kind="stable")
    return [
        NearName(names[k][0], sense, float(cosines[k]), bool(cosines[k] >= floor))
        for k in order[cosines[order] > 0]
    ]
