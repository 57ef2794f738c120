"""A model from its folder, trained or exported, and what is wrong with a folder that holds none."""

import os
import pathlib
from typing import TYPE_CHECKING

from mmat.errors import InputError
from mmat.labels import LabelSet
from mmat.tasks import Task

if TYPE_CHECKING:  # an export needs none of mmat.models
    import keras

    from mmat.data.corpus import Corpus
    from mmat.models.bundle import Bundle

SIGNATURES = {"serving_default", "labels"}


def load_served(folder: str | os.PathLike):
    """Return a model whose `signatures` are those of `mmat.serving.served`, from its folder.

    folder: as `mmat.save` and the training scripts leave it, or `mmat export`. Raises InputError
    for a folder that holds neither, or a damaged one. A SavedModel is a program: load those of
    people you trust.
    """
    folder = pathlib.Path(folder)
    if not folder.is_dir():
        raise InputError(
            f"{folder}: no such folder; name one that a training or `mmat export` left"
        )
    if (folder / "model.keras").is_file():
        from mmat.models.bundle import load_bundle
        from mmat.serving.served import serve

        return serve(load_bundle(folder))
    if not _is_saved_model(folder):
        raise InputError(
            f"{folder}: no exported model here, and no trained one; name a folder that a training "
            "or `mmat export` left"
        )
    return load_export(folder)


def load_export(folder: pathlib.Path):
    """Return the SavedModel of an export; raises InputError for a damaged or a foreign one."""
    import tensorflow as tf

    try:
        model = tf.saved_model.load(str(folder))
    # File system, checkpoint and protocol buffer each bring exceptions of their own.
    except Exception as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise InputError(f"{folder}: a damaged export: {reason}; export it again") from error
    if not set(getattr(model, "signatures", ())) >= SIGNATURES:
        raise InputError(f"{folder}: a SavedModel, but not one that `mmat export` wrote")
    return model


def facts_of(signatures, name: str = "labels") -> dict:
    """Return what a signature without inputs tells of a model, as NumPy arrays by name."""
    return {key: fact.numpy() for key, fact in signatures[name]().items()}


def labels_of(facts: dict) -> LabelSet:
    """Return the label set of a model, without machine ids and synonyms, and with its task."""
    names = tuple(name.decode() for name in facts["labels"])
    # Exports of before tasks are multi-label.
    return LabelSet(names, task=Task.from_text(facts.get("task", b"").decode()))


def bundle_of(
    model: "str | os.PathLike | Bundle | keras.Model", shards: "str | os.PathLike | Corpus"
) -> "Bundle":
    """Return a model as a bundle that can be measured on prepared clips.

    model: a folder as `load_served` takes it, a bundle, or a Keras model, whose thresholds are then
    tuned on the validation clips of the corpus as `mmat.save` does. Of exports only those that hear
    alone can be measured, since shards hold no pictures, on clips of one length. Raises InputError
    for others, and as `load_served` and `mmat.save` do.
    """
    from mmat.data.corpus import Corpus
    from mmat.models.bundle import Bundle, load_bundle, tuned_bundle

    if isinstance(model, Bundle):
        return model
    if isinstance(model, str | os.PathLike):
        folder = pathlib.Path(model)
        return _bundle_of_export(folder, shards) if _is_saved_model(folder) else load_bundle(folder)
    if not isinstance(shards, Corpus):
        raise InputError(
            "a model has no thresholds by itself; give the corpus that `mmat.open_corpus` opens, "
            "or a folder that `mmat.save` wrote"
        )
    return tuned_bundle(model, shards)


def _bundle_of_export(folder: pathlib.Path, shards: "str | os.PathLike | Corpus") -> "Bundle":
    import keras

    from mmat.data.corpus import Corpus
    from mmat.data.shards import read_index
    from mmat.models.bundle import Bundle

    signatures = load_export(folder).signatures
    if set(signatures["serving_default"].structured_input_signature[1]) != {"waveform"}:
        raise InputError(
            f"{folder}: an export that looks at pictures, which shards do not hold; name the "
            "folder of the trained model that it came from"
        )
    index = shards.index if isinstance(shards, Corpus) else read_index(shards)
    if index["clip_seconds"] is None:
        raise InputError(
            f"{folder}: an export takes clips of one length at a time; name the folder of the "
            "trained model that it came from"
        )
    waveform = keras.Input((None, 1), name="waveform")
    outputs = keras.layers.TFSMLayer(str(folder), call_endpoint="serving_default")(waveform)
    outputs = {name: outputs[name] for name in ("clip", "frame")}
    facts = facts_of(signatures)
    return Bundle(
        keras.Model({"waveform": waveform}, outputs),
        labels_of(facts),
        facts["thresholds"],
        clip_seconds=float(facts["clip_seconds"]),
    )


def _is_saved_model(folder: pathlib.Path) -> bool:
    return (folder / "saved_model.pb").is_file() and not (folder / "model.keras").is_file()
