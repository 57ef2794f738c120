"""A bundle becomes one ONNX file, for ONNX Runtime: on servers, in other languages, in a browser.

Input `waveform` float32 `(1, samples, 1)`, 16 kHz mono in [-1, 1], of any length. A model that sees
takes besides `image_probabilities` float32 `(1, n_frames, n_image_labels)`, what its image network
says of any number of pictures, and `has_audio` and `has_video` bool `(1,)`; without pictures zeros
of one are enough. Outputs: those of `mmat.export.savedmodel`'s signature `audio_only`.

The log-mel is in float32 (`mmat.models.features.with_float32_mel`). The file's metadata have what
the signature `labels` of a SavedModel has, and the model card.

The graph is converted by a process of its own, `mmat.export.onnx_convert`.
"""

import dataclasses
import importlib.util
import json
import os
import pathlib
import subprocess
import sys
import tempfile

import keras
import numpy as np
import tensorflow as tf

from mmat.export.card import facts_of, model_card
from mmat.export.deviation import COMPARED, largest_deviation, rising_noise
from mmat.export.nonfinite import nan_in_nan_out
from mmat.export.savedmodel import no_pictures, predicted
from mmat.files import InputError, atomic_path
from mmat.media.read import SAMPLE_RATE_HZ
from mmat.models.bundle import Bundle
from mmat.models.features import Float32Mel, with_float32_mel
from mmat.pretrained.hub import HubAudioEncoder
from mmat.pretrained.registry import yamnet
from mmat.pretrained.yamnet import yamnet_function

SUFFIX = ".onnx"
OPSET = 18
ONNX_USE = """\
This card lies inside the ONNX file, in its metadata `card`, beside `labels`, `thresholds`, `task`,
`clip_seconds`, `sample_rate_hz` and `frame_hz`, each as JSON. ONNX Runtime runs it.

It takes `waveform`, float32 (1, samples, 1), 16 kHz mono in [-1, 1], of any length, and returns
`clip`, `fired` and `frame` (10 a second). A model that sees takes besides `image_probabilities`,
float32 (1, n_frames, n_image_labels), and `has_audio` and `has_video`, bool (1): without pictures
zeros of one frame, true and false. A clip with a sample that is NaN or infinite gets NaN for every
number, and nothing fires."""


def export_onnx(bundle: Bundle, path: str | os.PathLike) -> pathlib.Path:
    """Write a bundle as an ONNX file; return its path.

    Raises InputError for a model of pictures alone, for a path that does not end in `.onnx`, where
    the extra `onnx` is not installed, and where the converter fails.
    """
    path = pathlib.Path(path)
    if path.suffix != SUFFIX or path.is_dir():
        raise InputError(f"{path}: no name of an ONNX file; end it in {SUFFIX}")
    content = onnx_content(bundle, path)
    with atomic_path(path) as part:
        part.write_bytes(content)
    return path


def onnx_content(bundle: Bundle, path: str | os.PathLike) -> bytes:
    """Return what is to be written at `path`, which errors name; raises those of `export_onnx`."""
    if "waveform" not in bundle.model.input:
        raise InputError(f"{path}: this model hears nothing, and an ONNX file is for sound first")
    converted = _converted(path, bundle)
    for key, value in _metadata(bundle).items():
        converted.metadata_props.add(key=key, value=value)
    return converted.SerializeToString()


@dataclasses.dataclass(frozen=True)
class OnnxFigures:
    """A file's size, the version of ONNX's operators, and the largest difference from Keras."""

    megabytes: float
    opset: int
    largest_deviation: float


def measure_onnx(path: str | os.PathLike, bundle: Bundle) -> OnnxFigures:
    """Run a file on rising noise, of a clip's length and of half of it, beside the bundle's model.

    largest_deviation: of a score of the clip or a frame, for sound alone. Raises InputError without
    ONNX Runtime.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise _missing(path) from error
    session = onnxruntime.InferenceSession(os.fspath(path), providers=["CPUExecutionProvider"])
    n_samples = round(bundle.clip_seconds * SAMPLE_RATE_HZ)
    rising, model = rising_noise(n_samples), bundle.model
    clips = [rising, rising[:, : max(1, n_samples // 2)]]
    return OnnxFigures(
        megabytes=pathlib.Path(path).stat().st_size / 1e6,
        opset=OPSET,
        largest_deviation=max(
            largest_deviation(model, clip, _found(session, model, clip)) for clip in clips
        ),
    )


def _found(session, model: keras.Model, waveform: np.ndarray) -> dict[str, np.ndarray]:
    """Return what a file says of a clip without pictures, by name."""
    given = {"waveform": waveform} | {name: x.numpy() for name, x in no_pictures(model).items()}
    return dict(zip(COMPARED, session.run(COMPARED, given), strict=True))


def _missing(path: str | os.PathLike) -> InputError:
    return InputError(
        f"{path}: ONNX needs packages that are not installed; pip install 'mmat[onnx]'"
    )


def _converted(path: str | os.PathLike, bundle: Bundle):
    """Return the graph of one clip as an ONNX model, converted by a process of its own."""
    try:
        import onnx
    except ImportError as error:
        raise _missing(path) from error
    if importlib.util.find_spec("tf2onnx") is None:
        raise _missing(path)
    with tempfile.TemporaryDirectory() as folder:
        file = f"{folder}/model{SUFFIX}"
        tf.saved_model.save(_of_one_clip(bundle), folder)
        command = [sys.executable, "-m", "mmat.export.onnx_convert", str(OPSET), folder, file]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        if done.returncode:
            reason = (done.stderr.strip().splitlines() or [f"status {done.returncode}"])[-1]
            raise InputError(
                f"{path}: ONNX cannot hold this model: {reason[:200]}; export a SavedModel"
            )
        return onnx.load(file)


def _of_one_clip(bundle: Bundle) -> tf.Module:
    """Return a module whose `predict` answers for one clip, the inputs by position."""
    model = onnx_form(bundle.model)
    specs = {
        name: tf.TensorSpec((1, *x.shape[1:]), x.dtype, name)
        for name, x in model.input.items()
        if name != "n_samples"
    }
    guarded = nan_in_nan_out(lambda **inputs: predicted(bundle, model, inputs))
    module = tf.Module()
    module.predict = tf.function(
        lambda *tensors: guarded(**dict(zip(specs, tensors, strict=True))),
        input_signature=list(specs.values()),
        autograph=False,
    )
    module.tracked = [variable.value for variable in model.variables]
    layers = model._flatten_layers()
    module.encoders = [layer._network for layer in layers if isinstance(layer, HubAudioEncoder)]
    return module


def onnx_form(model: keras.Model) -> keras.Model:
    """Rebuild a model of operations that the converter knows, for one clip, with the same weights.

    >>> from mmat.models.audio import audio_branch
    >>> form = onnx_form(audio_branch(2))
    >>> form({"waveform": tf.zeros((1, 16000, 1))})["frame"].shape
    TensorShape([1, 10, 2])
    """

    forms = {HubAudioEncoder: EncoderOfOneClip, Float32Mel: PlainMel}

    def form(layer):
        kind = forms.get(type(layer))
        return layer if kind is None else kind.from_config(layer.get_config())

    return keras.models.clone_model(with_float32_mel(model), clone_function=form, recursive=True)


class PlainMel(Float32Mel):
    """The same by magnitudes and one product, which an ONNX file can hold."""

    def call(self, waveform):
        magnitudes = tf.abs(self.spectrum(waveform[:, :, 0]))
        return tf.tensordot(magnitudes, self.bank, 1)[..., tf.newaxis]


class EncoderOfOneClip(HubAudioEncoder):
    """The frozen network on one clip, without a loop."""

    def build(self, input_shape):
        super().build(input_shape)
        self._hear = yamnet_function() if self.handle == yamnet.handle else None

    def call(self, waveforms):
        if self._hear is not None:
            return self._named(self._hear(waveforms[:, :, 0]))
        padded, n_patches = self._padded(waveforms)
        return {name: x[tf.newaxis, :n_patches] for name, x in self._run(padded[0]).items()}


def _metadata(bundle: Bundle) -> dict[str, str]:
    """Return the facts and the card as texts by name."""
    facts = facts_of(bundle)
    texts = {name: json.dumps(fact, ensure_ascii=False) for name, fact in facts.items()}
    return texts | {"card": model_card(bundle, use=ONNX_USE)}
