"""The media files of a folder: those whose suffix is one of sound or video that can be read."""

import collections
import os
import pathlib
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

# Files that `mmat.media.read` reads. Bare tracks of pictures (.264) have no times, and are none.
FILM_SUFFIXES = {
    *(".mp4", ".m4v", ".mov", ".qt", ".3gp", ".3g2", ".f4v", ".ismv", ".mj2"),
    *(".webm", ".mkv", ".mk3d", ".ogv", ".ogm", ".ogx", ".avi", ".divx", ".xvid"),
    *(".ts", ".mts", ".m2ts", ".m2t", ".tp", ".trp", ".mpg", ".mpeg", ".mpe", ".m2p", ".m2v"),
    *(".vob", ".mod", ".tod", ".flv", ".wmv", ".asf", ".dvr-ms", ".mxf", ".nut", ".rm", ".rmvb"),
    *(".ivf",),
}
SOUND_SUFFIXES = {
    *(".wav", ".wave", ".rf64", ".bwf", ".w64", ".aif", ".aiff", ".aifc", ".au", ".snd", ".caf"),
    *(".flac", ".ogg", ".oga", ".opus", ".spx", ".mp1", ".mp2", ".mp3", ".mpa", ".mpga", ".m2a"),
    *(".m4a", ".m4b", ".m4r", ".isma", ".aac", ".adts", ".weba", ".mka", ".wma", ".ra"),
    *(".amr", ".awb", ".3ga", ".wv", ".tta", ".ape", ".ac3", ".eac3", ".ec3", ".dts"),
    *(".voc", ".sph", ".nist", ".ircam"),
}
MEDIA_SUFFIXES = FILM_SUFFIXES | SOUND_SUFFIXES

_SHOWN_SUFFIXES = 6
_HIDDEN, _NO_SUFFIX = "hidden", "without a suffix"


class FolderFiles(NamedTuple):
    """The media files of a folder, sorted, and how many others there are by suffix."""

    media: list[str]
    left_out: collections.Counter[str]


def files_in(folder: str | os.PathLike) -> FolderFiles:
    """Return the paths of the media files in a folder and below it, and count the others.

    Links to folders are followed, each folder once. Hidden files are none of the media: some
    systems leave one beside every file. Subfolders that may not be listed are left out.

    >>> import tempfile
    >>> top = pathlib.Path(tempfile.mkdtemp())
    >>> for name in ("b.M2TS", "a.wav", "list.csv", "notes.txt", "more.txt", "._a.wav", "README"):
    ...     (top / name).touch()
    >>> found = files_in(top)
    >>> [os.path.basename(path) for path in found.media]
    ['a.wav', 'b.M2TS']
    >>> left_out_line(found.left_out)
    '5 files left out: 2 .txt, 1 .csv, 1 hidden, 1 without a suffix'
    """
    media, others = [], []
    for subfolder, entry in walk_files(pathlib.Path(folder)):
        path = os.path.join(folder, subfolder, entry.name)
        hidden = any(part.startswith(".") for part in pathlib.Path(subfolder, entry.name).parts)
        (others if hidden or not is_media_name(entry.name) else media).append(path)
    return FolderFiles(sorted(media), count_suffixes(os.path.relpath(p, folder) for p in others))


def is_media_name(name: str) -> bool:
    """Return whether a file's name ends as one of sound or video.

    >>> is_media_name("00001.MTS"), is_media_name("film.mp4.part")
    (True, False)
    """
    return os.path.splitext(name)[1].lower() in MEDIA_SUFFIXES


def count_suffixes(paths: Iterable[str]) -> collections.Counter[str]:
    """Count files by suffix, in small letters, or by being hidden or without one.

    >>> count_suffixes(["a.TXT", "x/b.txt", ".DS_Store", "README"])
    Counter({'.txt': 2, 'hidden': 1, 'without a suffix': 1})
    """
    counts: collections.Counter[str] = collections.Counter()
    for path in map(pathlib.PurePath, paths):
        hidden = any(part.startswith(".") for part in path.parts)
        counts[_HIDDEN if hidden else path.suffix.lower() or _NO_SUFFIX] += 1
    return counts


def left_out_line(left_out: Mapping[str, int]) -> str:
    """Return a line that counts and names what is left out of a folder; empty for nothing.

    >>> left_out_line({".pdf": 4, ".txt": 8})
    '12 files left out: 8 .txt, 4 .pdf'
    """
    total = sum(left_out.values())
    ordered = sorted(left_out.items(), key=lambda item: (-item[1], item[0]))
    shown = [f"{count:,} {suffix}" for suffix, count in ordered[:_SHOWN_SUFFIXES]]
    rest = sum(count for _, count in ordered[_SHOWN_SUFFIXES:])
    shown += [f"{rest:,} others"] if rest else []
    files = "file" if total == 1 else "files"
    return f"{total:,} {files} left out: {', '.join(shown)}" if total else ""


def walk_files(folder: pathlib.Path) -> Iterator[tuple[str, os.DirEntry]]:
    """Yield (subfolder, entry) of all that is no folder; links are followed, each folder once."""
    waiting, seen = [""], set()
    while waiting:
        subfolder = waiting.pop()
        try:
            status = os.stat(folder / subfolder)
            if (status.st_dev, status.st_ino) in seen:  # a link back to a folder above it
                continue
            seen.add((status.st_dev, status.st_ino))
            with os.scandir(folder / subfolder) as entries:
                for entry in entries:
                    if entry.is_dir():
                        waiting.append(os.path.join(subfolder, entry.name))
                    else:
                        yield subfolder, entry
        except OSError:
            continue
