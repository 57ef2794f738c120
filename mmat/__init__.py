"""mmat: light-weight multimodal tagging of environmental sounds, in Keras.

The package imports in a moment: names are looked up when they are first used, and TensorFlow is
imported by the modules that compute.

>>> import mmat
>>> len(mmat.LabelSet.of(["Dog", "Train horn"]))
2
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mmat.labels import LabelSet
    from mmat.serving.load import load

__version__ = "0.1.0"
__all__ = ["LabelSet", "__version__", "load"]

_HOMES = {"LabelSet": "mmat.labels", "load": "mmat.serving.load"}


def __getattr__(name: str):
    """Import a public name from its module at its first use."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
