"""A trained model in a folder, with what its use needs: labels, thresholds, the image network.

`save` writes such a folder, `load_bundle` reads it; every layer that a model file may name is
registered with Keras under its name and its former name.
"""

import dataclasses
import json
import math
import os
import pathlib
import reprlib
from collections.abc import Collection
from typing import TYPE_CHECKING

import numpy as np

from mmat.files import InputError, atomic_path, one_line
from mmat.labels import FRAME_HZ, LabelSet
from mmat.models.model_file import read_json, read_model

if TYPE_CHECKING:
    import keras

    from mmat.shards.corpus import Corpus

MODEL_FILE, RECORD_FILE, LABELS_FILE = "model.keras", "tagger.json", "labels.csv"
SAVED_MODEL_FILE = "saved_model.pb"  # of an export
CLIPS_AT_ONCE = 32  # in validation
MOST_FRAMES, MOST_SECONDS = 10_000, 86_400  # of a clip
FLOAT32_MAX = float(np.finfo(np.float32).max)
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
    loaded are those that mmat embeds, and `trusted_handles`. Its layers are Keras's own, without
    those that run or read something else, and those registered in this process. Raises InputError
    where a file is missing or damaged or holds what makes no sense, and for a model file that
    would run something else.
    """
    folder = pathlib.Path(folder)
    if (folder / SAVED_MODEL_FILE).is_file() and not (folder / MODEL_FILE).is_file():
        raise InputError(
            f"{folder}: is exported already; name the folder of the trained model that it came from"
        )
    for name in (MODEL_FILE, RECORD_FILE, LABELS_FILE):
        if not (folder / name).is_file():
            raise InputError(f"{folder}: no trained model here, {name} is missing; train one first")
    try:
        return _read_bundle(folder, trusted_handles)
    except InputError:
        raise
    # A damaged file brings nearly any exception out of Keras, h5py and TensorFlow.
    except Exception as error:
        reason = one_line(error, 200)
        raise InputError(f"{folder}: not a readable model: {reason}; train it again") from error


def _read_bundle(folder: pathlib.Path, trusted_handles: Collection[str]) -> Bundle:
    """Return the bundle; raises nearly anything where its files are damaged."""
    register_layers()
    labels = LabelSet.from_csv(folder / LABELS_FILE)
    with open(folder / RECORD_FILE, "rb") as file:
        record = _checked_record(read_json(file, RECORD_FILE))
    model = read_model(folder / MODEL_FILE, trusted_handles)
    for name, rank in {"clip": 2, "frame": 3}.items():
        if len(model.output[name].shape) != rank:
            raise ValueError(f"{MODEL_FILE}: its output {name!r} has not {rank} axes")
    if not all(np.isfinite(weights).all() for weights in model.get_weights()):
        raise ValueError(f"{MODEL_FILE}: there is NaN or infinity among its weights")
    n_classes = {x.shape[-1] for x in (model.output["clip"], model.output["frame"])}
    if n_classes | {len(record["thresholds"])} != {len(labels)}:
        raise ValueError(
            f"labels and thresholds differ in number, or from the model's classes: {len(labels)} "
            f"labels, {len(record['thresholds'])} thresholds, {max(n_classes)} classes"
        )
    return Bundle(model=model, labels=labels, **record)


def _checked_record(record) -> dict:
    """Return what RECORD_FILE holds as fields of a Bundle; raises ValueError for nonsense."""
    if not isinstance(record, dict):
        raise ValueError(f"{RECORD_FILE}: no object with names in it")
    if "thresholds" not in record:
        raise ValueError(f"{RECORD_FILE}: 'thresholds' is missing")
    for name, value in record.items():
        if name not in SENSIBLE:
            raise ValueError(f"{RECORD_FILE}: {name[:40]!r} is no field of it")
        expected, is_sensible = SENSIBLE[name]
        if not is_sensible(value):
            raise ValueError(f"{RECORD_FILE}: {name}: {reprlib.repr(value)}, expected {expected}")
    return record | {"thresholds": np.float32(record["thresholds"])}


def _is_number(x, low: float = -FLOAT32_MAX, high: float = FLOAT32_MAX) -> bool:
    return type(x) in (int, float) and low <= x <= high


# What each field of RECORD_FILE may hold, in words and as a test.
SENSIBLE = {
    "thresholds": (
        "a list of finite numbers",
        lambda x: isinstance(x, list) and all(map(_is_number, x)),
    ),
    "image_network": ("a name", lambda x: isinstance(x, str)),
    "n_frames": (
        f"a whole number of pictures, at most {MOST_FRAMES}",
        lambda x: type(x) is int and 0 <= x <= MOST_FRAMES,
    ),
    "clip_seconds": (
        f"a duration from 0.1 s to {MOST_SECONDS} s",
        lambda x: _is_number(x, 1 / FRAME_HZ, MOST_SECONDS),
    ),
    "figures": ("names and numbers", lambda x: isinstance(x, dict)),
}


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
    import mmat.models.rivals
    import mmat.models.sound_timing
    import mmat.models.video  # noqa: F401 - each registers its own

    known = keras.saving.get_custom_objects()
    for name, former in FORMER_NAMES.items():
        known[f"mmat>{former}"] = known[f"mmat>{name}"]
