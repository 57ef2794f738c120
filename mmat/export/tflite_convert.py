"""Converts SavedModels into TensorFlow Lite files, as a program of its own:

    python -m mmat.export.tflite_convert "" SAVED_MODEL FILE [SAVED_MODEL FILE ...]
    python -m mmat.export.tflite_convert int8 SAVED_MODEL FILE [SAVED_MODEL FILE ...]

TensorFlow's converter ends the process where it meets what it cannot convert.
"""

import pathlib
import sys

from mmat.startup import collect_less_often

if __name__ == "__main__":
    collect_less_often()  # before TensorFlow's import, of which it saves a quarter

import tensorflow as tf  # noqa: E402

from mmat.export.weights8 import with_8_bit_weights  # noqa: E402


def convert(folder: str, file: str, quantize: str = "") -> None:
    """Convert a SavedModel with all its signatures.

    quantize: `int8` for large weights of 8 bits; empty for float32. Raises whatever the converter
    does.
    """
    content = tf.lite.TFLiteConverter.from_saved_model(folder).convert()
    pathlib.Path(file).write_bytes(with_8_bit_weights(content) if quantize else content)


if __name__ == "__main__":
    quantize, *paths = sys.argv[1:]
    for folder, file in zip(paths[::2], paths[1::2], strict=True):
        convert(folder, file, quantize)
