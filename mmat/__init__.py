"""mmat: light-weight multimodal tagging of environmental sounds, in Keras.

The package imports in a moment: names are looked up when they are first used, and TensorFlow is
imported by the modules that compute.

>>> import mmat
>>> len(mmat.LabelSet.of(["Dog", "Train horn"]))
2
"""

import importlib
from typing import TYPE_CHECKING

from mmat.startup import prepare_tensorflow

if TYPE_CHECKING:
    from mmat.evaluation.evaluate import evaluate
    from mmat.labels import LabelSet
    from mmat.lists.read import read_list
    from mmat.models.audio import audio_branch
    from mmat.models.bundle import save
    from mmat.models.fusion import fused_model
    from mmat.models.video import video_branch
    from mmat.shards.corpus import open_corpus
    from mmat.shards.prepare import prepare
    from mmat.tagging.tagger import load
    from mmat.training.own import train

# TensorFlow reads its variables at its import, which any module below may be the first to do.
prepare_tensorflow()

__version__ = "0.1.0"
__all__ = [
    "LabelSet",
    "__version__",
    "audio_branch",
    "evaluate",
    "fused_model",
    "load",
    "open_corpus",
    "prepare",
    "read_list",
    "save",
    "train",
    "video_branch",
]

_HOMES = {
    "LabelSet": "mmat.labels",
    "audio_branch": "mmat.models.audio",
    "evaluate": "mmat.evaluation.evaluate",
    "fused_model": "mmat.models.fusion",
    "load": "mmat.tagging.tagger",
    "open_corpus": "mmat.shards.corpus",
    "prepare": "mmat.shards.prepare",
    "read_list": "mmat.lists.read",
    "save": "mmat.models.bundle",
    "train": "mmat.training.own",
    "video_branch": "mmat.models.video",
}


def __getattr__(name: str):
    """Import a public name from its module at its first use."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
