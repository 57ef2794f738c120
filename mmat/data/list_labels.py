"""The label set of a list: by name, from a file, or the one that a public list is written in."""

import os
import pathlib

from mmat.data.list_formats import AUDIOSET
from mmat.errors import InputError
from mmat.labels import LabelSet
from mmat.paths import cache_folder
from mmat.resources import data_list

AUDIOSET_FILE = "class_labels_indices.csv"
NAMED_LABEL_SETS = ("dcase2017", "audioset")


def named_label_set(name: str | os.PathLike) -> LabelSet:
    """Return a label set by its name, `dcase2017` or `audioset`, or from a CSV file.

    Raises InputError where it cannot be read, and where AudioSet's was not fetched yet.

    >>> labels = named_label_set("dcase2017")
    >>> len(labels), labels.names[-1], labels.mids[-1]
    (17, 'Train', '/m/07jdr')
    """
    if name == "dcase2017":
        return LabelSet.from_csv(data_list("dcase2017", "labels.csv"))
    if name == "audioset":
        path = cache_folder() / "lists" / "audioset" / AUDIOSET_FILE
        if not path.is_file():
            raise InputError(f"{path}: AudioSet's labels are not there; run `mmat fetch audioset`")
        return LabelSet.from_csv(path)
    return LabelSet.from_csv(name)


def asked_label_set(text: str) -> LabelSet:
    """Return the labels that a user asks for: a set's name, a file, or the names themselves.

    text: `dcase2017` or `audioset`; the path of a CSV file (as `LabelSet.from_csv` reads) or of a
    text file with a name a line; or names separated by `;`. What ends in `.csv` or `.txt` or holds
    a slash and no `;` is a path. Raises InputError for a path that cannot be read, and where there
    is no name or one twice.

    >>> asked_label_set("Dog;Train horn").names, len(asked_label_set("dcase2017"))
    (('Dog', 'Train horn'), 17)
    """
    text = text.strip()
    if text in NAMED_LABEL_SETS:
        return named_label_set(text)
    suffix = pathlib.PurePath(text).suffix.lower()
    if ";" in text or not (suffix in (".csv", ".txt") or "/" in text or os.sep in text):
        return LabelSet.from_text(text)
    if not os.path.exists(text):
        raise InputError(f"labels {text}: no such file; separate names by ';', as in 'Dog;Train'")
    return LabelSet.from_csv(text) if suffix == ".csv" else LabelSet.from_lines(text)


def public_label_set(path: str | os.PathLike, kind: str) -> LabelSet:
    """Return a public list's label set: AudioSet's from beside the list, or the fetched one."""
    if kind != AUDIOSET:
        return named_label_set("dcase2017")
    beside = pathlib.Path(path).with_name(AUDIOSET_FILE)
    return named_label_set(beside if beside.is_file() else "audioset")
