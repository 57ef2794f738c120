"""Read weights in torch's legacy `.pth` form with NumPy alone, running nothing that is in the file.

The form: five pickles (magic number, protocol version, system facts, the named tensors, the
storage keys), then each storage as a little-endian int64 count and its raw numbers. Only the four
names that a dictionary of tensors needs may be unpickled; any other is refused before it is used.
"""

import collections
import dataclasses
import math
import os
import pickle
from typing import BinaryIO

import numpy as np

from mmat.files import InputError, one_line

_MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001


@dataclasses.dataclass(frozen=True)
class _Storage:
    key: str
    dtype: np.dtype
    n_numbers: int


@dataclasses.dataclass(frozen=True)
class _Tensor:
    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def _rebuild_tensor(storage, offset, shape, strides, *_):
    return _Tensor(storage, offset, shape, strides)


_ALLOWED = {
    ("collections", "OrderedDict"): collections.OrderedDict,
    ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
    ("torch", "FloatStorage"): np.dtype("<f4"),
    ("torch", "LongStorage"): np.dtype("<i8"),
}


class _TensorUnpickler(pickle.Unpickler):
    def find_class(self, module, name):
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which is not allowed")
        return _ALLOWED[module, name]

    def persistent_load(self, pid):
        kind, dtype, key, _device, n_numbers, _view = pid
        if kind != "storage":
            raise pickle.UnpicklingError(f"it refers to {kind!r}, not to a storage")
        return _Storage(key, dtype, n_numbers)


def read_torch_legacy(path: str | os.PathLike) -> dict[str, np.ndarray]:
    """Read the named tensors of a legacy `.pth` file, in the file's order.

    Returns float32 and int64 arrays of the shapes they were saved with. Raises InputError for a
    file that is cut short, of another form, or asks for anything but tensors.
    """
    try:
        with open(path, "rb") as file:
            return _read(file)
    except OSError as error:
        raise InputError(f"{path}: cannot read the weights: {error.strerror}") from error
    # Bytes that are no pickle can raise nearly any exception from the unpickler.
    except Exception as error:
        reason = one_line(error)
        raise InputError(
            f"{path}: not weights in torch's legacy form: {reason}; fetch the file again"
        ) from error


def _read(file: BinaryIO) -> dict[str, np.ndarray]:
    magic, protocol, system, tensors, keys = (_TensorUnpickler(file).load() for _ in range(5))
    if magic != _MAGIC or protocol != _PROTOCOL or not system["little_endian"]:
        raise ValueError("the head of the file is another one")
    declared = {t.storage.key: t.storage for t in tensors.values()}
    if set(keys) != set(declared):
        raise ValueError("its tensors and its storages do not belong together")
    storages = {key: _read_storage(file, declared[key]) for key in keys}
    return {name: _view(t, storages[t.storage.key]) for name, t in tensors.items()}


def _read_storage(file: BinaryIO, storage: _Storage) -> np.ndarray:
    n_numbers = int.from_bytes(file.read(8), "little")
    if n_numbers != storage.n_numbers:
        raise ValueError("it is cut short or a storage has another length than it says")
    n_bytes = n_numbers * storage.dtype.itemsize
    data = file.read(n_bytes)
    if len(data) != n_bytes:
        raise ValueError("it is cut short")
    return np.frombuffer(data, storage.dtype)


def _view(tensor: _Tensor, storage: np.ndarray) -> np.ndarray:
    # Transposed weights are saved as they lay, so a tensor need not be contiguous; what it may
    # not do is reach beyond its storage, which NumPy would not notice.
    reach = sum((n - 1) * step for n, step in zip(tensor.shape, tensor.strides, strict=True))
    positive = min((tensor.offset, *tensor.strides, *tensor.shape)) >= 0
    n_numbers = math.prod(tensor.shape)
    inside = n_numbers == 0 or tensor.offset + reach < len(storage)
    if not (positive and inside and n_numbers <= len(storage)):
        raise ValueError("a tensor in it reaches beyond its numbers")
    steps = tuple(step * storage.itemsize for step in tensor.strides)
    view = np.lib.stride_tricks.as_strided(storage[tensor.offset :], tensor.shape, steps)
    return np.ascontiguousarray(view).reshape(tensor.shape)
