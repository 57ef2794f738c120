"""A model from its folder, trained or exported, and what is wrong with a folder that holds none.

Of an exported model TensorFlow alone is imported, none of the code that models are made of.
"""

import os
import pathlib

import numpy as np

from mmat.files import InputError, one_line
from mmat.labels import LabelSet, Task

SIGNATURES = {"serving_default", "labels"}  # that every export has


def load_served(folder: str | os.PathLike):
    """Return a model whose `signatures` are those of `mmat.export.savedmodel`, from its folder.

    folder: as `mmat.save` and the training scripts leave it, or `mmat export`. Raises InputError
    for a folder that holds neither, or a damaged one. A SavedModel is a program: load those of
    people you trust.
    """
    folder = pathlib.Path(folder)
    if not folder.is_dir():
        wrong = "a file, not a folder" if folder.exists() else "no such folder"
        raise InputError(f"{folder}: {wrong}; name one that a training or `mmat export` left")
    if (folder / "model.keras").is_file():
        from mmat.export.savedmodel import serve
        from mmat.models.bundle import load_bundle

        bundle = load_bundle(folder)
        try:
            return serve(bundle)
        except InputError:
            raise
        # Layers that do not fit each other show here, each in its own exception.
        except Exception as error:
            reason = one_line(error, 200)
            raise InputError(f"{folder}: not a usable model: {reason}; train it again") from error
    if not is_export(folder):
        raise InputError(
            f"{folder}: no exported model here, and no trained one; name a folder that a training "
            "or `mmat export` left"
        )
    return load_export(folder)


def is_export(folder: pathlib.Path) -> bool:
    """Return whether a folder holds a SavedModel and no trained model."""
    return (folder / "saved_model.pb").is_file() and not (folder / "model.keras").is_file()


def load_export(folder: pathlib.Path):
    """Return the SavedModel of an export; raises InputError for a damaged one or another's."""
    import tensorflow as tf

    try:
        model = tf.saved_model.load(str(folder))
    # File system, checkpoint and protocol buffer each bring exceptions of their own.
    except Exception as error:
        reason = one_line(error, 200)
        raise InputError(f"{folder}: a damaged export: {reason}; export it again") from error
    signatures = getattr(model, "signatures", {})
    if not set(signatures) >= SIGNATURES:
        raise InputError(f"{folder}: a SavedModel, but not one that `mmat export` wrote")
    _check_facts(folder, signatures)
    return model


def _check_facts(folder: pathlib.Path, signatures) -> None:
    """Raise InputError where the facts of an export make no sense."""
    try:
        facts = facts_of(signatures)
        labels, thresholds = labels_of(facts), facts["thresholds"]
        numbers = [facts[name].item() for name in ("clip_seconds", "n_frames", "image_size_px")]
    except Exception as error:  # a graph of another's may hold anything
        raise InputError(
            f"{folder}: a SavedModel, but not one that `mmat export` wrote: {one_line(error, 200)}"
        ) from error
    in_order = thresholds.shape == (len(labels),) and np.isfinite([*thresholds, *numbers]).all()
    if not (in_order and numbers[0] > 0 and min(numbers[1:]) >= 0):
        raise InputError(
            f"{folder}: a damaged export: its labels, thresholds and lengths do not belong "
            "together; export it again"
        )


def facts_of(signatures, name: str = "labels") -> dict:
    """Return the outputs of a signature without inputs, facts of the model, as NumPy arrays."""
    return {key: fact.numpy() for key, fact in signatures[name]().items()}


def labels_of(facts: dict) -> LabelSet:
    """Return the label set of a model, without machine ids and synonyms, and with its task."""
    names = tuple(name.decode() for name in facts["labels"])
    # Exports made before there were tasks are multi-label.
    return LabelSet(names, task=Task.from_text(facts.get("task", b"").decode()))
