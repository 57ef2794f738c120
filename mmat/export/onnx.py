"""A bundle becomes one ONNX file, for ONNX Runtime: on servers, in other languages, in a browser.

Input `waveform` float32 `(1, samples, 1)`, 16 kHz mono in [-1, 1], of any length. A model that sees
takes besides `image_probabilities` float32 `(1, n_frames, n_image_labels)`, what its image network
says of any number of pictures, and `has_audio` and `has_video` bool `(1,)`; without pictures zeros
of one are enough. Outputs: those of `mmat.export.savedmodel`'s signature `audio_only`.

The log-mel is in float32 (`mmat.models.features.with_float32_mel`). The file's metadata have what
the signature `labels` of a SavedModel has, and the model card.

TensorFlow's graph is converted by tf2onnx, which knows no transform but by a product with all its
frequencies, and rounds integer divisions towards zero: `_HANDLERS` are ours.
"""

import dataclasses
import json
import os
import pathlib

import keras
import numpy as np
import tensorflow as tf

from mmat.export.card import model_card
from mmat.export.deviation import COMPARED, largest_deviation, rising_noise
from mmat.export.nonfinite import nan_in_nan_out
from mmat.export.savedmodel import no_pictures, predicted
from mmat.files import InputError, atomic_path, one_line
from mmat.labels import FRAME_HZ
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
    """Return the graph of one clip as an ONNX model."""
    try:
        import onnx
        import tf2onnx
    except ImportError as error:
        raise _missing(path) from error
    model = onnx_form(bundle.model)

    def predict(**inputs):
        return predicted(bundle, model, inputs)

    specs = {
        name: tf.TensorSpec((1, *x.shape[1:]), x.dtype, name)
        for name, x in model.input.items()
        if name != "n_samples"
    }
    guarded = nan_in_nan_out(predict)
    # By position, as the converter calls it, and by name, as the model takes it.
    function = tf.function(
        lambda *tensors: guarded(**dict(zip(specs, tensors, strict=True))),
        input_signature=list(specs.values()),
        autograph=False,
    )
    try:
        converted, _ = tf2onnx.convert.from_function(
            function,
            input_signature=list(specs.values()),
            opset=OPSET,
            custom_op_handlers={name: (handler, []) for name, handler in _HANDLERS.items()},
        )
        # What the converter does not know it leaves in as it is.
        onnx.checker.check_model(converted)
    except Exception as error:  # the converter raises whatever it meets
        raise InputError(
            f"{path}: ONNX cannot hold this model: {one_line(error, 200)}; export a SavedModel"
        ) from error
    return converted


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


def facts_of(bundle: Bundle) -> dict:
    """Return what belongs to the model besides its graph, by name, as JSON holds it.

    >>> from mmat.labels import LabelSet
    >>> from mmat.models.audio import audio_branch
    >>> facts = facts_of(Bundle(audio_branch(1), LabelSet.of(["Dog"]), [0.25]))
    >>> facts["labels"], facts["thresholds"], facts["task"], facts["clip_seconds"]
    (['Dog'], [0.25], 'multi-label', 10.0)
    """
    return {
        "labels": list(bundle.labels.names),
        "thresholds": [float(threshold) for threshold in bundle.thresholds],
        "task": str(bundle.labels.task),
        "clip_seconds": float(bundle.clip_seconds),
        "sample_rate_hz": SAMPLE_RATE_HZ,
        "frame_hz": FRAME_HZ,
    }


def _metadata(bundle: Bundle) -> dict[str, str]:
    """Return the facts and the card as texts by name."""
    facts = facts_of(bundle)
    texts = {name: json.dumps(fact, ensure_ascii=False) for name, fact in facts.items()}
    return texts | {"card": model_card(bundle, use=ONNX_USE)}


def _transform(ctx, node, name, args) -> None:
    """TensorFlow's `RFFT` as ONNX's `DFT`, which holds complex numbers as a last axis of two."""
    frames, out, kind = node.input[0], node.output[0], ctx.get_dtype(node.input[0])
    *lead, _ = ctx.get_shape(frames)
    n_fft = int(node.inputs[1].get_tensor_value(as_list=False).item())
    ctx.remove_node(node.name)
    last = _constant(ctx, [-1])
    real = ctx.make_node("Unsqueeze", [frames, last]).output[0]
    ctx.make_node(
        "DFT",
        [real, _constant(ctx, n_fft)],
        attr={"onesided": 1, "axis": len(lead)},
        outputs=[out],
        name=name,
        shapes=[[*lead, n_fft // 2 + 1, 2]],
        dtypes=[kind],
    )


def _magnitude(ctx, node, name, args) -> None:
    """TensorFlow's `ComplexAbs` behind `_transform`."""
    spectrum, out = node.input[0], node.output[0]
    shape, kind = ctx.get_shape(spectrum), ctx.get_dtype(spectrum)
    ctx.remove_node(node.name)
    ctx.make_node(
        "ReduceL2",
        [spectrum, _constant(ctx, [-1])],
        attr={"keepdims": 0},
        outputs=[out],
        name=name,
        shapes=[shape[:-1]],
        dtypes=[kind],
    )


def _floor_division(ctx, node, name, args) -> None:
    """TensorFlow's `FloorDiv`; ONNX's `Div` of integers rounds towards zero."""
    over, under = node.input
    out, kind, shape = node.output[0], ctx.get_dtype(over), ctx.get_shape(node.output[0])
    ctx.remove_node(node.name)
    kinds = {"dtypes": [kind], "shapes": [shape]}
    if kind in _REAL:
        ratio = ctx.make_node("Div", [over, under], **kinds).output[0]
        ctx.make_node("Floor", [ratio], outputs=[out], name=name, **kinds)
        return
    rest = ctx.make_node("Mod", [over, under], **kinds).output[0]  # with the divisor's sign
    whole = ctx.make_node("Sub", [over, rest], **kinds).output[0]
    ctx.make_node("Div", [whole, under], outputs=[out], name=name, **kinds)


def _constant(ctx, value):
    return ctx.make_const(_name(), np.array(value, np.int64)).output[0]


def _name() -> str:
    import tf2onnx

    return tf2onnx.utils.make_name("constant")


def _log_beyond_one(ctx, node, name, args) -> None:
    """TensorFlow's `Log1p`, which ONNX lacks."""
    x, out, kind = node.input[0], node.output[0], ctx.get_dtype(node.input[0])
    kinds = {"dtypes": [kind], "shapes": [ctx.get_shape(x)]}
    ctx.remove_node(node.name)
    one = ctx.make_const(_name(), np.array(1, np.float32)).output[0]
    ctx.make_node("Log", ctx.make_node("Add", [x, one], **kinds).output, outputs=[out], **kinds)


_REAL = {1, 10, 11}  # ONNX's numbers of float, float16 and double
_HANDLERS = {
    "RFFT": _transform,
    "ComplexAbs": _magnitude,
    "FloorDiv": _floor_division,
    "Log1p": _log_beyond_one,
}
