"""A trained model in a folder, with what is needed to use it: labels, thresholds, its pictures."""

import dataclasses
import json
import os
import pathlib
import zipfile
import zlib
from collections.abc import Collection, Iterator

import numpy as np

from mmat.archives import check_zip
from mmat.errors import InputError, atomic_path
from mmat.labels import LabelSet

MODEL_FILE, RECORD_FILE, LABELS_FILE = "model.keras", "tagger.json", "labels.csv"


@dataclasses.dataclass(frozen=True)
class Bundle:
    """A model of `mmat.models` and how to use it.

    model: inputs and outputs as `audio_branch`, `video_branch` or `fused_model` give them.
    thresholds: float32 `(classes,)`, a class fires at `clip >= threshold`. image_network: the name
    of the record whose probabilities the video branch reads, empty without one. figures: what was
    measured, name to number, for the model card.
    """

    model: "keras.Model"  # noqa: F821 - Keras is imported where a model is loaded
    labels: LabelSet
    thresholds: np.ndarray
    image_network: str = ""
    n_frames: int = 8
    clip_seconds: float = 10.0
    figures: dict = dataclasses.field(default_factory=dict)


def save_bundle(folder: str | os.PathLike, bundle: Bundle) -> None:
    """Write a bundle as `model.keras`, `labels.csv` and `tagger.json`, all or nothing."""
    record = {
        "thresholds": [float(threshold) for threshold in bundle.thresholds],
        "image_network": bundle.image_network,
        "n_frames": bundle.n_frames,
        "clip_seconds": bundle.clip_seconds,
        "figures": bundle.figures,
    }
    with atomic_path(folder) as part:
        part.mkdir()
        bundle.model.save(part / MODEL_FILE)
        bundle.labels.to_csv(part / LABELS_FILE)
        (part / RECORD_FILE).write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def load_bundle(folder: str | os.PathLike, trusted_handles: Collection[str] = ()) -> Bundle:
    """Read what `save_bundle` wrote, in Keras's safe mode.

    A model file may name a pretrained network by its handle, which is code that would run here:
    loaded are those that mmat embeds, and `trusted_handles`. Raises InputError where a file is
    missing or damaged, and for a model file that would run something else.
    """
    import keras

    import mmat.models.all_layers  # noqa: F401 - registers what the file names

    folder = pathlib.Path(folder)
    for name in (MODEL_FILE, RECORD_FILE, LABELS_FILE):
        if not (folder / name).is_file():
            raise InputError(f"{folder}: no trained model here, {name} is missing; train one first")
    try:
        record = json.loads((folder / RECORD_FILE).read_text(encoding="utf-8"))
        _refuse_foreign(folder, trusted_handles)
        model = keras.models.load_model(folder / MODEL_FILE, compile=False, safe_mode=True)
        record["thresholds"] = np.float32(record["thresholds"])
        bundle = Bundle(model=model, labels=LabelSet.from_csv(folder / LABELS_FILE), **record)
    except InputError:
        raise
    except (ValueError, TypeError, KeyError, OSError, zipfile.BadZipFile, zlib.error) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        if "safe_mode" in reason:  # Keras tells how to run it all the same
            reason = "the model holds code that would run here; refused"
        raise InputError(f"{folder}: not a readable model: {reason}; train it again") from error
    if len(bundle.labels) != len(bundle.thresholds):
        raise InputError(f"{folder}: labels and thresholds differ in number; train it again")
    return bundle


def _refuse_foreign(folder: pathlib.Path, trusted_handles: Collection[str]) -> None:
    """Raise InputError where a model file names a network from elsewhere, or unpacks without end.

    The embedded networks' handles are names, and lead to weights that were checked by sha256.
    """
    with zipfile.ZipFile(folder / MODEL_FILE) as archive:
        check_zip(archive, folder / MODEL_FILE)
        configuration = json.loads(archive.read("config.json"))
    for handle in _handles(configuration):
        if handle not in trusted_handles and not str(handle).startswith("embedded:"):
            raise InputError(
                f"{folder}: its model would load and run {handle!r}; if you trust that, name it: "
                f"load_bundle(folder, trusted_handles=[{handle!r}])"
            )


def _handles(configuration) -> Iterator[str]:
    """Yield what stands under `handle` anywhere in a model's configuration."""
    if isinstance(configuration, dict):
        if "handle" in configuration:
            yield configuration["handle"]
        configuration = list(configuration.values())
    if isinstance(configuration, list):
        for part in configuration:
            yield from _handles(part)
