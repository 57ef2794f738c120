"""Everyday sounds: recordings of eleven kinds of things, out of 31 Debian packages.

`CACHE/sounds/` holds `recording/` (WAV, Ogg Vorbis, MP3, Sun and Creative files as the packages
have them), `clips.csv` and `labels.csv`. A recording has one label. Its source group is its author
where that is known, else its package. Every label has at least four groups in test. How the list
was made stands in `data_lists/sounds/README.md`.
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

NAME = "sounds"


def sounds_folder(cache: str | os.PathLike | None = None) -> pathlib.Path:
    """Return the folder of the recordings, whether or not they are there yet."""
    return recordings_folder(NAME, cache)


def sounds_labels() -> LabelSet:
    """Return the eleven labels, AudioSet's names, of which each recording has one.

    >>> sounds_labels().names[:3], str(sounds_labels().task)
    (('Aircraft', 'Applause', 'Bird'), 'multi-class')
    """
    return recordings_labels(NAME)


def read_sounds(cache: str | os.PathLike | None = None) -> list[Clip]:
    """Read the list of recordings; raises InputError where they were not fetched.

    Paths are relative to `sounds_folder`.
    """
    return read_recordings(NAME, cache)


def fetch_sounds(
    cache: str | os.PathLike | None = None,
    dry_run: bool = False,
    deb_folder: str | os.PathLike | None = None,
    progress: bool = True,
) -> pathlib.Path:
    """Fetch the recordings and write their list; return their folder (see `fetch_recordings`).

    >>> _ = fetch_sounds("no/cache", dry_run=True)  # doctest: +ELLIPSIS
    package ...
    131 files to extract into no/cache/sounds
    about 310 MB to download into no/cache/sounds/debs
    """
    return fetch_recordings(NAME, cache, dry_run, deb_folder, progress)
