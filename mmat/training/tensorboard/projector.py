"""Image labels and sound events as points of one space, for TensorBoard's projector."""

import dataclasses
import os
import pathlib
from collections.abc import Sequence

import numpy as np

from mmat.files import InputError, atomic_path
from mmat.labels import LabelSet
from mmat.models.label_map import sound_label_names
from mmat.pretrained.text import TextEncoder
from mmat.training.tensorboard.sections import Section

IMAGE_LABEL, SOUND_EVENT = "image label", "sound event"
FOLDER, TENSORS, METADATA, CONFIG = (
    "projector",
    "tensors.tsv",
    "metadata.tsv",
    "projector_config.pbtxt",
)


@dataclasses.dataclass(frozen=True)
class LabelSpace:
    """Named points: vectors float32 `(points, size)`; of each its name, its label and its kind.

    A label has a point for each of its names. Raises InputError where the numbers differ.
    """

    vectors: np.ndarray
    names: Sequence[str]
    labels: Sequence[str]
    kinds: Sequence[str]

    def __post_init__(self):
        numbers = {len(each) for each in (self.vectors, self.names, self.labels, self.kinds)}
        if len(numbers) != 1 or np.ndim(self.vectors) != 2:
            raise InputError("label space: it needs a vector, a name, a label and a kind per point")


def label_space(
    image_labels: Sequence[Sequence[str]], sound_labels: LabelSet, encoder: TextEncoder
) -> LabelSpace:
    """Place every name of the image labels and of the sound events by a text encoder.

    image_labels: the synonyms of each. The cosine of two points is what
    `mmat.models.label_map.label_similarities` takes the largest of, over the names of two labels.
    """
    points = [(name, group[0], IMAGE_LABEL) for group in image_labels for name in group]
    for index, label in enumerate(sound_labels.names):
        names = sound_label_names(sound_labels, index)
        points += [(name, label, SOUND_EVENT) for name in names]
    names, labels, kinds = zip(*points, strict=True)
    return LabelSpace(encoder(names), names, labels, kinds)


def write_projector(folder: str | os.PathLike, space: LabelSpace) -> None:
    """Write points into a log folder: tensors, metadata and the file that names both.

    >>> import tempfile
    >>> space = LabelSpace(np.eye(2), ["dog", "Bark"], ["dog", "Dog"], [IMAGE_LABEL, SOUND_EVENT])
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> write_projector(folder, space)
    >>> print((folder / "projector" / "metadata.tsv").read_text().expandtabs(6))
    name  label kind
    dog   dog   image label
    Bark  Dog   sound event
    <BLANKLINE>
    """
    from google.protobuf import text_format
    from tensorboard.plugins.projector import ProjectorConfig

    folder = pathlib.Path(folder)
    with atomic_path(folder / FOLDER) as part:
        part.mkdir()
        np.savetxt(part / TENSORS, space.vectors, fmt="%.5g", delimiter="\t")
        rows = [("name", "label", "kind")]
        rows += zip(space.names, space.labels, space.kinds, strict=True)
        lines = ("\t".join(" ".join(str(cell).split()) for cell in row) + "\n" for row in rows)
        (part / METADATA).write_text("".join(lines), encoding="utf-8")
    config = ProjectorConfig()
    config.embeddings.add(
        tensor_name="labels",
        tensor_path=f"{FOLDER}/{TENSORS}",
        metadata_path=f"{FOLDER}/{METADATA}",
    )
    with atomic_path(folder / CONFIG) as part:
        part.write_text(text_format.MessageToString(config), encoding="utf-8")


class Projector(Section):
    """Write the points of a label space once, beside the log."""

    def __init__(self, folder: str | os.PathLike, space: LabelSpace):
        self.folder, self.space = folder, space

    def begin(self, model):
        write_projector(self.folder, self.space)
