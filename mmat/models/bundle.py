"""A trained model in a folder, with what its use needs: labels, thresholds, the image network.

`save` writes such a folder, `load_bundle` reads it; every layer that a model file may name is
registered with Keras under its name and its former name.
"""

import dataclasses
import json
import math
import os
import pathlib
import zipfile
import zlib
from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING

import numpy as np

from mmat.files import InputError, atomic_path, check_zip
from mmat.labels import LabelSet

if TYPE_CHECKING:
    import keras

    from mmat.shards.corpus import Corpus

MODEL_FILE, RECORD_FILE, LABELS_FILE = "model.keras", "tagger.json", "labels.csv"
SAVED_MODEL_FILE = "saved_model.pb"  # of an export
CLIPS_AT_ONCE = 32  # in validation
# Layers by the names that older model files and checkpoints hold; new name: former name.
FORMER_NAMES = {"ValidSteps": "OwnSteps", "MaskPadding": "ZeroBeyond", "L2Toward": "PullTo"}


@dataclasses.dataclass(frozen=True)
class Bundle:
    """A model of `mmat.models` and how to use it.

    model: inputs and outputs as `audio_branch`, `video_branch` or `fused_model` give them.
    thresholds: float32 `(classes,)`, a class fires at `clip >= threshold`. image_network: the name
    of the record whose probabilities the video branch reads, empty without one. figures: what was
    measured, name to number, for the model card.
    """

    model: "keras.Model"
    labels: LabelSet
    thresholds: np.ndarray
    image_network: str = ""
    n_frames: int = 8
    clip_seconds: float = 10.0
    figures: dict = dataclasses.field(default_factory=dict)


def save(model: "keras.Model", folder: str | os.PathLike, corpus: "Corpus") -> Bundle:
    """Write a trained model with all that its use needs, in a folder that every command takes.

    The validation clips of the corpus are predicted once. What comes of it is written with the
    model: figures, and where a clip may have several labels a decision threshold for each, tuned
    to the best micro F1. Labels, task, image network and the length of clips are the corpus's.
    `mmat.load`, `mmat tag`, `mmat evaluate`, `mmat export` and `mmat app` take the folder.

    model: outputs `clip` and `frame` as `audio_branch`, `video_branch` and `fused_model` give them.
    folder: appears whole or not at all; what is there already is replaced. Raises InputError for a
    model of other labels, and without a validation clip that has what the model needs.

        corpus = mmat.open_corpus("shards")
        mmat.save(model, "dogs", corpus)
        print(mmat.load("dogs").tag("clip.mp4"))
    """
    bundle = tuned_bundle(model, corpus)
    save_bundle(folder, bundle)
    return bundle


def tuned_bundle(model: "keras.Model", corpus: "Corpus") -> Bundle:
    """Return what `save` writes."""
    import keras

    from mmat.labels import MULTI_LABEL
    from mmat.lists.splits import VALIDATION
    from mmat.metrics.decisions import decide
    from mmat.metrics.tagging import figures
    from mmat.metrics.thresholds import tune_thresholds
    from mmat.models.predict import Predictor
    from mmat.shards.corpus import TRAIN

    _check_outputs(model, corpus.labels)
    # The same weights, without the state of an optimizer.
    plain = keras.Model(model.input, model.output, name=model.name)
    predictor = Predictor(plain, corpus.task, batch_size=CLIPS_AT_ONCE)
    names = [*predictor.inputs, *predictor.flags]
    truth, scores, _ = predictor.on_validation(corpus.once(VALIDATION, names, CLIPS_AT_ONCE))
    task, n_classes = corpus.task, len(corpus.labels)
    if task == MULTI_LABEL:
        thresholds = tune_thresholds(truth, scores)
    else:  # none that decides: below every score
        thresholds = np.full(n_classes, task.low, np.float32)
    found = figures(task, truth, decide(task, scores, thresholds), scores)
    # JSON has no word for what is not defined.
    kept = {f"validation_{name}": x if math.isfinite(x) else None for name, x in found.items()}
    kept["data"] = (
        f"{corpus.index['splits'][TRAIN]['clips']} clips prepared in {corpus.folder.name}"
    )
    sees = "image_probabilities" in plain.input
    return Bundle(
        plain,
        corpus.labels,
        thresholds,
        corpus.index["image_network"] if sees else "",
        corpus.index["n_frames"],
        corpus.clip_seconds,
        kept,
    )


def _check_outputs(model: "keras.Model", labels: LabelSet) -> None:
    outputs = model.output if isinstance(model.output, dict) else {}
    for name in ("clip", "frame"):
        if name not in outputs:
            raise InputError(f"save: the model has no output {name!r}; build it by `audio_branch`")
        n_classes = outputs[name].shape[-1]
        if n_classes != len(labels):
            raise InputError(
                f"save: the model has {n_classes} classes, the corpus {len(labels)} labels; give "
                "the corpus that it learnt from"
            )


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

    folder = pathlib.Path(folder)
    if (folder / SAVED_MODEL_FILE).is_file() and not (folder / MODEL_FILE).is_file():
        raise InputError(
            f"{folder}: is exported already; name the folder of the trained model that it came from"
        )
    for name in (MODEL_FILE, RECORD_FILE, LABELS_FILE):
        if not (folder / name).is_file():
            raise InputError(f"{folder}: no trained model here, {name} is missing; train one first")
    register_layers()
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
        if "safe_mode" in reason:  # Keras suggests how to run it all the same
            reason = "the model holds code that would run here; refused"
        raise InputError(f"{folder}: not a readable model: {reason}; train it again") from error
    if len(bundle.labels) != len(bundle.thresholds):
        raise InputError(f"{folder}: labels and thresholds differ in number; train it again")
    return bundle


def _refuse_foreign(folder: pathlib.Path, trusted_handles: Collection[str]) -> None:
    """Raise InputError where a model file names an untrusted network, or unpacks without end.

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


def register_layers() -> None:
    """Register mmat's layers with Keras; call it before a saved model is read.

    >>> import keras
    >>> register_layers()
    >>> keras.saving.get_registered_object("mmat>OwnSteps").__name__
    'ValidSteps'
    """
    import keras

    import mmat.models.audio
    import mmat.models.augment
    import mmat.models.features
    import mmat.models.fusion
    import mmat.models.label_map
    import mmat.models.learnt
    import mmat.models.outputs
    import mmat.models.pooling
    import mmat.models.video  # noqa: F401 - each registers its own

    known = keras.saving.get_custom_objects()
    for name, former in FORMER_NAMES.items():
        known[f"mmat>{former}"] = known[f"mmat>{name}"]
