"""What TensorBoard shows of a training: one log folder, written by one Keras callback."""

from mmat.training.boards.callback import Boards, boards
from mmat.training.boards.clips import FixedClips
from mmat.training.boards.projector import LabelSpace, label_space, write_projector

__all__ = ["Boards", "FixedClips", "LabelSpace", "boards", "label_space", "write_projector"]
