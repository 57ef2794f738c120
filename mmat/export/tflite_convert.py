"""Converts a SavedModel into a TensorFlow Lite file, as a program of its own:

    python -m mmat.export.tflite_convert SAVED_MODEL FILE [int8]

TensorFlow's converter ends the process where it meets what it cannot convert.
"""

import pathlib
import sys

import tensorflow as tf


def convert(folder: str, file: str, quantize: str = "") -> None:
    """Convert a SavedModel with all its signatures.

    quantize: `int8` for weights of 8 bits; empty for float32. Raises whatever the converter does.
    """
    converter = tf.lite.TFLiteConverter.from_saved_model(folder)
    if quantize:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    pathlib.Path(file).write_bytes(converter.convert())


if __name__ == "__main__":
    convert(*sys.argv[1:])
