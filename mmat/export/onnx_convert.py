"""Converts a function in a SavedModel into an ONNX model, as a program of its own:

    python -m mmat.export.onnx_convert OPSET SAVED_MODEL FILE

TensorFlow's graph is converted by tf2onnx, which knows no transform but by a product with all its
frequencies, and rounds integer divisions towards zero: `_HANDLERS` are ours. What TensorFlow
optimises for it says so on standard error, whatever `TF_CPP_MIN_LOG_LEVEL` is.
"""

import pathlib
import sys

from mmat.startup import collect_less_often

if __name__ == "__main__":
    collect_less_often()  # before TensorFlow's import, of which it saves a quarter

import numpy as np  # noqa: E402
import onnx  # noqa: E402
import tensorflow as tf  # noqa: E402
import tf2onnx  # noqa: E402


def convert(folder: str, file: str, opset: int) -> None:
    """Convert the function `predict` of a SavedModel; raises whatever the converter does."""
    loaded = tf.saved_model.load(folder)
    converted, _ = tf2onnx.convert.from_function(
        loaded.predict,
        input_signature=loaded.predict.input_signature,
        opset=opset,
        custom_op_handlers={name: (handler, []) for name, handler in _HANDLERS.items()},
    )
    # What the converter does not know it leaves in as it is.
    onnx.checker.check_model(converted)
    pathlib.Path(file).write_bytes(converted.SerializeToString())


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


if __name__ == "__main__":
    convert(sys.argv[2], sys.argv[3], int(sys.argv[1]))
