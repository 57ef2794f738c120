"""A trained bundle becomes a SavedModel that answers with nothing but TensorFlow and NumPy.

Its signatures are those of `mmat.serving.served`; the labels lie in it as an asset, and a model
card as `README.md`.
"""

import os
import pathlib
import tempfile

import tensorflow as tf

from mmat.errors import InputError, atomic_path
from mmat.models.bundle import LABELS_FILE, SAVED_MODEL_FILE, Bundle
from mmat.serving.card import model_card
from mmat.serving.served import serve


def export_saved_model(bundle: Bundle, folder: str | os.PathLike) -> pathlib.Path:
    """Write a bundle as a SavedModel with labels, thresholds and a model card; return its folder.

    An audio-only model has the input `waveform` alone, a video-only model `frames` alone. The
    folder appears whole or not at all; an earlier export there is replaced. Raises InputError for
    a folder that holds something else, and for an image network that cannot be loaded.

    >>> from mmat.labels import LabelSet
    >>> from mmat.models.audio import audio_branch
    >>> bundle = Bundle(audio_branch(2), LabelSet.of(["Dog", "Cat"]), thresholds=[0.5, 0.5])
    >>> folder = export_saved_model(bundle, tempfile.mkdtemp() + "/export")
    >>> sorted(path.name for path in folder.iterdir() if path.suffix)
    ['README.md', 'fingerprint.pb', 'saved_model.pb']
    """
    folder = pathlib.Path(folder)
    _check_target(folder)
    served = serve(bundle)
    with atomic_path(folder) as part, tempfile.TemporaryDirectory() as workplace:
        labels_csv = pathlib.Path(workplace) / LABELS_FILE
        bundle.labels.to_csv(labels_csv)
        served.module.labels_file = tf.saved_model.Asset(str(labels_csv))
        tf.saved_model.save(served.module, str(part), signatures=served.signatures)
        (part / "README.md").write_text(model_card(bundle, served), encoding="utf-8")
    return folder


def _check_target(folder: pathlib.Path) -> None:
    if folder.is_dir():
        if any(folder.iterdir()) and not (folder / SAVED_MODEL_FILE).is_file():
            raise InputError(f"{folder}: holds something other than an export; name a new folder")
    elif folder.exists():
        raise InputError(f"{folder}: is a file; name a new folder for the export")
