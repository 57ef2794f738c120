"""Many media files decoded at once, by worker processes, in bounded memory and time.

A worker is a fresh Python process that imports this module and neither TensorFlow nor the calling
script, so it starts in a fraction of a second. A codec that crashes, or never ends, or asks for
memory without end, costs the one file that it was at.
"""

import collections
import concurrent.futures
import contextlib
import os
import queue
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator

from mmat.data.framing import Malformed, read_answer, read_job, write_answer, write_job
from mmat.data.media import Media, read_media
from mmat.errors import InputError

_AHEAD_A_WORKER = 4  # so many files a worker are decoded in advance at most
_GRACE_SECONDS = 5.0
_READY = b"ready"


def decode(
    jobs: Iterable[dict],
    workers: int = 2,
    limit_seconds: float = 60.0,
    memory_limit_bytes: int = 4 << 30,
) -> Iterator[Media | str]:
    """Yield for every job, in order, its media, or in a line why they cannot be read.

    jobs: arguments of `mmat.data.media.read_media`. workers: processes; 0 decodes in this one,
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
            waiting.append(threads.submit(run, job))
            if len(waiting) == workers * _AHEAD_A_WORKER:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
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
        """Return the job's media, or in a line why they cannot be read.

        Raises InputError where no process can be started.
        """
        if self._process is None or self._process.poll() is not None:
            self.close()
            self._start()
        too_long = threading.Event()
        # Ends every wait, also that for the rest of an answer from a process that was stopped.
        timer = threading.Timer(self.limit_seconds, lambda: (too_long.set(), self.kill()))
        timer.start()
        try:
            write_job(self._process.stdin, job)
            return read_answer(self._process.stdout, self.memory_limit_bytes)
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
        """End the process without a wait for it."""
        process = self._process
        if process is not None:
            process.kill()

    def close(self) -> int | None:
        """End the process, if there is one, and return its exit status."""
        if self._process is None:
            return None
        process, self._process = self._process, None
        process.kill()
        process.stdout.close()
        with contextlib.suppress(OSError):  # what was left to write has no reader any more
            process.stdin.close()
        return process.wait()


def serve(limit_seconds: float, memory_limit_bytes: int) -> None:
    """Answer jobs from standard input until it ends: the worker's side."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    resource.setrlimit(resource.RLIMIT_AS, (memory_limit_bytes, memory_limit_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    import av  # noqa: F401  what cannot be loaded within the limits is no fault of a file
    import soundfile  # noqa: F401
    import soxr  # noqa: F401

    answers = os.fdopen(os.dup(1), "wb")
    with open(os.devnull, "w") as nowhere:
        for stream in (1, 2):  # codec libraries print, of damaged files line upon line
            os.dup2(nowhere.fileno(), stream)
    answers.write(_READY)
    answers.flush()
    with contextlib.suppress(EOFError, BrokenPipeError):  # the parent has gone
        while True:
            job = read_job(sys.stdin.buffer)
            # The parent ends what hangs; without a parent the system does, a little later.
            signal.setitimer(signal.ITIMER_REAL, limit_seconds + _GRACE_SECONDS)
            write_answer(answers, _decode_one(job))
            signal.setitimer(signal.ITIMER_REAL, 0)


def _decode_one(job: dict) -> Media | str:
    try:
        return read_media(**job)
    except InputError as error:
        return str(error)
    except Exception as error:  # whatever a codec does with a damaged file costs that file alone
        return f"{job['path']}: {type(error).__name__}: {' '.join(str(error).split())}"
