"""Untrusted uploads: read within limits by one process of its own, then deleted.

Nothing of an upload is opened in the page's own process, and no upload outlives its request. Of the
last few clips what was decoded stays in memory, so that they can be tagged with other labels.
"""

import collections
import contextlib
import dataclasses
import os
import pathlib
import secrets
import shutil
import threading
import time
from collections.abc import Hashable, Iterable
from typing import Any

from mmat.files import InputError
from mmat.media.windows import HeldWindows, WindowSpec
from mmat.media.workers import DecodingProcess

N_REMEMBERED = 4  # clips; two minutes of sound and pictures are about 45 MB
_MEGABYTE = 1_000_000
_TOLERANCE_SECONDS = 0.5  # what codecs add


@dataclasses.dataclass(frozen=True)
class Limits:
    """The most that a page takes of one clip.

    megabytes: of its file. seconds: how long it lasts. decode_seconds, memory_bytes: what the
    decoding process may use. idle_seconds: how long a sender may be silent. abandoned_seconds: how
    long an upload may take, and lie here while nobody asks about it.
    """

    megabytes: float = 200.0
    seconds: float = 120.0
    decode_seconds: float = 60.0
    memory_bytes: int = 2 << 30
    idle_seconds: float = 60.0
    abandoned_seconds: float = 1800.0

    @property
    def bytes(self) -> int:
        """Of a file."""
        return int(self.megabytes * _MEGABYTE)


class LRUCache:
    """Keeps the `n` values that were put in or looked up last.

    >>> cache = LRUCache(2)
    >>> for key in "abc":
    ...     cache.put(key, key.upper())
    >>> cache.get("a"), cache.get("c")
    (None, 'C')
    """

    def __init__(self, n: int):
        self._n = n
        self._values: collections.OrderedDict[Hashable, Any] = collections.OrderedDict()

    def put(self, key: Hashable, value: Any) -> None:
        """Keep a value, and let go of the least recently used."""
        self._values[key] = value
        self._values.move_to_end(key)
        while len(self._values) > self._n:
            self._values.popitem(last=False)

    def get(self, key: Hashable) -> Any | None:
        """Return a value, or None if it is no longer here."""
        if key in self._values:
            self._values.move_to_end(key)
        return self._values.get(key)


class Uploads:
    """Reads the files in an upload folder; use it in `with`, it has a process to end.

    folder: where uploads lie; files elsewhere are refused. specs: of the windows that may be asked
    for, beside those that are: an upload is gone after it was read.

    >>> with Uploads("no such folder") as uploads:
    ...     uploads.read("/etc/passwd", WindowSpec())
    Traceback (most recent call last):
        ...
    mmat.files.InputError: passwd: this is no upload; choose or record a clip
    """

    def __init__(
        self,
        folder: str | os.PathLike,
        limits: Limits = Limits(),
        specs: Iterable[WindowSpec] = (),
    ):
        self.folder, self.limits = pathlib.Path(folder).resolve(), limits
        self._specs = tuple(specs)
        self._process = DecodingProcess(limits.decode_seconds, limits.memory_bytes)
        self._remembered = LRUCache(N_REMEMBERED)  # path -> what each spec gave
        self._lock = threading.Lock()
        self._reading: pathlib.Path | None = None
        self._closed = threading.Event()
        self._sweeper = threading.Thread(target=self._sweep_regularly, daemon=True)

    def __enter__(self) -> "Uploads":
        self._sweeper.start()
        return self

    def __exit__(self, *_) -> None:
        self._closed.set()
        self._sweeper.join()
        self._process.close()

    def new_place(self) -> pathlib.Path:
        """Make a folder for one upload, whose name nobody can guess, and return its path."""
        place = self.folder / secrets.token_urlsafe(16)
        place.mkdir(mode=0o700)
        return place

    def path_of(self, upload: str | os.PathLike) -> pathlib.Path | None:
        """Return the path of an upload, which need not be there any more, or None if it is none."""
        with contextlib.suppress(ValueError, TypeError):  # what cannot be a path
            path = pathlib.Path(os.path.realpath(upload))
            return path if path.parent.parent == self.folder else None

    def read(self, upload: str | os.PathLike, spec: WindowSpec) -> HeldWindows:
        """Return the windows of an upload, the very ones that `mmat tag` has, and delete it.

        An upload that is gone already is remembered for a while. Raises InputError in words for
        the one who sent it.
        """
        path = self.path_of(upload)
        if path is None:
            name = pathlib.PurePath(upload).name
            raise InputError(f"{name}: this is no upload; choose or record a clip")
        with self._lock:
            self._reading = path
            try:
                if os.path.isfile(path):
                    found = {each: self._decode(path, each) for each in {spec, *self._specs}}
                    self._remembered.put(path, found)
                else:
                    found = self._remembered.get(path)
            finally:
                self._reading = None
                self.discard(path)
        if not found or spec not in found:
            raise InputError(f"{path.name}: the clip is no longer here; choose or record it again")
        if isinstance(found[spec], str):
            raise InputError(found[spec])
        return found[spec]

    def discard(self, upload: str | os.PathLike | None) -> None:
        """Delete an upload, if it is one and there; one that is being read goes after that."""
        path = self.path_of(upload)
        if path and path != self._reading:
            self.discard_place(path.parent)

    def discard_place(self, place: pathlib.Path) -> None:
        """Delete the folder of an upload."""
        shutil.rmtree(place, ignore_errors=True)

    def sweep(self) -> int:
        """Delete what was abandoned, and return the bytes of what is left in the folder."""
        n_bytes, oldest = 0, time.time() - self.limits.abandoned_seconds
        for place in self.folder.glob("*"):
            with contextlib.suppress(OSError):  # another one deletes, too
                found = [path.lstat() for path in (place, *place.iterdir())]
                if max(status.st_mtime for status in found) < oldest:
                    self.discard_place(place)
                else:
                    n_bytes += sum(status.st_size for status in found)
        return n_bytes

    def _sweep_regularly(self) -> None:
        while not self._closed.wait(self.limits.abandoned_seconds / 30):
            self.sweep()

    def _decode(self, path: pathlib.Path, spec: WindowSpec) -> HeldWindows | str:
        """Return the windows, or in a line why the upload is refused."""
        limits = self.limits
        if path.stat().st_size > limits.bytes:
            most = f"{limits.megabytes:g} MB, the most that this page takes"
            return f"{path.name}: larger than {most}; choose a smaller file, or cut it"
        most_seconds = limits.seconds + _TOLERANCE_SECONDS
        held = self._process.decode_windows(path, spec, most_seconds)
        if isinstance(held, str):
            return _for_visitors(held.replace(str(path), path.name))
        if held.seconds > most_seconds:
            most = f"{limits.seconds:g} s, the most that this page takes"
            return f"{path.name}: longer than {most}; choose a shorter clip, or cut it"
        return held


def _for_visitors(reason: str) -> str:
    """Return why a file cannot be read, without what concerns the process that read it.

    >>> _for_visitors("a.mp4: the decoding process died of it (exit status -9)")
    'a.mp4: cannot be read here; it is damaged, or takes too much memory'
    """
    file, died, _ = reason.partition(": the decoding process died of it")
    return (
        f"{file}: cannot be read here; it is damaged, or takes too much memory" if died else reason
    )
