"""Where a program runs: the environment that TensorFlow must find, and whether anybody looks."""

import os
import sys

# oneDNN's kernels, and the allocator that comes with them, TensorFlow takes by itself only on
# processors with AVX-512 VNNI and newer. On one with AVX2 alone they halve the time of a training
# step: the default allocator gives large blocks back to the system after each use, and every page
# of them is made anew. And no chatter of CUDA and the like.
ENVIRONMENT = {"TF_ENABLE_ONEDNN_OPTS": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}


def prepare_tensorflow() -> None:
    """Set what of `ENVIRONMENT` is not set already; once TensorFlow is imported it is too late.

    Nothing is changed then, so that the processes that this one starts compute as it does.

    >>> prepare_tensorflow()
    >>> "TF_ENABLE_ONEDNN_OPTS" in os.environ
    True
    """
    if "tensorflow" not in sys.modules:
        os.environ.update(ENVIRONMENT | os.environ)


def on_terminal() -> bool:
    """Whether progress bars are shown: they are for eyes, in a log or a pipe they are noise."""
    return sys.stderr.isatty()
