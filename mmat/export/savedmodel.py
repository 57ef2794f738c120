"""A trained bundle as named functions that need nothing but TensorFlow: in memory, or exported.

`serve` makes the signatures, `export_saved_model` writes them as a SavedModel, in which the labels
lie as an asset and a model card as `README.md`.

Signature `serving_default`. Inputs, by name, those that the model has:

- `waveform` float32 `(batch, samples, 1)`, 16 kHz mono in [-1, 1], any length;
- `frames` uint8 `(batch, n_frames, height, width, 3)` RGB, any number and size; the image network
  is inside;
- `has_audio`, `has_video` bool `(batch,)`, fused models only. A clip without one of the two still
  needs a tensor there: one black frame of any size, or silence of the clip's length.

A clip that holds NaN or an infinity gets NaN for every number, and nothing fires; the other clips
of its batch are not touched (`mmat.export.nonfinite`).

Outputs, by name, each 0 where the sense behind it is absent:

- `clip` float32 and `fired` bool `(batch, classes)`, `frame` float32 `(batch, time, classes)` at
  10 Hz: scores or values as `mmat.models.outputs` has them, decided by `mmat.metrics.decisions`;
- of fused models the branches' own scores, `audio` and `video` `(batch, classes)`, `audio_frame`
  and `video_frame` `(batch, time, classes)`;
- of models that see, the image network's `image_probabilities` float32 `(batch, n_frames,
  n_image_labels)`; of models that start from names `sound_probabilities` `(batch, patches,
  n_sound_labels)`.

Signatures `audio_only`, input `waveform` alone, and `tag_wav`, input `wav`, a string scalar, the
bytes of a WAV file (16-bit PCM, 16 kHz, any channels): the same outputs, of models that hear.

Signature `labels`, without inputs: `labels` string and `thresholds` float32 `(classes,)`; `task`
string, such as `multi-class` (older exports lack it and are `multi-label`); `clip_seconds` float32,
`sample_rate_hz`, `n_frames` and `image_size_px` int32: how long a clip and how many pictures of
which size it was trained with, the last two 0 for a model without pictures.

Signature `label_maps`, without inputs, of models that map the names which a pretrained network
gives to their classes: `image_labels` string `(n_image_labels,)`, `image_similarities` float32
`(n_image_labels, classes)`, `image_weights` of that shape, how much a name that is certain counts
for a class; of models that go by the names of sounds `sound_labels`, `sound_similarities`,
`sound_weights`, and of the patches `sound_hop_seconds` and `sound_window_seconds` float32.
"""

import dataclasses
import os
import pathlib
import tempfile
from collections.abc import Callable, Mapping

import keras
import numpy as np
import tensorflow as tf

from mmat.export.card import model_card
from mmat.export.nonfinite import nan_in_nan_out
from mmat.export.served import IMAGE_INPUTS
from mmat.export.wav import decode_wav
from mmat.files import InputError, atomic_path
from mmat.labels import Task
from mmat.media.read import SAMPLE_RATE_HZ
from mmat.models.bundle import LABELS_FILE, SAVED_MODEL_FILE, Bundle
from mmat.models.fast_cpu import fast_cpu
from mmat.models.features import with_float32_mel
from mmat.models.video import LabelMap
from mmat.pretrained.hub import HubAudioEncoder, HubImageClassifier
from mmat.pretrained.registry import ImageNetwork, image_network, yamnet

INPUTS = {
    "waveform": tf.TensorSpec((None, None, 1), tf.float32, "waveform"),
    "frames": tf.TensorSpec((None, None, None, None, 3), tf.uint8, "frames"),
    "has_audio": tf.TensorSpec((None,), tf.bool, "has_audio"),
    "has_video": tf.TensorSpec((None,), tf.bool, "has_video"),
}


@dataclasses.dataclass(frozen=True)
class Served:
    """What `serve` gives: `signatures`, name → function of keywords, and the module they need.

    Keep it as long as one of its functions is called, as one keeps a loaded SavedModel.
    """

    signatures: dict[str, Callable]
    module: tf.Module


def serve(bundle: Bundle, float32_mel: bool = False) -> Served:
    """Return the signatures of a bundle, which compute what its exported SavedModel does.

    Every clip of a batch lasts as long as its waveform, also for a model of ragged batches.
    float32_mel: compute the log-mel in float32, where training took float64; see
    `mmat.models.features.with_float32_mel`. Raises InputError for an image network that cannot be
    loaded.

    >>> from mmat.labels import LabelSet
    >>> from mmat.models.audio import audio_branch
    >>> served = serve(Bundle(audio_branch(2), LabelSet.of(["Dog", "Cat"]), thresholds=[0.0, 1.0]))
    >>> sorted(served.signatures)
    ['audio_only', 'labels', 'serving_default', 'tag_wav']
    >>> outputs = served.signatures["audio_only"](waveform=tf.zeros((1, 16000, 1)))
    >>> {name: tuple(output.shape) for name, output in sorted(outputs.items())}
    {'clip': (1, 2), 'fired': (1, 2), 'frame': (1, 10, 2)}
    """
    if float32_mel:
        bundle = dataclasses.replace(bundle, model=with_float32_mel(bundle.model))
    model = bundle.model
    module, layers = tf.Module(), model._flatten_layers()
    # The variables alone, so that no Keras object is asked for when the model is loaded.
    module.tracked = [variable.value for variable in model.variables]
    # The networks of frozen encoders, whose variables Keras does not count.
    module.encoders = [layer for layer in layers if isinstance(layer, HubAudioEncoder)]
    sees = "image_probabilities" in model.input
    network = image_network(bundle.image_network) if sees else None
    predict = _prediction(bundle)
    signatures = {"serving_default": predict}
    if sees:
        module.images = _images(network, with_embedding="image_embeddings" in model.input)
        signatures["serving_default"] = _with_images(predict, module.images)
    if "waveform" in model.input:
        audio_only = _without_images(predict) if sees else predict
        signatures |= {"audio_only": audio_only, "tag_wav": _with_wav(audio_only)}
    signatures["labels"] = _constants(_facts(bundle, network))
    maps = map_facts(model, network)
    if maps:
        signatures["label_maps"] = _constants(maps)
    return Served(signatures, module)


def export_saved_model(
    bundle: Bundle, folder: str | os.PathLike, float32_mel: bool = False
) -> pathlib.Path:
    """Write a bundle as a SavedModel with labels, thresholds and a model card; return its folder.

    An audio-only model has the input `waveform` alone, a video-only model `frames` alone. The
    folder appears whole or not at all; an earlier export there is replaced. float32_mel: as of
    `serve`. Raises InputError for a folder that holds something else, and for an image network
    that cannot be loaded.

    >>> from mmat.labels import LabelSet
    >>> from mmat.models.audio import audio_branch
    >>> bundle = Bundle(audio_branch(2), LabelSet.of(["Dog", "Cat"]), thresholds=[0.5, 0.5])
    >>> folder = export_saved_model(bundle, tempfile.mkdtemp() + "/export")
    >>> sorted(path.name for path in folder.iterdir() if path.suffix)
    ['README.md', 'fingerprint.pb', 'saved_model.pb']
    """
    folder = pathlib.Path(folder)
    _check_target(folder)
    served = serve(bundle, float32_mel)
    with atomic_path(folder) as part, tempfile.TemporaryDirectory() as workplace:
        labels_csv = pathlib.Path(workplace) / LABELS_FILE
        bundle.labels.to_csv(labels_csv)
        served.module.labels_file = tf.saved_model.Asset(str(labels_csv))
        tf.saved_model.save(served.module, str(part), signatures=served.signatures)
        (part / "README.md").write_text(model_card(bundle, served), encoding="utf-8")
    return folder


def decided(task: Task, clip, thresholds: np.ndarray):
    """Return what is decided of clips' scores, float32 `(batch, classes)`: bool of that shape.

    It is `mmat.metrics.decisions.decide` in a graph, of operations that TensorFlow Lite has too.

    >>> from mmat.labels import MULTI_CLASS
    >>> decided(MULTI_CLASS, tf.constant([[0.25, 0.75]]), [0.5, 0.5]).numpy().tolist()
    [[False, True]]
    """
    if task.is_regression:
        return tf.ones_like(clip, tf.bool)
    if not task.is_multi_class:
        return clip >= tf.constant(thresholds, tf.float32)
    best = tf.argmax(clip, axis=-1, output_type=tf.int32)[:, tf.newaxis]
    return (tf.range(clip.shape[-1]) == best) & (clip > 0)


def predicted(bundle: Bundle, model: keras.Model, inputs: dict) -> dict:
    """Return what a bundle's model, or a form of it, says of its inputs, by name, in a graph.

    That is its scores in float32, and `fired`, what is decided of a clip's.
    """
    outputs = model(inputs | whole_length(model, inputs), training=False)
    outputs = {name: tf.cast(scores, tf.float32) for name, scores in outputs.items()}
    return outputs | {"fired": decided(bundle.labels.task, outputs["clip"], bundle.thresholds)}


def _prediction(bundle: Bundle):
    """Return the graph that the signatures share: the model, decisions, image probabilities."""
    model = bundle.model

    def predict(**inputs):
        outputs = predicted(bundle, model, inputs)
        if "image_probabilities" in inputs:
            outputs["image_probabilities"] = tf.identity(inputs["image_probabilities"])
        return outputs

    specs = {
        name: tf.TensorSpec(x.shape, x.dtype, name)
        for name, x in model.input.items()
        if name != "n_samples"
    }
    return traced(model, nan_in_nan_out(predict), specs)


def traced(
    model: keras.Model, function: Callable, specs: Mapping, convolutions: bool = True
) -> tf.types.experimental.ConcreteFunction:
    """Return the graph of a function that calls a model, by the fast CPU path.

    specs: of the function's arguments. convolutions: whether those take it too.
    """
    with fast_cpu(model, convolutions):
        return tf.function(function).get_concrete_function(**specs)


def whole_length(model, inputs: dict) -> dict:
    """Return what a model of ragged batches takes besides, if not given: no waveform is padded."""
    if "n_samples" in inputs or "n_samples" not in model.input:
        return {}
    shape = tf.shape(inputs["waveform"])
    return {"n_samples": tf.fill(shape[:1], shape[1])}


def no_pictures(model: keras.Model, n_frames: int = 1) -> dict:
    """Return what a model of both senses takes besides of one clip that has sound alone."""
    inputs = {
        name: tf.zeros((1, n_frames, x.shape[-1]))
        for name, x in model.input.items()
        if name in IMAGE_INPUTS.values()
    }
    flags = {"has_audio": tf.constant([True]), "has_video": tf.constant([False])}
    return inputs | {name: flag for name, flag in flags.items() if name in model.input}


def _images(network: ImageNetwork, with_embedding: bool) -> HubImageClassifier:
    images = HubImageClassifier.of(network, with_embedding=with_embedding)
    images.build((None, None, network.input_size_px, network.input_size_px, 3))
    return images


def _with_images(predict, images: HubImageClassifier):
    def serving_default(**inputs):
        found = images(inputs.pop("frames"))  # (batch, n_frames, n_image_labels)
        found = found if images.with_embedding else {"probabilities": found}
        seen = {IMAGE_INPUTS[name]: x for name, x in found.items()}
        if "has_video" in inputs:
            has_video = inputs["has_video"][:, tf.newaxis, tf.newaxis]
            seen = {name: tf.where(has_video, x, 0.0) for name, x in seen.items()}
        return predict(**seen, **inputs)

    names = set(predict.structured_input_signature[1]) | {"frames"}
    specs = {name: spec for name, spec in INPUTS.items() if name in names}
    return tf.function(serving_default).get_concrete_function(**specs)


def _without_images(predict):
    specs = predict.structured_input_signature[1]
    sizes = {name: specs[name].shape[-1] for name in IMAGE_INPUTS.values() if name in specs}

    def audio_only(**inputs):
        batch = tf.shape(inputs["waveform"])[0]
        nothing = {name: tf.zeros(tf.stack([batch, 1, size])) for name, size in sizes.items()}
        yes, no = tf.fill([batch], True), tf.fill([batch], False)
        return predict(has_audio=yes, has_video=no, **nothing, **inputs)

    return tf.function(audio_only).get_concrete_function(waveform=INPUTS["waveform"])


def _with_wav(audio_only):
    def tag_wav(**inputs):
        return audio_only(waveform=decode_wav(inputs["wav"]))

    return tf.function(tag_wav).get_concrete_function(wav=tf.TensorSpec((), tf.string, "wav"))


def _constants(facts: dict[str, tuple]):
    """Return a graph without inputs whose outputs are facts, name → (value, type)."""

    def constants():
        return {name: tf.constant(*fact) for name, fact in facts.items()}

    return tf.function(constants, input_signature=[]).get_concrete_function()


def _facts(bundle: Bundle, network: ImageNetwork | None) -> dict[str, tuple]:
    return {
        "labels": (list(bundle.labels.names), tf.string),
        "thresholds": (bundle.thresholds, tf.float32),
        "task": (str(bundle.labels.task), tf.string),
        "clip_seconds": (bundle.clip_seconds, tf.float32),
        "sample_rate_hz": (SAMPLE_RATE_HZ, tf.int32),
        "n_frames": (bundle.n_frames if network else 0, tf.int32),
        "image_size_px": (network.input_size_px if network else 0, tf.int32),
    }


def map_facts(model: keras.Model, network: ImageNetwork | None) -> dict[str, tuple]:
    """Return what the signature `label_maps` says, name to (value, type); empty without maps.

    network: the image network of a model that sees.
    """
    layers, facts = model._flatten_layers(), {}
    maps = {layer.name: layer for layer in layers if isinstance(layer, LabelMap)}
    if "label_map" in maps:
        facts |= {
            "image_labels": ([names[0] for names in network.labels()], tf.string),
            "image_similarities": (maps["label_map"].map.numpy(), tf.float32),
            "image_weights": (_weights(maps["label_map"]), tf.float32),
        }
    if "sound_map" in maps:
        (encoder,) = (layer for layer in layers if isinstance(layer, HubAudioEncoder))
        facts |= {
            "sound_labels": (list(yamnet.labels()), tf.string),
            "sound_similarities": (maps["sound_map"].map.numpy(), tf.float32),
            "sound_weights": (_weights(maps["sound_map"]), tf.float32),
            "sound_hop_seconds": (encoder.hop_samples / SAMPLE_RATE_HZ, tf.float32),
            "sound_window_seconds": (encoder.window_samples / SAMPLE_RATE_HZ, tf.float32),
        }
    return facts


def _weights(label_map: LabelMap) -> np.ndarray:
    """Return the evidence `(names, classes)` for each class where one name alone is certain."""
    similarities = label_map.map.numpy()
    return np.asarray(label_map.evidence(np.eye(len(similarities), dtype=np.float32), similarities))


def _check_target(folder: pathlib.Path) -> None:
    if folder.is_dir():
        if any(folder.iterdir()) and not (folder / SAVED_MODEL_FILE).is_file():
            raise InputError(f"{folder}: holds something other than an export; name a new folder")
    elif folder.exists():
        raise InputError(f"{folder}: is a file; name a new folder for the export")
