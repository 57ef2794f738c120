"""Work on several files at the same time, in threads, whose results are taken in order.

Decoders and networks leave Python's lock alone, so one file is decoded while another is computed.
"""

import collections
import concurrent.futures
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Generic, TypeVar

from mmat.signals import interrupt_held, result_of

N_THREADS = 3  # one file is decoded, and two fill each other's gaps in the network
MOST_BEGUN = 2 * N_THREADS  # files, so that a short one need not wait for a long one before it
AHEAD_SECONDS = 600.0  # of a file, before its turn: what is known of it is kept until then

Result = TypeVar("Result")
Progress = Callable[[float, float], None]  # of the seconds that are done and those promised
Work = Callable[[Progress], Result]


class Job(Generic[Result]):
    """The work on one file, which `work_ahead` may have begun.

    Work says how far it is by `Progress`, and is ended by what that raises.
    """

    def __init__(self, work: Work, stopped: threading.Event):
        self._work, self._stopped = work, stopped
        self._turn, self._show = threading.Event(), None
        self._future: concurrent.futures.Future | None = None

    def begin(self, threads: concurrent.futures.Executor) -> None:
        """Do the work in a thread, and from `AHEAD_SECONDS` on only when it is its turn."""
        with interrupt_held():
            self._future = threads.submit(self._work, self._progress)

    def result(self, show: Progress) -> Result:
        """Return what the work returns, or raise what it raises: it is its turn now."""
        if self._future is None:
            return self._work(show)
        self._show = show
        with interrupt_held():
            self._turn.set()
        return result_of(self._future)

    def stop(self) -> None:
        """Wake what waits for its turn."""
        self._turn.set()

    def _progress(self, done_seconds: float, whole_seconds: float) -> None:
        if done_seconds > AHEAD_SECONDS:
            self._turn.wait()
        if self._stopped.is_set():
            raise concurrent.futures.CancelledError
        if self._show is not None:
            self._show(done_seconds, whole_seconds)


def work_ahead(
    works: Iterable[Work], is_ready: Callable[[int], bool] = lambda number: True
) -> Iterator[Job]:
    """Yield a job for each work, in order, while those of the next ones are begun.

    At most `MOST_BEGUN` are begun and not taken. Where the iterator is closed the begun ones are
    stopped at their next progress. is_ready: of a number, whether that work can be begun before its
    turn.

    >>> works = [lambda progress, n=n: n * n for n in range(5)]
    >>> [job.result(print) for job in work_ahead(works)]
    [0, 1, 4, 9, 16]
    """
    stopped = threading.Event()
    threads = concurrent.futures.ThreadPoolExecutor(N_THREADS)
    waiting: collections.deque[Job] = collections.deque()
    try:
        for number, work in enumerate(works):
            job = Job(work, stopped)
            waiting.append(job)  # first, so that it is stopped with the others
            if is_ready(number):
                job.begin(threads)
            if len(waiting) == MOST_BEGUN:
                yield waiting[0]
                waiting.popleft()
        while waiting:
            yield waiting[0]
            waiting.popleft()
    finally:
        with interrupt_held():  # once more, by a user who will not wait
            stopped.set()
            for job in waiting:
                job.stop()
            threads.shutdown(cancel_futures=True)
