"""Drum hits: single strokes of ten instruments, out of the drum kits of the Hydrogen drum machine.

`CACHE/drums/` holds `recording/` (WAV, FLAC and AIFF as the kits have them), `clips.csv` and
`labels.csv`. A hit has one label. Its source group is its kit; kits that were made of the same
instruments are one group. How the list was made stands in `data_lists/drums/README.md`.
"""

import os
import pathlib

from mmat.corpora.recordings import (
    fetch_recordings,
    read_recordings,
    recordings_folder,
    recordings_labels,
)
from mmat.labels import LabelSet
from mmat.lists.clip import Clip

NAME = "drums"


def drums_folder(cache: str | os.PathLike | None = None) -> pathlib.Path:
    """Return the folder of the drum hits, whether or not they are there yet."""
    return recordings_folder(NAME, cache)


def drums_labels() -> LabelSet:
    """Return the ten instruments, of which each hit has one.

    >>> drums_labels().names[:2], str(drums_labels().task)
    (('Kick drum', 'Snare drum'), 'multi-class')
    """
    return recordings_labels(NAME)


def read_drums(cache: str | os.PathLike | None = None) -> list[Clip]:
    """Read the list of drum hits; raises InputError where they were not fetched.

    Paths are relative to `drums_folder`.
    """
    return read_recordings(NAME, cache)


def fetch_drums(
    cache: str | os.PathLike | None = None,
    dry_run: bool = False,
    deb_folder: str | os.PathLike | None = None,
    progress: bool = True,
) -> pathlib.Path:
    """Fetch the drum hits and write their list; return their folder (see `fetch_recordings`).

    >>> _ = fetch_drums("no/cache", dry_run=True)  # doctest: +ELLIPSIS
    package hydrogen-drumkits: ... files (to download, about 143 MB)
    package hydrogen-data: ... files (to download, about 7 MB)
    ... files to extract into no/cache/drums
    about 150 MB to download into no/cache/drums/debs
    """
    return fetch_recordings(NAME, cache, dry_run, deb_folder, progress)
