"""What the training scripts share: the parts to fit, figures at every epoch, the fastest dtype."""

from mmat.training.boards import TaggingFigures, TaggingPictures, tensorboard
from mmat.training.parts import (
    back_end,
    exchanged,
    front_end,
    late_head,
    predict,
    warm_cosine,
)
from mmat.training.precision import fastest_dtype

__all__ = [
    "TaggingFigures",
    "TaggingPictures",
    "back_end",
    "exchanged",
    "fastest_dtype",
    "front_end",
    "late_head",
    "predict",
    "tensorboard",
    "warm_cosine",
]
