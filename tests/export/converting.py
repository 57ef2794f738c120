"""Files of LiteRT and ONNX for tests of something else than their converters' own processes."""

import contextlib
import pathlib
import subprocess
import types
from collections.abc import Callable, Iterator

import pytest

from mmat.export import litert, onnx, onnx_convert, tflite_convert
from mmat.models.bundle import Bundle


def export_tflite_here(bundle: Bundle, path: pathlib.Path, quantize: str = "") -> pathlib.Path:
    """Export as `export_tflite` does, converted in this process, where TensorFlow runs already.

    It takes half the time. What the converter cannot convert ends the tests, not it alone.
    """

    def convert(quantize, *paths):
        for folder, file in zip(paths[::2], paths[1::2], strict=True):
            tflite_convert.convert(folder, file, quantize)

    with converted_here(litert, convert):
        return litert.export_tflite(bundle, path, quantize)


def export_onnx_here(bundle: Bundle, path: pathlib.Path) -> pathlib.Path:
    """Export as `export_onnx` does, converted in this process."""

    def convert(opset, folder, file):
        onnx_convert.convert(folder, file, int(opset))

    with converted_here(onnx, convert):
        return onnx.export_onnx(bundle, path)


@contextlib.contextmanager
def converted_here(module: types.ModuleType, convert: Callable) -> Iterator[None]:
    """Within `with`, have a module call a converter with what it would give the process of that."""

    def run(command, **_):
        convert(*command[3:])  # behind `python -m MODULE`
        return subprocess.CompletedProcess(command, 0)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            module, "subprocess", types.SimpleNamespace(run=run, DEVNULL=subprocess.DEVNULL)
        )
        yield
