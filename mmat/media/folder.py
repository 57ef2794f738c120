"""The media files of a folder: those whose suffix is one of sound or video that can be read."""

import collections
import os
import pathlib
import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

# Files that `mmat.media.read` reads. Bare tracks of pictures (.264) have no times, and are none.
FILM_SUFFIXES = {
    *(".mp4", ".m4v", ".mov", ".qt", ".3gp", ".3g2", ".f4v", ".ismv", ".mj2"),
    *(".webm", ".mkv", ".mk3d", ".ogv", ".ogm", ".ogx", ".avi", ".divx", ".xvid"),
    *(".ts", ".mts", ".m2ts", ".m2t", ".tp", ".trp", ".mpg", ".mpeg", ".mpe", ".m2p", ".m2v"),
    *(".vob", ".mod", ".tod", ".flv", ".wmv", ".asf", ".dvr-ms", ".mxf", ".nut", ".rm", ".rmvb"),
    *(".ivf", ".dv"),
}
SOUND_SUFFIXES = {
    *(".wav", ".wave", ".rf64", ".bwf", ".w64", ".aif", ".aiff", ".aifc", ".au", ".snd", ".caf"),
    *(".flac", ".ogg", ".oga", ".opus", ".spx", ".mp1", ".mp2", ".mp3", ".mpa", ".mpga", ".m2a"),
    *(".m4a", ".m4b", ".m4r", ".isma", ".aac", ".adts", ".weba", ".mka", ".wma", ".ra"),
    *(".amr", ".awb", ".3ga", ".wv", ".tta", ".ape", ".ac3", ".eac3", ".ec3", ".dts"),
    *(".dtshd", ".mpc", ".voc", ".sph", ".nist", ".ircam", ".sf", ".sox"),
}
MEDIA_SUFFIXES = FILM_SUFFIXES | SOUND_SUFFIXES

_SHOWN_SUFFIXES = 6
_SUFFIX = re.compile(r"\.[\w-]{1,12}")
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
    media: list[str] = []
    left_out: collections.Counter[str] = collections.Counter()
    for subfolder, entry in walk_files(pathlib.Path(folder)):
        path = os.path.join(subfolder, entry.name)
        kind = suffix_kind(path)
        if kind in MEDIA_SUFFIXES:
            media.append(os.path.join(folder, path))
        else:
            left_out[kind] += 1
    return FolderFiles(sorted(media), left_out)


def suffix_kind(path: str) -> str:
    """Return a file's suffix in small letters, or that it is hidden or has none.

    >>> [suffix_kind(path) for path in ("a.TXT", "x/.cache/b.txt", "README", "Mr. and Mrs. Bear")]
    ['.txt', 'hidden', 'without a suffix', 'without a suffix']
    """
    path = pathlib.PurePath(path)
    if any(part.startswith(".") for part in path.parts):
        return _HIDDEN
    suffix = path.suffix.lower()
    return suffix if _SUFFIX.fullmatch(suffix) else _NO_SUFFIX


def left_out_line(left_out: Mapping[str, int]) -> str:
    """Return a line that counts and names what is left out of a folder; empty for nothing.

    >>> left_out_line({".pdf": 4, ".txt": 8})
    '12 files left out: 8 .txt, 4 .pdf'
    """
    total = sum(left_out.values())
    files = "file" if total == 1 else "files"
    return f"{total:,} {files} left out: {kinds_line(left_out)}" if total else ""


def kinds_line(kinds: Mapping[str, int]) -> str:
    """Return numbers of files by suffix in words, the commonest first.

    >>> kinds_line(collections.Counter(map(suffix_kind, ["a.pdf", "a.txt", "b.txt", ".hidden"])))
    '2 .txt, 1 .pdf, 1 hidden'
    """
    ordered = sorted(kinds.items(), key=lambda item: (-item[1], item[0]))
    shown = [f"{count:,} {kind}" for kind, count in ordered[:_SHOWN_SUFFIXES]]
    rest = sum(count for _, count in ordered[_SHOWN_SUFFIXES:])
    return ", ".join([*shown, *([f"{rest:,} others"] if rest else [])])


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
