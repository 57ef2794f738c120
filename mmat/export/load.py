"""A model from its folder or file, trained or exported, and what is wrong where there is none.

Of an exported model TensorFlow alone is imported, none of the code that models are made of, and of
a LiteRT file not even TensorFlow.
"""

import os
import pathlib

import numpy as np

from mmat.export.served import Facts, ServedModel
from mmat.export.tflite_file import TFLiteTagger
from mmat.files import InputError, one_line
from mmat.labels import LabelSet, Task

TFLITE_SUFFIX = ".tflite"
SIGNATURES = {"serving_default", "labels"}  # that every export has


class GraphModel:
    """Signatures of TensorFlow, those of `mmat.export.savedmodel`, as a `ServedModel`.

    module: what has `signatures`, and holds their variables.
    """

    def __init__(self, module):
        # The module is held here: without it its signatures lose their variables.
        self._module, self.signatures = module, module.signatures
        self.facts = facts_of(self.signatures)
        has_maps = "label_maps" in self.signatures
        self.label_maps = constants_of(self.signatures, "label_maps") if has_maps else {}
        taken = self.signatures["serving_default"].structured_input_signature[1]
        self.inputs = frozenset(taken)

    def serve(self, **inputs: np.ndarray) -> dict[str, np.ndarray]:
        """Return the outputs for clips; see `ServedModel`."""
        return self._answer("serving_default", inputs)

    def audio_only(self, waveform: np.ndarray) -> dict[str, np.ndarray]:
        """Return the outputs for sound alone; see `ServedModel`."""
        return self._answer("audio_only", {"waveform": waveform})

    def _answer(self, name: str, inputs: dict) -> dict[str, np.ndarray]:
        import tensorflow as tf

        outputs = self.signatures[name](**{key: tf.constant(x) for key, x in inputs.items()})
        return {key: output.numpy() for key, output in outputs.items()}


def load_served(path: str | os.PathLike, float32_mel: bool = False) -> ServedModel:
    """Return a model that answers, from its folder or its LiteRT file.

    path: a folder as `mmat.save` and the training scripts leave it, or `mmat export`, or a file
    that ends in `.tflite`. float32_mel: as of `mmat.export.savedmodel.serve`; a LiteRT file's
    log-mel is in float32 anyway. Raises InputError for what is neither, or damaged, and for a
    SavedModel where `float32_mel` is asked. A SavedModel is a program: load those of people you
    trust.
    """
    folder = pathlib.Path(path)
    if folder.suffix == TFLITE_SUFFIX and folder.is_file():
        return TFLiteTagger(folder, threads=None)
    if not folder.is_dir():
        wrong = "a file, not a folder" if folder.exists() else "no such folder"
        raise InputError(
            f"{folder}: {wrong}; name one that a training or `mmat export` left, or a "
            f"{TFLITE_SUFFIX} file"
        )
    if (folder / "model.keras").is_file():
        return _trained(folder, float32_mel)
    if not is_export(folder):
        raise InputError(
            f"{folder}: no exported model here, and no trained one; name a folder that a training "
            "or `mmat export` left"
        )
    if float32_mel:
        raise InputError(
            f"{folder}: an export, whose log-mel stays as it is; leave float32_mel out, or export "
            "the trained model with it"
        )
    return GraphModel(load_export(folder))


def _trained(folder: pathlib.Path, float32_mel: bool) -> GraphModel:
    from mmat.export.savedmodel import serve
    from mmat.models.bundle import load_bundle

    bundle = load_bundle(folder)
    try:
        return GraphModel(serve(bundle, float32_mel))
    except InputError:
        raise
    # Layers that do not fit each other show here, each in its own exception.
    except Exception as error:
        reason = one_line(error, 200)
        raise InputError(f"{folder}: not a usable model: {reason}; train it again") from error


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
        are_sound = facts_of(signatures).are_sound
    except Exception as error:  # a graph of another's may hold anything
        raise InputError(
            f"{folder}: a SavedModel, but not one that `mmat export` wrote: {one_line(error, 200)}"
        ) from error
    if not are_sound:
        raise InputError(
            f"{folder}: a damaged export: its labels, thresholds and lengths do not belong "
            "together; export it again"
        )


def facts_of(signatures) -> Facts:
    """Return what a model's signature `labels` says, labels without machine ids and synonyms."""
    said = constants_of(signatures, "labels")
    names = tuple(name.decode() for name in said["labels"])
    # Exports made before there were tasks are multi-label.
    labels = LabelSet(names, task=Task.from_text(said.get("task", b"").decode()))
    # The shortest decimal of the float32: 3.1 s is no 3.0999999, or windows would follow each other
    # otherwise than where it is in double precision, such as in a LiteRT file.
    clip_seconds = float(str(np.float32(said["clip_seconds"].item())))
    numbers = (said[name].item() for name in ("n_frames", "image_size_px"))
    return Facts(labels, said["thresholds"], clip_seconds, *numbers)


def constants_of(signatures, name: str) -> dict:
    """Return the outputs of a signature without inputs as NumPy arrays by name."""
    return {key: fact.numpy() for key, fact in signatures[name]().items()}
