"""Ctrl-C and SIGTERM, where an exception in the midst of things would do harm.

Python raises KeyboardInterrupt between any two steps of the main thread. In the midst of
`threading.Condition` it leaves a lock closed for which other threads wait for ever, and in a
`__del__` it is swallowed.
"""

import concurrent.futures
import contextlib
import signal
import threading
from collections.abc import Iterator, Sequence
from typing import TypeVar

SIGNALS = (signal.SIGINT, signal.SIGTERM)
_LOOK_SECONDS = 0.1  # how often to look for Ctrl-C while waiting
Result = TypeVar("Result")


class StopRequest:
    """Within `with`, the first of the signals only sets `signal_number`.

    The second of them does what it always did. A signal that the process was told to ignore stays
    ignored, and outside of the main thread nothing is changed.
    """

    def __init__(self, signals: Sequence[int] = SIGNALS):
        self.signal_number: int | None = None
        handlers = {number: signal.getsignal(number) for number in signals}
        # None: one that was not set by Python, and cannot be set again.
        left = signal.SIG_IGN, None
        self._before = {n: old for n, old in handlers.items() if old not in left}

    def __enter__(self) -> "StopRequest":
        if threading.current_thread() is not threading.main_thread():
            self._before = {}
        for number in self._before:
            signal.signal(number, self._asked)
        return self

    def __exit__(self, *_) -> None:
        self._restore()

    def _asked(self, number, frame) -> None:
        self.signal_number = number
        self._restore()

    def _restore(self) -> None:
        for number, handler in reversed(self._before.items()):  # from the first on one may raise
            signal.signal(number, handler)


@contextlib.contextmanager
def interrupt_held() -> Iterator[StopRequest]:
    """Within `with`, Ctrl-C waits: KeyboardInterrupt is raised at the end of it."""
    with StopRequest([signal.SIGINT]) as request:
        yield request
    if request.signal_number is not None:
        raise KeyboardInterrupt


def result_of(future: "concurrent.futures.Future[Result]") -> Result:
    """Return or raise what the future does, or raise KeyboardInterrupt at Ctrl-C.

    Unlike in the future's own `result`, Ctrl-C leaves its lock open for the thread that works.

    >>> with concurrent.futures.ThreadPoolExecutor() as threads:
    ...     result_of(threads.submit(pow, 2, 5))
    32
    """
    with interrupt_held() as request:
        while request.signal_number is None and not future.done():
            concurrent.futures.wait([future], _LOOK_SECONDS)
    return future.result()
