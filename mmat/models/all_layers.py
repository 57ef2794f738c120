"""Import this to register every layer of mmat with Keras, before a saved model is read."""

from mmat.models import (
    answers,
    audio,
    augment,
    features,
    joining,
    pooling,
    semantics,
    video,
    zero_training,
)

__all__ = [
    "answers",
    "audio",
    "augment",
    "features",
    "joining",
    "pooling",
    "semantics",
    "video",
    "zero_training",
]
