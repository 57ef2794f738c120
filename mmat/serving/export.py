"""A trained bundle becomes a SavedModel that answers with nothing but TensorFlow and NumPy.

Signature `serving_default`. Inputs, by name, those that the model has:

- `waveform` float32 `(batch, samples, 1)`, 16 kHz mono in [-1, 1], any length;
- `frames` uint8 `(batch, n_frames, height, width, 3)` RGB, any number and size; the image network
  is inside;
- `has_audio`, `has_video` bool `(batch,)`, fused models only. A clip without one of the two still
  needs a tensor there: one black frame of any size, or silence of the clip's length.

Outputs, by name: `clip` float32 and `fired` bool `(batch, classes)`, `frame` float32 `(batch, time,
classes)` at 10 Hz, and of fused models `audio` and `video` float32 `(batch, classes)`.

Signature `labels`, without inputs: `labels` string and `thresholds` float32 `(classes,)`;
`clip_seconds` float32, `sample_rate_hz`, `n_frames` and `image_size_px` int32: how long a clip and
how many pictures of which size it was trained with, the last two 0 for a model without pictures.
"""

import os
import pathlib
import tempfile

import tensorflow as tf

from mmat.data.media import SAMPLE_RATE_HZ
from mmat.errors import InputError, atomic_path
from mmat.models.bundle import LABELS_FILE, Bundle
from mmat.models.pretrained.audio_hub import HubAudioEncoder
from mmat.models.pretrained.hub import HubImageClassifier
from mmat.models.pretrained.registry import ImageNetwork, image_network
from mmat.serving.card import model_card

SAVED_MODEL_FILE = "saved_model.pb"
INPUTS = {
    "waveform": tf.TensorSpec((None, None, 1), tf.float32, "waveform"),
    "frames": tf.TensorSpec((None, None, None, None, 3), tf.uint8, "frames"),
    "has_audio": tf.TensorSpec((None,), tf.bool, "has_audio"),
    "has_video": tf.TensorSpec((None,), tf.bool, "has_video"),
}


def export_saved_model(bundle: Bundle, folder: str | os.PathLike) -> pathlib.Path:
    """Write a bundle as a SavedModel with labels, thresholds and a model card; return its folder.

    An audio-only model has the input `waveform` alone, a video-only model `frames` alone. The
    folder appears whole or not at all; an earlier export there is replaced. Raises InputError for
    a folder that holds something else, for an image network that cannot be loaded, and for a model
    built with `ragged=True`.

    >>> from mmat.labels import LabelSet
    >>> from mmat.models.audio import audio_branch
    >>> bundle = Bundle(audio_branch(2), LabelSet.of(["Dog", "Cat"]), thresholds=[0.5, 0.5])
    >>> folder = export_saved_model(bundle, tempfile.mkdtemp() + "/export")
    >>> sorted(path.name for path in folder.iterdir() if path.suffix)
    ['README.md', 'fingerprint.pb', 'saved_model.pb']
    """
    folder = pathlib.Path(folder)
    if "n_samples" in bundle.model.input:
        raise InputError(
            "export: a model of ragged batches (input n_samples) cannot be exported; build it with "
            "ragged=False and give it these weights by set_weights"
        )
    _check_target(folder)
    with atomic_path(folder) as part, tempfile.TemporaryDirectory() as workplace:
        labels_csv = pathlib.Path(workplace) / LABELS_FILE
        bundle.labels.to_csv(labels_csv)
        served = _Served(bundle, labels_csv)
        signatures = {"serving_default": served.answer, "labels": served.describe}
        tf.saved_model.save(served, str(part), signatures=signatures)
        (part / "README.md").write_text(model_card(bundle), encoding="utf-8")
    return folder


def _check_target(folder: pathlib.Path) -> None:
    if folder.is_dir():
        if any(folder.iterdir()) and not (folder / SAVED_MODEL_FILE).is_file():
            raise InputError(f"{folder}: holds something other than an export; name a new folder")
    elif folder.exists():
        raise InputError(f"{folder}: is a file; name a new folder for the export")


class _Served(tf.Module):
    """The two signatures, and all that TensorFlow has to save for them."""

    def __init__(self, bundle: Bundle, labels_csv: pathlib.Path):
        super().__init__()
        model, network, images = bundle.model, None, None
        names = list(model.input)
        if "image_probabilities" in names:
            names[names.index("image_probabilities")] = "frames"
            network = image_network(bundle.image_network)
            images = HubImageClassifier.of(network)
            images.build((None, None, network.input_size_px, network.input_size_px, 3))
        # The variables alone, so that no Keras object is asked for when the model is loaded.
        self.tracked = [variable.value for variable in model.variables]
        self.images = images
        # The networks of frozen encoders, whose variables Keras does not count.
        self.encoders = [x for x in model._flatten_layers() if isinstance(x, HubAudioEncoder)]
        self.labels_file = tf.saved_model.Asset(str(labels_csv))
        thresholds = tf.constant(bundle.thresholds, tf.float32)

        def answer(**inputs):
            if images is not None:
                inputs["image_probabilities"] = images(inputs.pop("frames"))
            outputs = model(inputs, training=False)
            outputs = {name: tf.cast(scores, tf.float32) for name, scores in outputs.items()}
            return {**outputs, "fired": outputs["clip"] >= thresholds}

        facts = _facts(bundle, network)
        specs = {name: INPUTS[name] for name in INPUTS if name in names}
        self.answer = tf.function(answer).get_concrete_function(**specs)
        self.describe = tf.function(
            lambda: {name: tf.constant(*fact) for name, fact in facts.items()}, input_signature=[]
        )


def _facts(bundle: Bundle, network: ImageNetwork | None) -> dict[str, tuple]:
    """Return what the signature `labels` says, name → (value, type)."""
    return {
        "labels": (list(bundle.labels.names), tf.string),
        "thresholds": (bundle.thresholds, tf.float32),
        "clip_seconds": (bundle.clip_seconds, tf.float32),
        "sample_rate_hz": (SAMPLE_RATE_HZ, tf.int32),
        "n_frames": (bundle.n_frames if network else 0, tf.int32),
        "image_size_px": (network.input_size_px if network else 0, tf.int32),
    }
