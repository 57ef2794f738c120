"""A SavedModel becomes a TensorFlow Lite file, in a process of its own.

    python -m mmat.serving.tflite_convert SAVED_MODEL FILE [int8]

TensorFlow's converter ends the process where it meets what it cannot convert.
"""

import pathlib
import sys


def main(folder: str, file: str, quantize: str = "") -> None:
    """Convert; `quantize` is `int8` for weights of 8 bits, or empty."""
    import tensorflow as tf

    converter = tf.lite.TFLiteConverter.from_saved_model(folder)
    if quantize:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    pathlib.Path(file).write_bytes(converter.convert())


if __name__ == "__main__":
    main(*sys.argv[1:])
