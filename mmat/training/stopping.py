"""Ctrl-C and SIGTERM end a training between two steps, so that what was learnt is saved first."""

import signal
import threading

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stopped(KeyboardInterrupt):
    """A training that a signal ended in good order; `exit_status` is what the process owes."""

    def __init__(self, message: str, exit_status: int):
        super().__init__(message)
        self.exit_status = exit_status


class StopRequest:
    """Within `with`, the first SIGINT or SIGTERM only sets `signal_number`.

    The second of them does what it always did. A signal that the process was told to ignore stays
    ignored, and outside of the main thread nothing is changed.
    """

    def __init__(self):
        self.signal_number: int | None = None
        self._before: dict = {}

    def __enter__(self) -> "StopRequest":
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                if signal.getsignal(number) is not signal.SIG_IGN:
                    self._before[number] = signal.signal(number, self._asked)
        return self

    def __exit__(self, *_) -> None:
        self._restore()

    def _asked(self, number, frame) -> None:
        self.signal_number = number
        self._restore()

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}
