"""Converts a SavedModel into a TensorFlow Lite file, as a program of its own:

    python -m mmat.export.tflite_convert SAVED_MODEL FILE [int8]

TensorFlow's converter ends the process where it meets what it cannot convert.
"""

import pathlib
import sys

import tensorflow as tf

from mmat.export.weights8 import with_8_bit_weights


def convert(folder: str, file: str, quantize: str = "") -> None:
    """Convert a SavedModel with all its signatures.

    quantize: `int8` for large weights of 8 bits; empty for float32. Raises whatever the converter
    does.
    """
    content = tf.lite.TFLiteConverter.from_saved_model(folder).convert()
    pathlib.Path(file).write_bytes(with_8_bit_weights(content) if quantize else content)


if __name__ == "__main__":
    convert(*sys.argv[1:])
