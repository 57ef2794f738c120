"""LiteRT interpreters, of which each answers one call at a time, for calls from many threads."""

import contextlib
import os
import tempfile
import threading
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator

import numpy as np

STANDARD_ERROR = 2

Signature = Callable[..., dict[str, np.ndarray]]
_redirected = threading.Lock()  # of standard error, which a process has but once


class Processors:
    """Shares out n processors among the calls that compute.

    A call that is alone gets all of them, calls at the same time one each: two networks on one
    processor each take less time than one network twice on both.

    >>> processors = Processors(2)
    >>> with processors.some() as alone, processors.some() as beside:
    ...     alone, beside
    (2, 1)
    """

    def __init__(self, n: int):
        self._n, self._n_computing = n, 0
        self._slots, self._lock = threading.Semaphore(n), threading.Lock()

    @contextlib.contextmanager
    def some(self) -> Iterator[int]:
        """Give the number that a call may use, as soon as there is one."""
        with self._slots:
            with self._lock:
                n = 1 if self._n_computing else self._n
                self._n_computing += 1
            try:
                yield n
            finally:
                with self._lock:
                    self._n_computing -= 1


class Interpreters:
    """The interpreters of one network, a LiteRT file's bytes, opened as they are needed."""

    def __init__(self, network: bytes):
        self._network, self._free = network, defaultdict(list)

    @contextlib.contextmanager
    def signatures(self, threads: int) -> Iterator[dict[str, Signature]]:
        """Give the network's signatures by name, of an interpreter that nobody else has meanwhile.

        A signature takes and returns arrays by name, and has `get_input_details`.
        """
        free = self._free[threads]
        try:
            interpreter, runners = free.pop()
        except IndexError:
            # The runners need their interpreter, but do not hold it.
            interpreter = open_interpreter(threads, self._network)
            names = interpreter.get_signature_list()
            runners = {name: interpreter.get_signature_runner(name) for name in names}
        try:
            yield runners
        finally:
            free.append((interpreter, runners))


def open_interpreter(threads: int, network: bytes):
    """Return an interpreter, of `ai_edge_litert` or, where that is missing, of TensorFlow."""
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError:
        import tensorflow as tf

        Interpreter = tf.lite.Interpreter
    with warnings.catch_warnings(), _without_information():
        warnings.simplefilter("ignore")  # that TensorFlow's will move to the other package
        interpreter = Interpreter(num_threads=threads, model_content=network)
        interpreter.allocate_tensors()
    return interpreter


@contextlib.contextmanager
def _without_information() -> Iterator[None]:
    """Keep from standard error what the runtime says for information; it has no switch for that."""
    with _redirected:
        try:
            kept = os.dup(STANDARD_ERROR)  # behind the lock: before it, that may be another's file
        except OSError:  # a process without one
            yield
            return
        with tempfile.TemporaryFile() as said:
            os.dup2(said.fileno(), STANDARD_ERROR)
            try:
                yield
            finally:
                os.dup2(kept, STANDARD_ERROR)
                os.close(kept)
                said.seek(0)
                for line in said:
                    if not line.startswith(b"INFO: "):
                        os.write(STANDARD_ERROR, line)
