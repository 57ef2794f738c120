"""A bundle becomes one LiteRT (TensorFlow Lite) file, for a phone or a small computer.

Signature `serving_default`, of one clip of at most the length that the model was trained with:
`waveform` float32 `(1, samples, 1)`, 16 kHz mono in [-1, 1], with zeros behind a shorter clip;
`n_samples` int32 `(1,)`, how long that is, where the model has a ragged form
(`mmat.models.ragged`); of a model that looks at pictures `image_probabilities` float32 `(1,
n_frames, n_image_labels)`, which its own network in `images.tflite` gives, `has_audio` and
`has_video` bool `(1,)`. Such a model has the signature `audio_only` too, for the sound alone. The
outputs are those of `mmat.export.savedmodel`.

`mmat.export.archive` says what else lies in the file, `mmat.export.tflite_file` runs it.
"""

import dataclasses
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence

import keras
import numpy as np
import tensorflow as tf

from mmat.export.archive import Archive
from mmat.export.card import model_card
from mmat.export.deviation import COMPARED, largest_deviation, rising_noise
from mmat.export.lite_form import lite_form
from mmat.export.nonfinite import nan_in_nan_out
from mmat.export.savedmodel import Served, map_facts, no_pictures, predicted, traced
from mmat.export.served import IMAGE_INPUTS, Facts
from mmat.export.tflite_file import AUDIO_ONLY, SERVING, TFLiteTagger
from mmat.files import InputError, atomic_path
from mmat.media.read import SAMPLE_RATE_HZ
from mmat.models.bundle import Bundle
from mmat.models.ragged import ragged_form
from mmat.pretrained.hub import HubAudioEncoder, loaded_classifier
from mmat.pretrained.registry import ImageNetwork, image_network

SUFFIX, INT8 = ".tflite", "int8"
_N_EXAMPLE = np.int32([SAMPLE_RATE_HZ])  # samples


def export_tflite(bundle: Bundle, path: str | os.PathLike, quantize: str = "") -> pathlib.Path:
    """Write a bundle as a LiteRT file; return its path.

    Only operations that LiteRT has built in are used. quantize: `int8` for the large weights in
    8 bits (`mmat.export.weights8`), about a quarter of the size; empty for float32. Either way, and
    from a model in mixed precision, it computes in float32. Raises InputError for a model of
    pictures alone, for a path that does not end in `.tflite`, and where the converter fails.

    >>> from mmat.labels import LabelSet
    >>> from mmat.models.audio import audio_branch
    >>> bundle = Bundle(audio_branch(2), LabelSet.of(["Dog", "Cat"]), [0.5, 0.5], clip_seconds=1.0)
    >>> tagger = TFLiteTagger(export_tflite(bundle, tempfile.mkdtemp() + "/tagger.tflite"))
    >>> tagger.facts.labels.names, tagger(np.zeros((1, 8000, 1), np.float32))["frame"].shape
    (('Dog', 'Cat'), (1, 5, 2))
    """
    path = pathlib.Path(path)
    if path.suffix != SUFFIX or path.is_dir():
        raise InputError(f"{path}: no name of a TensorFlow Lite file; end it in {SUFFIX}")
    if "waveform" not in bundle.model.input:
        raise InputError(
            "export: this model cannot become a TensorFlow Lite file: it hears nothing, and the "
            "file is for sound first"
        )
    sees = "image_probabilities" in bundle.model.input
    network = image_network(bundle.image_network) if sees else None
    with atomic_path(path) as part:
        served = [_signatures(bundle, not quantize)]
        if sees:
            with_embedding = "image_embeddings" in bundle.model.input
            served.append(image_signatures(network, with_embedding))
        content, *images = _converted(path, served, quantize)
        part.write_bytes(content)
        facts = Facts(
            bundle.labels,
            np.asarray(bundle.thresholds, np.float32),
            bundle.clip_seconds,
            bundle.n_frames if network else 0,
            network.input_size_px if network else 0,
            network.name if network else "",
        )
        Archive(facts, _maps(bundle.model, network), *images).append_to(
            part, model_card(bundle, with_images=sees)
        )
    return path


@dataclasses.dataclass(frozen=True)
class TFLiteFigures:
    """A file's size, its time for one clip, and the largest difference from Keras.

    largest_deviation: of what the model says of sound, clip or frame.
    """

    megabytes: float
    clip_seconds: float
    milliseconds: float
    largest_deviation: float


def measure_tflite(path: str | os.PathLike, bundle: Bundle, rounds: int = 5) -> TFLiteFigures:
    """Measure a file on one thread, warm: the median of some rounds on a clip of rising noise.

    largest_deviation: of a score of the clip or a frame, from the bundle's own model, for sound
    alone; also of half of the clip where the file takes any length.
    """
    tagger = TFLiteTagger(path)
    waveform = rising_noise(tagger.n_samples)
    clips = [waveform, waveform[:, : tagger.n_samples // 2]] if tagger.any_length else [waveform]
    deviation = max(largest_deviation(bundle.model, clip, tagger(clip)) for clip in clips)
    seconds = []  # of a file that is warm by then
    for _ in range(rounds):
        begun = time.perf_counter()
        tagger(waveform)
        seconds.append(time.perf_counter() - begun)
    return TFLiteFigures(
        megabytes=pathlib.Path(path).stat().st_size / 1e6,
        clip_seconds=tagger.n_samples / SAMPLE_RATE_HZ,
        milliseconds=statistics.median(seconds) * 1000,
        largest_deviation=deviation,
    )


def listening_network(bundle: Bundle, path: str | os.PathLike) -> bytes:
    """Return the LiteRT network of a model's sound alone, with nothing behind it.

    Signature `serving_default`: `waveform`, and `n_samples` where the model has a ragged form, to
    `clip` and `frame`. None of them is bool, which LiteRT for web does not know. path: named in
    errors. Raises InputError for a model that hears nothing, and where the converter fails.
    """
    if "waveform" not in bundle.model.input:
        raise InputError(f"{path}: this model hears nothing, and it is for sound")
    model = _any_length(bundle, fast_convolutions=True)

    def listen(**inputs):
        outputs = predicted(bundle, model, inputs | no_pictures(model))
        return {name: outputs[name] for name in COMPARED}

    heard = _heard(_specs(bundle, model))
    (content,) = _converted(pathlib.Path(path), [_served(model, {SERVING: (listen, heard)})], "")
    return content


def _signatures(bundle: Bundle, fast_convolutions: bool) -> Served:
    """Return the graphs of one clip."""
    model = _any_length(bundle, fast_convolutions)
    specs = _specs(bundle, model)

    def predict(**inputs):
        return predicted(bundle, model, inputs)

    def audio_only(**inputs):
        return predict(**inputs, **no_pictures(model, bundle.n_frames))

    functions = {SERVING: (predict, specs)}
    heard = _heard(specs)
    if len(heard) < len(specs):
        functions[AUDIO_ONLY] = audio_only, heard
    return _served(model, functions)


def _specs(bundle: Bundle, model: keras.Model) -> dict[str, tf.TensorSpec]:
    """Return what a model takes for one clip, by name."""
    shapes = {"waveform": (round(bundle.clip_seconds * SAMPLE_RATE_HZ), 1), "n_samples": ()}
    specs = {}
    for name, x in model.input.items():
        own = shapes.get(name, (bundle.n_frames, *x.shape[2:]) if len(x.shape) == 3 else ())
        specs[name] = tf.TensorSpec((1, *own), x.dtype, name)
    return specs


def _heard(specs: Mapping[str, tf.TensorSpec]) -> dict[str, tf.TensorSpec]:
    return {name: specs[name] for name in ("waveform", "n_samples") if name in specs}


def _served(model: keras.Model, functions: Mapping[str, tuple[Callable, dict]]) -> Served:
    """Return a model's graphs by signature; functions: each with what it takes."""
    module = tf.Module()
    # The variables alone: given the Keras model, the converter does not find their values.
    module.tracked = [variable.value for variable in model.variables]
    layers = model._flatten_layers()
    module.encoders = [layer._network for layer in layers if isinstance(layer, HubAudioEncoder)]
    signatures = {
        name: traced(model, nan_in_nan_out(function), specs, convolutions=False)
        for name, (function, specs) in functions.items()
    }
    return Served(signatures, module)


def _any_length(bundle: Bundle, fast_convolutions: bool) -> keras.Model:
    """Return the lite form of a bundle's model, ragged where that says the same."""
    plain, ragged = lite_form(bundle.model, fast_convolutions), ragged_form(bundle)
    if ragged is None:
        return plain
    ragged, given = lite_form(ragged, fast_convolutions), _example(plain)
    expected, found = plain(given), ragged(given | {"n_samples": tf.constant(_N_EXAMPLE)})
    # A model of an older make may have joined its senses otherwise.
    same = [np.allclose(expected[name], found[name], atol=1e-4) for name in expected]
    return ragged if all(same) else plain


def _example(model: keras.Model) -> dict:
    random, inputs = np.random.default_rng(0), {}
    for name, x in model.input.items():
        if name == "waveform":
            inputs[name] = np.float32(random.normal(0, 0.1, (1, *_N_EXAMPLE, 1)))
        elif name in IMAGE_INPUTS.values():
            inputs[name] = np.float32(random.dirichlet(np.full(x.shape[-1], 0.1), (1, 2)))
        else:
            inputs[name] = np.array([True])
    return {name: tf.constant(x) for name, x in inputs.items()}


def image_signatures(network: ImageNetwork, with_embedding: bool) -> Served:
    """Return the graph of the image network: from one picture to what it shows."""
    classifier = loaded_classifier(network, with_embedding)
    size = network.input_size_px

    def look(frames):
        seen = classifier.of_squares(tf.cast(frames, tf.float32))
        return seen if with_embedding else {"probabilities": seen}

    module = tf.Module()
    module.classifier = classifier
    spec = tf.TensorSpec((1, size, size, 3), tf.uint8, "frames")
    return Served({SERVING: tf.function(look).get_concrete_function(frames=spec)}, module)


def _maps(model: keras.Model, network: ImageNetwork | None) -> dict[str, np.ndarray]:
    """Return the label maps as arrays, names as bytes."""
    arrays = {}
    for name, (value, kind) in map_facts(model, network).items():
        is_text = kind == tf.string
        arrays[name] = (
            np.array([each.encode() for each in value])
            if is_text
            else np.asarray(value, np.float32)
        )
    return arrays


def _converted(path: pathlib.Path, served: Sequence[Served], quantize: str) -> list[bytes]:
    """Return graphs as LiteRT networks, converted by one process; path: named where that fails."""
    with tempfile.TemporaryDirectory() as folder:
        networks = [pathlib.Path(folder) / str(number) for number in range(len(served))]
        files = [network.with_suffix(SUFFIX) for network in networks]
        for network, each in zip(networks, served, strict=True):
            tf.saved_model.save(each.module, str(network), signatures=each.signatures)
        pairs = zip(networks, files, strict=True)
        command = [sys.executable, "-m", "mmat.export.tflite_convert", quantize]
        command += [str(file) for pair in pairs for file in pair]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        if done.returncode:
            reason = (done.stderr.strip().splitlines() or [f"status {done.returncode}"])[-1]
            raise InputError(
                f"{path}: TensorFlow Lite cannot hold this model: {reason[:200]}; "
                "export a SavedModel"
            )
        return [file.read_bytes() for file in files]
