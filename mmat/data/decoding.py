"""Many media files decoded at once, by worker processes, with bounded memory.

A worker is a fresh Python process that imports this module and neither TensorFlow nor the calling
script, so it starts in a fraction of a second, and a codec that crashes costs one file.
"""

import collections
import concurrent.futures
import contextlib
import os
import pickle
import queue
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator

from mmat.data.media import Media, read_media
from mmat.errors import InputError

_AHEAD_A_WORKER = 4  # so many files a worker are decoded in advance at most


def decode(jobs: Iterable[dict], workers: int = 2) -> Iterator[Media | str]:
    """Yield for every job, in order, its media, or in a line why they cannot be read.

    jobs: arguments of `mmat.data.media.read_media`. workers: processes; 0 decodes in this one.

    >>> list(decode([{"path": "no such.wav"}], workers=0))
    ['no such.wav: no such file']
    """
    if workers == 0:
        yield from map(_decode_one, jobs)
        return
    processes = [DecodingProcess() for _ in range(workers)]
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
        threads.shutdown(cancel_futures=True)
        for process in processes:
            process.close()


class DecodingProcess:
    """One worker process; it is started when it is first needed, and again after it died."""

    def __init__(self):
        self._process: subprocess.Popen | None = None

    @property
    def pid(self) -> int | None:
        """The process's number, None before the first job."""
        return self._process and self._process.pid

    def decode(self, job: dict) -> Media | str:
        """Return the job's media, or in a line why they cannot be read."""
        if self._process is None or self._process.poll() is not None:
            self.close()
            self._process = subprocess.Popen(
                [sys.executable, "-c", "from mmat.data.decoding import serve; serve()"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            )
        try:
            pickle.dump(job, self._process.stdin)
            self._process.stdin.flush()
            return pickle.load(self._process.stdout)
        except (EOFError, OSError, pickle.UnpicklingError):
            status = self.close()
            return f"{job['path']}: the decoding process died of it (exit status {status})"

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


def serve() -> None:
    """Answer pickled jobs from standard input until it ends: the worker's side."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a codec library prints must not fall among the answers
    while True:
        try:
            job = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        pickle.dump(_decode_one(job), answers, protocol=pickle.HIGHEST_PROTOCOL)
        answers.flush()


def _decode_one(job: dict) -> Media | str:
    try:
        return read_media(**job)
    except InputError as error:
        return str(error)
    except Exception as error:  # whatever a codec does with a damaged file costs that file alone
        return f"{job['path']}: {type(error).__name__}: {' '.join(str(error).split())}"
