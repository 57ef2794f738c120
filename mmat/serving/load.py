"""A tagger from an exported model, or from nothing but labels."""

import os
from collections.abc import Iterable

from mmat.errors import InputError
from mmat.labels import LabelSet
from mmat.serving.tagger import Tagger


def load(
    path: str | os.PathLike | None = None,
    labels: str | Iterable[str] | LabelSet | None = None,
    hop_seconds: float | None = None,
) -> Tagger:
    """Return a tagger: of the export in a folder, or, without one, of any labels untrained.

    labels: names, or a text as `mmat.data.list_labels.asked_label_set` reads it: names separated by
    `;`, a label file, or a named set such as `dcase2017`; see `mmat.models.zero_training`.
    hop_seconds: from one window of a long file to the next. Raises InputError for a folder that
    holds no export, for labels that cannot be read, and where pretrained weights were not fetched.

    >>> tagger = load(labels="Dog;Train horn")
    >>> tagger.labels
    ('Dog', 'Train horn')
    """
    if (path is None) == (labels is None):
        raise InputError("load: name either a folder that `mmat export` wrote, or labels")
    if path is not None:
        return Tagger(path, hop_seconds)
    from mmat.models.zero_training import zero_training_bundle

    return Tagger.of(zero_training_bundle(_label_set(labels)), hop_seconds)


def _label_set(labels: str | Iterable[str] | LabelSet) -> LabelSet:
    if isinstance(labels, LabelSet):
        return labels
    if isinstance(labels, str):
        from mmat.data.list_labels import asked_label_set

        return asked_label_set(labels)
    return LabelSet.of(labels)
