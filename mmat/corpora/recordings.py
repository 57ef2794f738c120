"""Corpora of single recordings: the files themselves, with a clip list and a label set.

`data_lists/NAME/` holds `sources.csv` (see `mmat.corpora.sources`) and `labels.csv`. `CACHE/NAME/`
holds the recordings in `recording/`, `clips.csv` and `labels.csv`, as `mmat prepare` takes them.
"""

import os
import pathlib
import shutil

from mmat.corpora.sources import SourceFile, fetch_sources, read_sources
from mmat.files import InputError, atomic_path, cache_folder, data_list
from mmat.labels import LabelSet
from mmat.lists.clip import Clip
from mmat.lists.own import write_clip_list
from mmat.lists.read import read_list


def recordings_folder(name: str, cache: str | os.PathLike | None = None) -> pathlib.Path:
    """Return the folder of a corpus, whether or not it is there yet."""
    return cache_folder(cache) / name


def recordings_labels(name: str) -> LabelSet:
    """Return the label set of a corpus.

    >>> len(recordings_labels("drums"))
    10
    """
    return LabelSet.from_csv(data_list(name, "labels.csv"))


def read_recordings(name: str, cache: str | os.PathLike | None = None) -> list[Clip]:
    """Read the list of a corpus; paths are relative to its folder.

    Raises InputError where it was not fetched.

    >>> read_recordings("drums", "no/cache")
    Traceback (most recent call last):
        ...
    mmat.files.InputError: no/cache/drums: no recordings there; run `mmat fetch drums`
    """
    folder = recordings_folder(name, cache)
    if not (folder / "clips.csv").is_file():
        raise InputError(f"{folder}: no recordings there; run `mmat fetch {name}`")
    return read_list(folder / "clips.csv", recordings_labels(name), strict=True).clips


def fetch_recordings(
    name: str,
    cache: str | os.PathLike | None = None,
    dry_run: bool = False,
    deb_folder: str | os.PathLike | None = None,
    progress: bool = True,
) -> pathlib.Path:
    """Fetch a corpus's recordings, write its list and labels; return its folder.

    Recordings that are there are kept. The packages go to `deb_folder`; without one they are
    removed once the recordings are in place. With `dry_run` only print what would be fetched.
    Raises InputError as `fetch_sources` does.
    """
    folder = recordings_folder(name, cache)
    sources = read_sources(data_list(name, "sources.csv"))
    own_folder = folder / "debs"
    fetch_sources(sources, folder, deb_folder or own_folder, dry_run, progress)
    if not dry_run:
        # The list comes last: where it is, everything is there.
        with atomic_path(folder / "labels.csv") as part:
            recordings_labels(name).to_csv(part)
        with atomic_path(folder / "clips.csv") as part:
            write_clip_list(part, [_clip(source) for source in sources])
        shutil.rmtree(own_folder, ignore_errors=True)
    return folder


def _clip(source: SourceFile) -> Clip:
    return Clip(
        id=source.id,
        file=source.file,
        labels=tuple(source.label.split(";")),
        split=source.split,
        source_group=source.source_group,
    )
