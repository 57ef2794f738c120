"""Any labels, mapped to the names of two pretrained networks: what untrained tagging starts from.

YAMNet names what it hears by 521 names of AudioSet, the image network what it sees by ImageNet's
1000. All of it is NumPy: neither TensorFlow nor Keras is imported.
"""

import dataclasses
from collections.abc import Callable

import numpy as np

from mmat.labels import MULTI_LABEL, LabelSet
from mmat.metrics.thresholds import NEVER_FIRES
from mmat.models.label_map import imagenet_hypernyms, matched_similarities, sound_label_names
from mmat.pretrained.registry import AudioEncoder, ImageNetwork, yamnet
from mmat.pretrained.text import TextEncoder, embedded_text_encoder

SOUND_FLOOR, IMAGE_FLOOR = 0.65, 0.75  # cosines under which a name has nothing to do with a label
THRESHOLD = 0.047
N_FRAMES = 8  # pictures that are looked at


@dataclasses.dataclass(frozen=True)
class NameMaps:
    """Labels with what the names of both networks mean to them.

    labels: multi-label. hears: float32 `(n_sound_labels, classes)`, sees: float32
    `(n_image_labels, classes)`, both in [0, 1]; see `sound_similarities`. thresholds: float32
    `(classes,)`, one that never fires for a label that neither network knows anything near to.
    """

    labels: LabelSet
    hears: np.ndarray
    sees: np.ndarray
    thresholds: np.ndarray


def name_maps(
    labels: LabelSet,
    sound: AudioEncoder,
    image: ImageNetwork,
    text_encoder: TextEncoder | None = None,
    threshold: float = THRESHOLD,
) -> NameMaps:
    """Return the maps of labels, which are judged each by itself, whatever their task.

    text_encoder: default the embedded one, loaded only for labels that no network knows by name.
    Raises InputError where weights were not fetched.

    >>> from mmat.pretrained.registry import efficientnet_lite0
    >>> maps = name_maps(LabelSet.of(["Dog", "Quarterly tax return"]), yamnet, efficientnet_lite0)
    >>> maps.hears.shape, maps.sees.shape, (maps.thresholds < 1).tolist()
    ((521, 2), (1000, 2), [True, False])
    """
    labels = dataclasses.replace(labels, task=MULTI_LABEL)
    hears = sound_similarities(labels, sound, text_encoder)
    sees = image_similarities(labels, image, text_encoder)
    mapped = hears.any(axis=0) | sees.any(axis=0)
    return NameMaps(labels, hears, sees, np.where(mapped, np.float32(threshold), NEVER_FIRES))


def sound_similarities(
    labels: LabelSet, encoder: AudioEncoder = yamnet, text_encoder: TextEncoder | None = None
) -> np.ndarray:
    """Return how much each name of an audio network's scores means each label.

    Float32 `(n_sound_labels, classes)` in [0, 1], 0 where a name has nothing to do with a label;
    without rows where the names of the scores are not known. text_encoder: default the embedded
    one, loaded only for labels that the network does not know by name. Raises InputError where
    weights were not fetched.

    >>> sound_similarities(LabelSet.of(["Dog", "Quarterly tax return"])).max(axis=0).tolist()
    [1.0, 0.0]
    """
    heard = encoder.labels()
    if not heard:
        return np.zeros((0, len(labels)), np.float32)
    heard = LabelSet.of(heard)
    names = [sound_label_names(heard, index) for index in range(len(heard))]
    return matched_similarities(names, labels, _encoder(text_encoder), SOUND_FLOOR, heard=True)


def image_similarities(
    labels: LabelSet, network: ImageNetwork, text_encoder: TextEncoder | None = None
) -> np.ndarray:
    """Return how much each image label means each label, as `sound_similarities` does."""
    names = network.labels()
    return matched_similarities(
        names, labels, _encoder(text_encoder), IMAGE_FLOOR, imagenet_hypernyms()
    )


def _encoder(text_encoder: TextEncoder | None) -> Callable[[], TextEncoder]:
    return embedded_text_encoder if text_encoder is None else lambda: text_encoder
