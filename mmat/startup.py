"""Start of a program: TensorFlow's environment, garbage collection, whether to show progress."""

import gc
import os
import sys

# TensorFlow uses oneDNN's kernels and allocator by default only on processors with AVX-512 VNNI.
# With AVX2 alone they halve the time of a training step too: the default allocator returns large
# blocks to the system after each use, and each of their pages is mapped again. The other variable
# silences log lines of CUDA and the like.
ENVIRONMENT = {"TF_ENABLE_ONEDNN_OPTS": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}


def prepare_tensorflow() -> None:
    """Set those variables of `ENVIRONMENT` that are not set yet, before TensorFlow is imported.

    Importing `mmat` does so. Where TensorFlow or Keras was imported before nothing is changed, so
    that the processes that this one starts compute as it does; its log lines cannot be silenced
    then, nor those of errors where `TF_CPP_MIN_LOG_LEVEL` is set to less than 3.

    >>> prepare_tensorflow()
    >>> "TF_ENABLE_ONEDNN_OPTS" in os.environ
    True
    """
    if "tensorflow" not in sys.modules:
        os.environ.update(ENVIRONMENT | os.environ)


def collect_less_often() -> None:
    """Look for garbage less often, which is for programs alone: the setting is the process's.

    What TensorFlow's import makes stays. Python looks through it again and again meanwhile, a
    tenth of the time that the import takes.

    >>> kept = gc.get_threshold()
    >>> collect_less_often()
    >>> gc.get_threshold()[0] > kept[0]
    True
    >>> gc.set_threshold(*kept)
    """
    gc.set_threshold(50_000, 20, 20)


def on_terminal() -> bool:
    """Return whether to show progress bars: on a terminal, not in a log or a pipe."""
    return sys.stderr.isatty()
