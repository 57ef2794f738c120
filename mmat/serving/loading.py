"""An exported model from its folder, and what is wrong with a folder that holds none."""

import pathlib

from mmat.errors import InputError

SIGNATURES = {"serving_default", "labels"}


def load_export(folder: pathlib.Path):
    """Load a SavedModel that `mmat export` wrote; raises InputError for what is none.

    A SavedModel is a program: load those of people you trust.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; name one that `mmat export` wrote")
    if (folder / "model.keras").is_file():
        raise InputError(
            f"{folder}: a trained model that is not exported yet; run "
            f"`mmat export {folder} --out EXPORT` and name that folder"
        )
    if not (folder / "saved_model.pb").is_file():
        raise InputError(f"{folder}: no exported model here; name a folder `mmat export` wrote")
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
