"""What the training scripts share: the parts to fit, figures at every epoch, the fastest dtype."""

from mmat.training.checkpoints import forget, load_best
from mmat.training.distributed import is_chief, make_strategy
from mmat.training.loop import Stopped, train
from mmat.training.parts import (
    back_end,
    exchanged,
    front_end,
    late_head,
    learning_back_end,
    warm_cosine,
)
from mmat.training.precision import fastest_dtype
from mmat.training.recipe import History, Recipe
from mmat.training.tensorboard.callback import boards
from mmat.training.tensorboard.clips import FixedClips
from mmat.training.tensorboard.projector import LabelSpace, label_space

__all__ = [
    "FixedClips",
    "History",
    "LabelSpace",
    "Recipe",
    "Stopped",
    "back_end",
    "boards",
    "exchanged",
    "fastest_dtype",
    "forget",
    "front_end",
    "is_chief",
    "label_space",
    "late_head",
    "learning_back_end",
    "load_best",
    "make_strategy",
    "train",
    "warm_cosine",
]
