"""Where a clip's media lie in a folder: whole or trimmed, with or without the `Y` before an id.

Downloaders name the same clip differently: `Yabc_30.000_40.000.wav`, `abc_30000_40000.flac`,
`abc.mp4`. Names that begin with a `-` are why some put a `Y` before every id.
"""

import dataclasses
import os
import pathlib
from collections.abc import Iterator

from mmat.files import InputError
from mmat.lists.clip import Clip
from mmat.media.duration import file_seconds
from mmat.media.read import AUDIO_SUFFIXES

_MOVIES = {".mp4", ".m4v", ".mov", ".3gp", ".webm", ".mkv", ".avi", ".ts", ".mpg", ".mpeg"}
_OTHERS = {".flv", ".wmv", ".asf", ".m4a", ".mka", ".aac", ".wma"}
MEDIA_SUFFIXES = _MOVIES | _OTHERS | AUDIO_SUFFIXES


@dataclasses.dataclass(frozen=True)
class Found:
    """A media file, and which range of it is the clip; None is the file's own end."""

    path: pathlib.Path
    start_seconds: float | None
    end_seconds: float | None

    def duration_seconds(self) -> float:
        """Return the length of the range; NaN where the file's header does not give its end."""
        end = file_seconds(self.path) if self.end_seconds is None else self.end_seconds
        start = self.start_seconds or 0.0
        return 0.0 if end < start else end - start


class MediaFolder:
    """A folder of media that finds a clip's file under any of its usual names.

    folder: searched with its subfolders, once, and only when a clip is not at its list's path;
    subfolders that may not be listed are left out. It takes about 0.2 kB of memory a file.
    Raises InputError if it is not a folder.

    >>> import tempfile
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> (folder / "Yabc.mp4").touch()
    >>> clip = Clip("", "abc_30.000_40.000.wav", (), 30.0, 40.0, video_id="abc")
    >>> found = MediaFolder(folder).find(clip)
    >>> found.path.name, found.start_seconds, found.end_seconds
    ('Yabc.mp4', 30.0, 40.0)
    """

    def __init__(self, folder: str | os.PathLike):
        self.folder = pathlib.Path(folder)
        if not self.folder.is_dir():
            raise InputError(f"{folder}: no such media folder")
        # Stem -> where it lies: (subfolder, suffix) pairs, shared by files with the same ones.
        self._places: dict[str, tuple[tuple[str, str], ...]] | None = None

    def find(self, clip: Clip) -> Found | None:
        """Return the clip's file and the range to read, or None if there is none.

        Tried in this order, each with the name as it is, with a `Y` before it and without its
        `Y`: the list's own path; the same with another media suffix; the names of trimmed
        files, which are read whole (`id_30.000_40.000`, `id_30_40`, `id_30000_40000`); the whole
        video, of which the range is read. A clip with a `video_id` is found in any subfolder,
        another one only in the subfolder that its list names. Of several files of one name the
        one in that subfolder, with the list's suffix, or a container comes first.
        """
        subfolder, name = os.path.split(clip.file)
        stem, suffix = _split_suffix(name)
        whole = not clip.video_id or stem in _spellings(clip.video_id)
        times = (clip.start_seconds, clip.end_seconds) if whole else (None, None)
        for spelling in _spellings(name):
            path = self.folder / subfolder / spelling
            if path.is_file():
                return Found(path, *times)
        path = self._lookup(stem, subfolder, suffix, bool(clip.video_id))
        if path:
            return Found(path, *times)
        for trimmed in _trimmed_names(clip.video_id or stem, clip.start_seconds, clip.end_seconds):
            path = self._lookup(trimmed, subfolder, suffix, bool(clip.video_id))
            if path:
                return Found(path, None, None)
        if clip.video_id:
            path = self._lookup(clip.video_id, subfolder, suffix, True)
            if path:
                return Found(path, clip.start_seconds, clip.end_seconds)
        return None

    def _lookup(
        self, stem: str, subfolder: str, suffix: str, anywhere: bool
    ) -> pathlib.Path | None:
        if self._places is None:
            self._places = self._scanned()
        for spelling in _spellings(stem):
            places = [
                (where != subfolder, end != suffix, end.lower() in AUDIO_SUFFIXES, where, end)
                for where, end in self._places.get(spelling, ())
                if anywhere or where == subfolder
            ]
            if places:
                *_, where, end = min(places)
                return self.folder / where / (spelling + end)
        return None

    def _scanned(self) -> dict[str, tuple[tuple[str, str], ...]]:
        places: dict[str, tuple[tuple[str, str], ...]] = {}
        shared: dict[tuple, tuple] = {}
        for subfolder, name in _media_files(self.folder):
            stem, suffix = _split_suffix(name)
            all_places = (*places.get(stem, ()), (subfolder, suffix))
            places[stem] = shared.setdefault(all_places, all_places)
        return places


def _media_files(folder: pathlib.Path) -> Iterator[tuple[str, str]]:
    """Yield (subfolder, name) of every media file; links are followed, each folder once."""
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
                    elif _split_suffix(entry.name)[1] and entry.is_file():
                        yield subfolder, entry.name
        except OSError:
            continue


def _split_suffix(name: str) -> tuple[str, str]:
    """Return (stem, suffix); another suffix than of media belongs to the stem: `abc_30.5_40.5`."""
    stem, suffix = os.path.splitext(name)
    return (stem, suffix) if suffix.lower() in MEDIA_SUFFIXES else (name, "")


def _spellings(name: str) -> tuple[str, ...]:
    return (name, "Y" + name, name[1:]) if name[:1] == "Y" and name[1:] else (name, "Y" + name)


def _trimmed_names(stem: str, start_seconds: float | None, end_seconds: float | None) -> list[str]:
    if end_seconds is None:
        return []
    start, end = start_seconds or 0.0, end_seconds
    return [
        f"{stem}_{start:.3f}_{end:.3f}",
        f"{stem}_{start:g}_{end:g}",
        f"{stem}_{round(start * 1000)}_{round(end * 1000)}",
    ]
