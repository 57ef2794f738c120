"""LiteRT files for tests of something else than the converter's own process."""

import pathlib
import subprocess
import types

import pytest

from mmat.export import litert
from mmat.export.tflite_convert import convert
from mmat.models.bundle import Bundle


def export_tflite_here(bundle: Bundle, path: pathlib.Path, quantize: str = "") -> pathlib.Path:
    """Export as `export_tflite` does, converted in this process, where TensorFlow runs already.

    It takes half the time. What the converter cannot convert ends the tests, not it alone.
    """

    def run(command, **_):
        quantize, *paths = command[3:]  # behind `python -m mmat.export.tflite_convert`
        for folder, file in zip(paths[::2], paths[1::2], strict=True):
            convert(folder, file, quantize)
        return subprocess.CompletedProcess(command, 0)

    here = types.SimpleNamespace(run=run, DEVNULL=subprocess.DEVNULL)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(litert, "subprocess", here)
        return litert.export_tflite(bundle, path, quantize)
