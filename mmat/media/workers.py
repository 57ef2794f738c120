"""Many media files decoded at once, by worker processes, in bounded memory and time.

A worker is a fresh Python process that imports this module and neither TensorFlow nor the calling
script, so it starts in a fraction of a second. A codec that crashes, or never ends, or allocates
memory without end, costs only the file that it was reading.

The worker protocol: JSON and plain arrays over pipes. A worker reads untrusted files, so its parent
trusts nothing that it sends: no pickle, no types but the two of `Media`, and no more bytes than the
parent allows. A message is four bytes of length (big-endian), that many bytes of JSON and, in a
result, the bytes of its arrays. Windows of a file are one result, all of them behind each other,
and a message that says how it is cut.
"""

import collections
import concurrent.futures
import contextlib
import dataclasses
import json
import math
import os
import queue
import resource
import signal
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import BinaryIO, TypeVar

import numpy as np

from mmat.files import InputError, one_line
from mmat.media.read import Media, read_media
from mmat.media.windows import HeldWindows, Window, WindowSpec, hold_windows
from mmat.signals import interrupt_held, result_of

_LENGTH = struct.Struct(">I")
_MAX_HEADER_BYTES = 1 << 20  # the longest is a job with its path, or a reason
_MAX_TEXT = _MAX_HEADER_BYTES // 16  # JSON takes up to twelve bytes for a character
_DTYPES = {"waveform": np.float32, "frames": np.uint8}
_AXES = {"waveform": 1, "frames": 4}
_AHEAD_A_WORKER = 4  # files a worker that are decoded in advance, at most
_GRACE_SECONDS = 5.0  # after the parent's limit, for a worker without a parent
_READY = b"ready"
_Answer = TypeVar("_Answer", Media, HeldWindows)


def decode(
    jobs: Iterable[dict],
    workers: int = 2,
    limit_seconds: float = 60.0,
    memory_limit_bytes: int = 4 << 30,
) -> Iterator[Media | str]:
    """Yield for every job, in order, its media, or on one line why they cannot be read.

    jobs: arguments of `mmat.media.read.read_media`. workers: processes; 0 decodes in this one,
    without the limits. limit_seconds: for one file. memory_limit_bytes: of address space, for one
    worker; it has 0.3 GB of it before the first file.

    >>> list(decode([{"path": "no such.wav"}], workers=0))
    ['no such.wav: no such file']
    """
    if workers == 0:
        yield from map(_decode_one, jobs)
        return
    processes = [DecodingProcess(limit_seconds, memory_limit_bytes) for _ in range(workers)]
    idle: queue.SimpleQueue = queue.SimpleQueue()
    for process in processes:
        idle.put(process)

    def run(job):
        process = idle.get()
        try:
            return process.decode(job)
        finally:
            idle.put(process)

    threads = concurrent.futures.ThreadPoolExecutor(workers)  # each waits for one process
    waiting: collections.deque = collections.deque()
    try:
        for job in jobs:
            with interrupt_held():
                waiting.append(threads.submit(run, job))
            if len(waiting) == workers * _AHEAD_A_WORKER:
                yield result_of(waiting.popleft())
        while waiting:
            yield result_of(waiting.popleft())
    finally:
        with interrupt_held():
            threads.shutdown(wait=False, cancel_futures=True)
            for process in processes:
                process.kill()  # what a thread waits for ends at once
            threads.shutdown()
            for process in processes:
                process.close()


class DecodingProcess:
    """One worker process; it is started when it is first needed, and again after it died."""

    def __init__(self, limit_seconds: float = 60.0, memory_limit_bytes: int = 4 << 30):
        self.limit_seconds = limit_seconds
        self.memory_limit_bytes = memory_limit_bytes
        self._process: subprocess.Popen | None = None

    @property
    def pid(self) -> int | None:
        """The process's number, None before the first job."""
        return self._process and self._process.pid

    def decode(self, job: dict) -> Media | str:
        """Return the job's media, or on one line why they cannot be read.

        Raises InputError where no process can be started.
        """
        return self._answer(job, read_result)

    def decode_windows(
        self, path: str | os.PathLike, spec: WindowSpec, until_seconds: float
    ) -> HeldWindows | str:
        """Return what `mmat.media.windows.hold_windows` does, or on one line why it cannot.

        Raises InputError where no process can be started.
        """
        windows = dataclasses.asdict(spec) | {"until_seconds": until_seconds}
        return self._answer({"path": path, "windows": windows}, read_windows)

    def _answer(self, job: dict, read: Callable[[BinaryIO, int], _Answer]) -> _Answer | str:
        if self._process is None or self._process.poll() is not None:
            self.close()
            self._start()
        too_long = threading.Event()
        # Ends every wait, also that for the rest of a result of a process that was stopped.
        timer = threading.Timer(self.limit_seconds, lambda: (too_long.set(), self.kill()))
        timer.start()
        try:
            write_job(self._process.stdin, job)
            return read(self._process.stdout, self.memory_limit_bytes)
        except (EOFError, OSError, Malformed):
            status = self.close()
            if too_long.is_set():
                return f"{job['path']}: takes longer than {self.limit_seconds:g} s to decode"
            return f"{job['path']}: the decoding process died of it (exit status {status})"
        finally:
            timer.cancel()
            timer.join()  # or it could kill this process at its next job

    def _start(self) -> None:
        limits = f"{self.limit_seconds!r}, {self.memory_limit_bytes!r}"
        self._process = subprocess.Popen(
            [sys.executable, "-c", f"from {__name__} import serve; serve({limits})"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )
        if self._process.stdout.read(len(_READY)) != _READY:
            status = self.close()
            raise InputError(f"a decoding process cannot be started (exit status {status})")

    def kill(self) -> None:
        """End the process without waiting for it."""
        process = self._process  # once: another thread may close it meanwhile
        if process is not None:
            process.kill()

    def close(self) -> int | None:
        """End the process, if there is one, and return its exit status."""
        if self._process is None:
            return None
        process, self._process = self._process, None
        process.kill()
        process.stdout.close()
        with contextlib.suppress(OSError):  # what was left to write has no reader
            process.stdin.close()
        return process.wait()


def serve(limit_seconds: float, memory_limit_bytes: int) -> None:
    """Do the jobs that come on standard input until it ends: the worker's side."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    resource.setrlimit(resource.RLIMIT_AS, (memory_limit_bytes, memory_limit_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    import av  # noqa: F401  now, or a file would be blamed where it does not fit the limits
    import soxr  # noqa: F401

    results = os.fdopen(os.dup(1), "wb")
    with open(os.devnull, "w") as nowhere:
        for stream in (1, 2):  # codec libraries print, many lines for a damaged file
            os.dup2(nowhere.fileno(), stream)
    results.write(_READY)
    results.flush()
    with contextlib.suppress(EOFError, BrokenPipeError):  # the parent has gone
        while True:
            job = read_job(sys.stdin.buffer)
            # The parent ends a worker that hangs; without a parent the system does, a bit later.
            signal.setitimer(signal.ITIMER_REAL, limit_seconds + _GRACE_SECONDS)
            found = _decode_one(job)
            write = write_windows if isinstance(found, HeldWindows) else write_result
            write(results, found)
            signal.setitimer(signal.ITIMER_REAL, 0)


def _decode_one(job: dict) -> Media | HeldWindows | str:
    try:
        if "windows" in job:
            windows = dict(job["windows"])
            until = windows.pop("until_seconds")
            return hold_windows(job["path"], WindowSpec(**windows), until)
        return read_media(**job)
    except InputError as error:
        return str(error)
    except Exception as error:  # whatever a codec raises for a damaged file costs that file alone
        return f"{job['path']}: {type(error).__name__}: {one_line(error)}"


class Malformed(ValueError):
    """A message that breaks the worker protocol."""


def write_job(stream: BinaryIO, job: Mapping) -> None:
    """Write the arguments of `mmat.media.read.read_media`.

    >>> import io
    >>> pipe = io.BytesIO()
    >>> write_job(pipe, {"path": "a.wav", "n_frames": 0})
    >>> read_job(io.BytesIO(pipe.getvalue()))
    {'path': 'a.wav', 'n_frames': 0}
    """
    _write_header(stream, dict(job))
    stream.flush()


def read_job(stream: BinaryIO) -> dict:
    """Read what `write_job` wrote; raises EOFError after the last job."""
    return _read_header(stream)


def write_result(stream: BinaryIO, result: Media | str) -> None:
    """Write media, or why they cannot be read."""
    if isinstance(result, str):
        _write_header(stream, {"reason": result[:_MAX_TEXT]})
    else:
        arrays = {name: getattr(result, name) for name in _DTYPES}
        shapes = {name: None if x is None else x.shape for name, x in arrays.items()}
        seconds, problem = float(result.duration_seconds), result.problem[:_MAX_TEXT]
        _write_header(stream, shapes | {"duration_seconds": seconds, "problem": problem})
        for name, array in arrays.items():
            if array is not None:
                stream.write(np.ascontiguousarray(array, _DTYPES[name]).data)
    stream.flush()


def read_result(stream: BinaryIO, max_bytes: int) -> Media | str:
    """Read what `write_result` wrote, with arrays of at most `max_bytes`.

    Raises EOFError where it ends too early, and `Malformed` for what is not a result.
    """
    header = _read_header(stream)
    if set(header) == {"reason"} and isinstance(header["reason"], str):
        return " ".join(header["reason"].split())
    if set(header) != {*_DTYPES, "duration_seconds", "problem"}:
        raise Malformed("neither media nor a reason")
    if not isinstance(header["problem"], str):
        raise Malformed("a problem that is no text")
    seconds = header["duration_seconds"]
    if not isinstance(seconds, float) or not math.isfinite(seconds) or seconds < 0:
        raise Malformed(f"no duration: {seconds!r}")
    shapes = {name: _checked_shape(name, header[name]) for name in _DTYPES}
    if sum(_n_bytes(name, shape) for name, shape in shapes.items()) > max_bytes:
        raise Malformed("more than was allowed")
    arrays = {name: _read_array(stream, name, shape) for name, shape in shapes.items()}
    return Media(**arrays, duration_seconds=seconds, problem=" ".join(header["problem"].split()))


def write_windows(stream: BinaryIO, held: HeldWindows) -> None:
    """Write windows: their sound and their pictures behind each other, then how they are cut."""
    parts = [w.media for w in held.windows]
    arrays = {
        name: np.concatenate(found) if (found := _present(parts, name)) else None
        for name in _DTYPES
    }
    write_result(stream, Media(**arrays, duration_seconds=held.seconds, problem=held.problem))
    cuts = [
        [w.start_seconds, w.media.duration_seconds, *_lengths(w.media), w.picture_seconds.tolist()]
        for w in held.windows
    ]
    _write_header(stream, {"aspect": held.aspect, "cuts": cuts})
    stream.flush()


def read_windows(stream: BinaryIO, max_bytes: int) -> HeldWindows | str:
    """Read what `write_windows` wrote, or the reason that came in its place.

    Raises what `read_result` does.

    >>> import io
    >>> window = Window(5.0, Media(np.ones(16000, np.float32), None, 1.0), np.zeros(0))
    >>> write_windows(pipe := io.BytesIO(), HeldWindows((window,), problem="it ends early"))
    >>> held = read_windows(io.BytesIO(pipe.getvalue()), 1 << 20)
    >>> [(w.start_seconds, len(w.media.waveform)) for w in held], held.problem
    ([(5.0, 16000)], 'it ends early')
    """
    whole = read_result(stream, max_bytes)
    if isinstance(whole, str):
        return whole
    header = _read_header(stream)
    try:
        aspect, cuts = float(header["aspect"]), header["cuts"]
        found = tuple(_cut(whole, cuts))
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise Malformed("no windows") from error
    if not found or not math.isfinite(aspect) or aspect <= 0:
        raise Malformed("no windows")
    return HeldWindows(found, aspect, whole.problem)


def _cut(whole: Media, cuts: list) -> Iterator[Window]:
    """Yield the windows; raises ValueError where the lengths are not those of the whole."""
    firsts = dict.fromkeys(_DTYPES, 0)
    for start, seconds, n_samples, n_pictures, times in cuts:
        arrays = {}
        for name, n in zip(_DTYPES, (n_samples, n_pictures), strict=True):
            array, first = getattr(whole, name), firsts[name]
            if n is None:
                arrays[name] = None
                continue
            if type(n) is not int or n < 0 or array is None or first + n > len(array):
                raise ValueError("a cut that leads out")
            arrays[name] = array[first : first + n]
            firsts[name] += n
        times = np.asarray(times, np.float64).reshape(n_pictures or 0)
        if not np.isfinite([start, seconds, *times]).all() or min(start, seconds) < 0:
            raise ValueError("a time that is none")
        yield Window(float(start), Media(**arrays, duration_seconds=float(seconds)), times)


def _present(parts: list[Media], name: str) -> list[np.ndarray]:
    return [array for part in parts if (array := getattr(part, name)) is not None]


def _lengths(media: Media) -> list[int | None]:
    return [None if (x := getattr(media, name)) is None else len(x) for name in _DTYPES]


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
