"""A tagger from a model's folder, or from nothing but labels."""

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING

from mmat.errors import InputError
from mmat.labels import LabelSet
from mmat.startup import prepare_tensorflow

if TYPE_CHECKING:
    from mmat.serving.tagger import Tagger

SOUND_MODEL, IMAGE_MODEL = "yamnet", "efficientnet_lite0"


def load(
    path: str | os.PathLike | None = None,
    labels: str | Iterable[str] | LabelSet | None = None,
    hop_seconds: float | None = None,
    sound_model: str = SOUND_MODEL,
    image_model: str = IMAGE_MODEL,
) -> "Tagger":
    """Return a tagger: of the model in a folder, or, without one, of any labels untrained.

    path: the folder of a trained model, as `mmat.save` and the training scripts leave it, or of
    what `mmat export` made of one, which loads faster. labels: names, or a text as
    `mmat.data.list_labels.asked_label_set` reads it: names separated by `;`, a label file, or a
    named set such as `dcase2017`; see `mmat.models.zero_training`. hop_seconds: from one window of
    a long file to the next. sound_model, image_model: with labels, who hears and sees: `yamnet`,
    `yamnet_hub` or a handle of a network in YAMNet's form, and a name of
    `mmat.models.pretrained.registry.IMAGE_NETWORKS`. Raises InputError for a folder that holds no
    model, for labels that cannot be read, and where pretrained weights were not fetched.

    >>> tagger = load(labels="Dog;Train horn")
    >>> tagger.labels
    ('Dog', 'Train horn')
    >>> import numpy as np
    >>> tagger.tag(np.zeros(16000, "float32"))  # or a file; print it for tables
    <Tagging of waveform, 1.0 s: nothing fired>
    """
    if (path is None) == (labels is None):
        raise InputError("load: name either a model's folder, or labels")
    prepare_tensorflow()
    from mmat.serving.tagger import Tagger

    if path is not None:
        return Tagger(path, hop_seconds)
    from mmat.models.pretrained.audio_registry import audio_encoder
    from mmat.models.zero_training import zero_training_bundle

    bundle = zero_training_bundle(_label_set(labels), audio_encoder(sound_model), image_model)
    return Tagger.of(bundle, hop_seconds)


def _label_set(labels: str | Iterable[str] | LabelSet) -> LabelSet:
    if isinstance(labels, LabelSet):
        return labels
    if isinstance(labels, str):
        from mmat.data.list_labels import asked_label_set

        return asked_label_set(labels)
    return LabelSet.of(labels)
