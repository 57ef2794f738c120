"""Where a clip's media lie in a folder: whole or trimmed, under the names that downloaders give.

Downloaders name the same clip differently: `Yabc_30.000_40.000.wav`, `abc_30000_40000.flac`,
`abc_000030.mp4`, `abc.mp4`; the last may be the whole video or the clip alone. Names that begin
with a `-` are why some put a `Y` before every id.
"""

import collections
import dataclasses
import os
import pathlib
import re
from collections.abc import Iterator
from typing import NamedTuple

from mmat.files import InputError
from mmat.lists.clip import VIDEO_ID, Clip
from mmat.lists.ways import Way
from mmat.media.folder import FILM_SUFFIXES, MEDIA_SUFFIXES, suffix_kind, walk_files
from mmat.media.segment_names import SegmentNaming
from mmat.media.survey import file_seconds

# yt-dlp's own names: `title [id].webm`.
_TITLED = re.compile(rf"(.*\[)({VIDEO_ID.pattern})\]", re.ASCII | re.DOTALL)


@dataclasses.dataclass(frozen=True)
class Found:
    """A media file, and which range of it is the clip; None is the file's own end.

    way: why that range. file_seconds: the file's length where it has been read, else None.
    """

    path: pathlib.Path
    start_seconds: float | None
    end_seconds: float | None
    way: Way = Way.WHOLE
    file_seconds: float | None = None

    def duration_seconds(self) -> float:
        """Return the length of the range; NaN where the file's header does not give its end."""
        end = self.end_seconds
        if end is None:
            end = file_seconds(self.path) if self.file_seconds is None else self.file_seconds
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
        # By suffix, how many files are none of sound or video; known once the folder is searched.
        self.left_out: collections.Counter[str] = collections.Counter()
        # Stem -> where it lies: places, shared by files with the same ones.
        self._places: dict[str, tuple[_Place, ...]] | None = None
        self._namings: list[SegmentNaming] = []
        self._seconds: dict[pathlib.Path, float] = {}  # of files whose header has been read

    def find(self, clip: Clip) -> Found | None:
        """Return the clip's file and the range to read, or None if there is none.

        Tried in this order, each with the name as it is, with a `Y` before it and without its
        `Y`: the list's own path; the same with another media suffix; the names of trimmed
        files, which are read whole (`id_30.000_40.000`, `id_30000_40000`, `id_50.0-60.0`,
        `id_30000`, `id_000030`, and `id_30` if the file is as long as the range); the whole
        video, also as `title [id]`. A clip with a `video_id` is found in any subfolder,
        another one only in the subfolder that its list names. Of several files of one name the
        one in that subfolder, with the list's suffix, or with pictures comes first.

        A file without times in its name may be the whole video or the range alone; its length
        decides (`_way`), which is read once and only for a range that begins after 0 s.
        """
        subfolder, name = os.path.split(clip.file)
        stem, suffix = _split_suffix(name)
        trimmed = bool(clip.video_id) and stem not in _spellings(clip.video_id)
        for spelling in _spellings(name):
            path = self.folder / subfolder / spelling
            if path.is_file():
                return _trimmed(path) if trimmed else self._placed(path, clip)
        places = subfolder, suffix, bool(clip.video_id)
        path = self._lookup(stem, *places)
        if path:
            return _trimmed(path) if trimmed else self._placed(path, clip)
        for name, is_certain in self._trimmed_names(clip.video_id or stem, clip):
            path = self._lookup(name, *places)
            if path and (is_certain or self._is_as_long(path, clip)):
                return _trimmed(path)
        path = clip.video_id and self._lookup(clip.video_id, *places)
        return self._placed(path, clip) if path else None

    def _placed(self, path: pathlib.Path, clip: Clip) -> Found:
        """Return what to read of a file whose name does not say whether it is the range alone."""
        start, end = clip.start_seconds, clip.end_seconds
        if start is None and end is None:
            return Found(path, None, None)
        if not start:
            return Found(path, start, end, Way.BEGINNING)
        seconds = self._length(path)
        way = _way(seconds, start, end, bool(clip.video_id))
        times = (None, None) if way.is_trimmed else (start, end)
        return Found(path, *times, way, seconds)

    def _is_as_long(self, path: pathlib.Path, clip: Clip) -> bool:
        if clip.end_seconds is None:
            return False
        range_seconds = clip.end_seconds - (clip.start_seconds or 0.0)
        return abs(self._length(path) - range_seconds) <= _tolerance(range_seconds)

    def _length(self, path: pathlib.Path) -> float:
        if path not in self._seconds:
            self._seconds[path] = file_seconds(path)
        return self._seconds[path]

    def _lookup(
        self, stem: str, subfolder: str, suffix: str, anywhere: bool
    ) -> pathlib.Path | None:
        if self._places is None:
            self._scan()
        for spelling in _spellings(stem):
            ranked = [
                (
                    place.subfolder != subfolder,
                    bool(place.before),
                    place.after != suffix,
                    place.after.lower() not in FILM_SUFFIXES,
                    place,
                )
                for place in self._places.get(spelling, ())
                if anywhere or (place.subfolder == subfolder and not place.before)
            ]
            if ranked:
                *_, place = min(ranked)
                name = place.before + spelling + place.after
                return self.folder / place.subfolder / name
        return None

    def _trimmed_names(self, stem: str, clip: Clip) -> Iterator[tuple[str, bool]]:
        """Yield the names that trimmed files of a clip have here, and whether the name is proof."""
        if clip.start_seconds is None and clip.end_seconds is None:
            return
        if self._places is None:
            self._scan()
        for naming in self._namings:
            yield from naming.names(stem, clip.start_seconds or 0.0, clip.end_seconds)

    def _scan(self) -> None:
        places: dict[str, tuple[_Place, ...]] = {}
        shared: dict[tuple, tuple] = {}
        namings: set[SegmentNaming] = set()
        self.left_out.clear()
        for subfolder, entry in walk_files(self.folder):
            stem, suffix = _split_suffix(entry.name)
            if not suffix or not entry.is_file():
                self.left_out[suffix_kind(os.path.join(subfolder, entry.name))] += 1
                continue
            namings.update(SegmentNaming.all_in(stem))
            named = [(stem, _Place(subfolder, "", suffix))]
            titled = _TITLED.fullmatch(stem)
            if titled:
                named.append((titled[2], _Place(subfolder, titled[1], "]" + suffix)))
            for name, place in named:
                all_places = (*places.get(name, ()), place)
                places[name] = shared.setdefault(all_places, all_places)
        # Names that say both times come first, in decimals before whole numbers.
        self._namings = sorted(namings, key=lambda it: (bool(it.between), it), reverse=True)
        self._places = places


class _Place(NamedTuple):
    """Where a file lies, and what stands before and after the stem that it is found by."""

    subfolder: str
    before: str
    after: str


def _trimmed(path: pathlib.Path) -> Found:
    return Found(path, None, None, Way.TRIMMED)


def _tolerance(range_seconds: float) -> float:
    """Return by how much a trimmed file's length may differ from its range's."""
    return min(1.0, max(0.2, range_seconds / 10))


def _way(seconds: float, start: float, end: float | None, of_video: bool) -> Way:
    """Return what a file's length says of a range in it that begins after 0 s.

    A file about as long as the range, and nearer to that than to the range's end, is the range
    alone. A range of a web video lies in the video, as public lists are made: a file that ends
    earlier, and is no longer than the range, is then the range cut short. Every other file is
    the long one, even if it ends too early; one of unknown length too.
    """
    if not seconds > 0:  # unknown, or a file with nothing in it, as whoever reads it says
        return Way.CUT
    if end is not None:
        range_seconds = end - start
        tolerance = _tolerance(range_seconds)
        if seconds < range_seconds + min(tolerance, start / 2):
            if seconds >= range_seconds - tolerance:
                return Way.TRIMMED
            if of_video:
                return Way.TRIMMED_SHORT
    return Way.CUT if seconds > start else Way.TOO_SHORT


def _split_suffix(name: str) -> tuple[str, str]:
    """Return (stem, suffix); another suffix than of media belongs to the stem: `abc_30.5_40.5`."""
    stem, suffix = os.path.splitext(name)
    return (stem, suffix) if suffix.lower() in MEDIA_SUFFIXES else (name, "")


def _spellings(name: str) -> tuple[str, ...]:
    return (name, "Y" + name, name[1:]) if name[:1] == "Y" and name[1:] else (name, "Y" + name)
