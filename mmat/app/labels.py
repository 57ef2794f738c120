"""Which tagger answers: the page's one export, or one without training for the labels typed in."""

import os
from typing import TYPE_CHECKING

import mmat
from mmat.app.recent import Recent
from mmat.errors import InputError

if TYPE_CHECKING:
    from mmat.serving.tagger import Tagger

EXAMPLE = "Dog; Train; Fire engine, fire truck (siren)"
MOST_LABELS, LONGEST_LABEL = 50, 100
N_KEPT = 3  # taggers of the last label sets; each takes some seconds to make


def parse_labels(text: str) -> tuple[str, ...]:
    """Return the labels in a text, separated by `;` since names hold commas, each once.

    Raises InputError for none, too many and too long ones.

    >>> parse_labels("Dog; Fire engine, fire truck (siren) ;; Dog")
    ('Dog', 'Fire engine, fire truck (siren)')
    """
    names = (" ".join(part.split()) for part in text.split(";"))
    labels = tuple(dict.fromkeys(name for name in names if name))
    if not labels:
        raise InputError(f"labels: there are none; type some, separated by `;`, such as {EXAMPLE}")
    if len(labels) > MOST_LABELS:
        raise InputError(f"labels: {len(labels)} of them; ask for {MOST_LABELS} at most at a time")
    longest = max(labels, key=len)
    if len(longest) > LONGEST_LABEL:
        raise InputError(
            f"labels: {longest[:40]}… has {len(longest)} letters, {LONGEST_LABEL} are the most; "
            "separate labels by `;`"
        )
    return labels


class OneTagger:
    """An export, whatever labels are typed in; raises InputError for a folder that holds none."""

    asks_for_labels = False

    def __init__(self, folder: str | os.PathLike):
        self._tagger = mmat.load(folder)

    def get(self, text: str) -> "Tagger":
        """Return the tagger."""
        return self._tagger


class AnyLabels:
    """Taggers without training, for the labels typed in; the last few are kept.

    Raises InputError where the pretrained weights were not fetched.
    """

    asks_for_labels = True

    def __init__(self):
        self._kept = Recent(N_KEPT)  # labels → tagger
        self.get(EXAMPLE)  # missing weights show at once, and the first answer does not wait

    def get(self, text: str) -> "Tagger":
        """Return the tagger of the labels in a text; raises InputError as `parse_labels` does."""
        labels = parse_labels(text)
        tagger = self._kept.get(labels)
        if tagger is None:
            tagger = mmat.load(None, labels=labels)
            self._kept.put(labels, tagger)
        return tagger
