"""The protocol of a decoding process and its parent over a pipe: JSON, and plain arrays.

The process reads untrusted files, so its parent trusts nothing that it sends: no pickle, no
types but the two of `Media`, and no more bytes than the parent allows. A message is four bytes of
length (big-endian), as many of JSON, and after an answer's header the bytes of its arrays.
"""

import json
import math
import os
import struct
from collections.abc import Mapping
from typing import BinaryIO

import numpy as np

from mmat.data.media import Media

_LENGTH = struct.Struct(">I")
_MAX_HEADER_BYTES = 1 << 20  # the longest is a job with its path, or a reason in words
_DTYPES = {"waveform": np.float32, "frames": np.uint8}
_AXES = {"waveform": 1, "frames": 4}


class Malformed(ValueError):
    """A message that does not follow the form above."""


def write_job(stream: BinaryIO, job: Mapping) -> None:
    """Write the arguments of `mmat.data.media.read_media`.

    >>> import io
    >>> pipe = io.BytesIO()
    >>> write_job(pipe, {"path": "a.wav", "n_frames": 0})
    >>> read_job(io.BytesIO(pipe.getvalue()))
    {'path': 'a.wav', 'n_frames': 0}
    """
    _write_header(stream, dict(job))
    stream.flush()


def read_job(stream: BinaryIO) -> dict:
    """Read what `write_job` wrote; raises EOFError where there is no other job."""
    return _read_header(stream)


def write_answer(stream: BinaryIO, answer: Media | str) -> None:
    """Write media, or in a line why there are none."""
    if isinstance(answer, str):
        _write_header(stream, {"reason": answer[: _MAX_HEADER_BYTES // 16]})
    else:
        arrays = {name: getattr(answer, name) for name in _DTYPES}
        shapes = {name: None if x is None else x.shape for name, x in arrays.items()}
        _write_header(stream, shapes | {"duration_seconds": float(answer.duration_seconds)})
        for name, array in arrays.items():
            if array is not None:
                stream.write(np.ascontiguousarray(array, _DTYPES[name]).data)
    stream.flush()


def read_answer(stream: BinaryIO, max_bytes: int) -> Media | str:
    """Read what `write_answer` wrote, of at most `max_bytes` of arrays.

    Raises EOFError where it ends too early, and `Malformed` for what is no answer.
    """
    header = _read_header(stream)
    if set(header) == {"reason"} and isinstance(header["reason"], str):
        return " ".join(header["reason"].split())
    if set(header) != {*_DTYPES, "duration_seconds"}:
        raise Malformed("neither media nor a reason")
    seconds = header["duration_seconds"]
    if not isinstance(seconds, float) or not math.isfinite(seconds) or seconds < 0:
        raise Malformed(f"no duration: {seconds!r}")
    shapes = {name: _checked_shape(name, header[name]) for name in _DTYPES}
    if sum(_n_bytes(name, shape) for name, shape in shapes.items()) > max_bytes:
        raise Malformed("more than was allowed")
    arrays = {name: _read_array(stream, name, shape) for name, shape in shapes.items()}
    return Media(**arrays, duration_seconds=seconds)


def _checked_shape(name: str, shape) -> tuple[int, ...] | None:
    if shape is None:
        return None
    sizes = isinstance(shape, list) and all(type(n) is int and n >= 0 for n in shape)
    if not sizes or len(shape) != _AXES[name] or (name == "frames" and shape[-1] != 3):
        raise Malformed(f"no shape of {name}: {shape!r:.100}")
    return tuple(shape)


def _n_bytes(name: str, shape: tuple[int, ...] | None) -> int:
    return 0 if shape is None else math.prod(shape) * np.dtype(_DTYPES[name]).itemsize


def _read_array(stream: BinaryIO, name: str, shape: tuple[int, ...] | None) -> np.ndarray | None:
    if shape is None:
        return None
    array = np.empty(math.prod(shape), _DTYPES[name])
    room, filled = memoryview(array.view(np.uint8)), 0
    while filled < len(room):
        count = stream.readinto(room[filled:])
        if not count:
            raise EOFError
        filled += count
    return array.reshape(shape)


def _write_header(stream: BinaryIO, header: dict) -> None:
    text = json.dumps(header, default=_plain).encode("ascii")
    stream.write(_LENGTH.pack(len(text)) + text)


def _plain(value):
    """Return a path as text (of no encoding, if need be), and NumPy's numbers as Python's."""
    return value.item() if isinstance(value, np.generic) else os.fspath(value)


def _read_header(stream: BinaryIO) -> dict:
    (length,) = _LENGTH.unpack(_read_exactly(stream, _LENGTH.size))
    if length > _MAX_HEADER_BYTES:
        raise Malformed("a header without end")
    try:
        header = json.loads(_read_exactly(stream, length))
    except (ValueError, RecursionError) as error:
        raise Malformed("a header that is no JSON") from error
    if not isinstance(header, dict):
        raise Malformed("a header that is no object")
    return header


def _read_exactly(stream: BinaryIO, n_bytes: int) -> bytes:
    data = stream.read(n_bytes)
    if len(data) < n_bytes:
        raise EOFError
    return data
