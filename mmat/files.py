"""Files and folders: errors of the user's input, atomic writes, locks, the cache, archives.

Archives are untrusted: nothing is unpacked outside its folder, nor more of it than is allowed.
"""

import contextlib
import importlib.resources
import io
import lzma
import os
import pathlib
import shutil
import stat
import struct
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Collection, Iterator
from typing import BinaryIO

import platformdirs
import zstandard

LOCK_FILE = ".lock"
MAX_FILES = 100_000  # in an archive
MAX_BYTES = 1 << 30  # of everything in an archive, unpacked
ENCRYPTED = 1  # the bit of a zip member's flags
ZIP_KINDS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)


class InputError(ValueError):
    """Bad input from outside: one line with what, which file or line, why, and what to do."""


def one_line(error: BaseException, length: int | None = None) -> str:
    """Return an error's message in one line of at most so many characters, else its type's name.

    >>> one_line(ValueError("no\\nnumber"), length=6), one_line(ValueError())
    ('no num', 'ValueError')
    """
    return " ".join(str(error).split())[:length] or type(error).__name__


def reason_of(error: BaseException) -> str:
    """Return an error's message as `one_line` does, without the number and path of an OSError.

    For a message that names the path itself.

    >>> reason_of(FileNotFoundError(2, "No such file", "a.wav")), reason_of(EOFError())
    ('No such file', 'EOFError')
    """
    reason = getattr(error, "strerror", None) or ""  # FFmpeg's errors have one too
    return " ".join(str(reason).split()) or one_line(error)


@contextlib.contextmanager
def atomic_path(path: str | os.PathLike) -> Iterator[pathlib.Path]:
    """Give a temporary path beside `path`, and move what was written there into place on success.

    Works for a file and for a folder; an existing target is replaced. On an error the target
    stays as it was and the temporary part is removed.

    >>> import tempfile
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> with atomic_path(folder / "a.txt") as part:
    ...     _ = part.write_text("whole")
    >>> [p.name for p in folder.iterdir()]
    ['a.txt']
    """
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    workplace = pathlib.Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    part = workplace / path.name
    try:
        yield part
        if path.is_dir():
            os.replace(path, workplace / f"{path.name}.old")
        os.replace(part, path)
    finally:
        shutil.rmtree(workplace, ignore_errors=True)


@contextlib.contextmanager
def exclusive_lock(folder: pathlib.Path) -> Iterator[None]:
    """Lock a folder, which is made if it is not there, for this process.

    The lock ends with the process, however that ends. A folder that was made and stays empty is
    removed. Raises InputError while another process holds the lock.
    """
    import filelock  # only `mmat prepare` needs it

    is_new = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    try:
        lock = filelock.FileLock(folder / LOCK_FILE).acquire(timeout=0)
    except filelock.Timeout:
        raise InputError(
            f"{folder}: another mmat prepare is writing there; wait until it has ended"
        ) from None
    with lock:
        try:
            yield
        finally:
            os.unlink(folder / LOCK_FILE)
            if is_new and not any(folder.iterdir()):
                folder.rmdir()


def cache_folder(folder: str | os.PathLike | None = None) -> pathlib.Path:
    """Return the folder for downloaded weights and media.

    It is `folder` if one is given, else `$MMAT_CACHE`, else `mmat` in the user's cache.

    >>> cache_folder("here").name, isinstance(cache_folder(), pathlib.Path)
    ('here', True)
    """
    if folder is None:
        folder = os.environ.get("MMAT_CACHE") or platformdirs.user_cache_dir("mmat")
    return pathlib.Path(folder)


def data_list(*parts: str) -> pathlib.Path:
    """Return the path of a file or folder under `data_lists/`, as installed or in a checkout.

    Raises InputError where it is in neither place.

    >>> data_list("models", "requirements.txt").name
    'requirements.txt'
    """
    installed = pathlib.Path(str(importlib.resources.files("mmat"))) / "data_lists"
    checkout = pathlib.Path(__file__).resolve().parent.parent / "data_lists"
    for folder in (installed, checkout):
        path = folder.joinpath(*parts)
        if path.exists():
            return path
    raise InputError(f"data list {'/'.join(parts)}: not in this installation; reinstall mmat")


class ArchiveTooLarge(ValueError):
    """An archive holds more files or bytes than allowed; the text says which."""


class Budget:
    """Counts what comes out of an archive; raises `ArchiveTooLarge` beyond the limits.

    >>> budget = Budget(max_files=2, max_bytes=10)
    >>> budget.spend(8)
    >>> budget.spend(8)
    Traceback (most recent call last):
        ...
    mmat.files.ArchiveTooLarge: it holds more than 10 bytes
    """

    def __init__(self, max_files: int = MAX_FILES, max_bytes: int = MAX_BYTES):
        self.max_files, self.max_bytes = max_files, max_bytes
        self.n_files = self.n_bytes = 0

    def spend(self, n_bytes: int) -> None:
        """Count one file of this size, before it is read."""
        self.n_files += 1
        self.n_bytes += max(0, n_bytes)  # a damaged header may hold any number
        if self.n_files > self.max_files:
            raise ArchiveTooLarge(f"it holds more than {self.max_files} files")
        if self.n_bytes > self.max_bytes:
            raise ArchiveTooLarge(f"it holds more than {self.max_bytes} bytes")


class Metered(io.RawIOBase):
    """A stream that raises `ArchiveTooLarge` once more than `max_bytes` were read from it.

    >>> Metered(io.BytesIO(b"1234"), max_bytes=4).read()
    b'1234'
    """

    def __init__(self, stream: BinaryIO, max_bytes: int = MAX_BYTES):
        self.stream, self.max_bytes, self.n_bytes = stream, max_bytes, 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer) -> int:
        data = self.stream.read(len(buffer))
        self.n_bytes += len(data)
        if self.n_bytes > self.max_bytes:
            raise ArchiveTooLarge(f"it holds more than {self.max_bytes} bytes")
        buffer[: len(data)] = data
        return len(data)


def check_zip(
    archive: zipfile.ZipFile, name: object, max_files: int = MAX_FILES, max_bytes: int = MAX_BYTES
) -> None:
    """Check a zip file's table of members before anything is unpacked.

    `zipfile` unpacks no more of a member than its size in the table, so the limits hold for the
    sums of the table. Raises InputError with `name` for a member that would land outside of the
    folder, that no file system takes, that lies at the place of another, that is a link, encrypted
    or packed in an unknown way, for too many members and too many bytes.
    """
    budget = Budget(max_files, max_bytes)
    files, folders = set(), set()
    for entry in archive.infolist():
        try:
            if problem := _member_problem(entry, files, folders):
                raise Damaged(f"member {entry.filename[:200]!a} {problem}")
            budget.spend(entry.file_size)
        except ArchiveTooLarge as error:
            raise InputError(f"{name}: {error} unpacked; refused") from error
        except Damaged as error:
            raise InputError(f"{name}: {error}; refused") from None


def _member_problem(entry: zipfile.ZipInfo, files: set[str], folders: set[str]) -> str:
    """Return what is wrong with a member; files, folders: of those before it, it is added there."""
    member, kind = entry.filename, stat.S_IFMT(entry.external_attr >> 16)
    path = pathlib.PurePosixPath(member)
    if path.is_absolute() or ".." in path.parts or "\\" in member or ":" in member:
        return "leads out of the folder"
    if not path.parts or any(len(os.fsencode(part)) > 255 for part in path.parts):
        return "has no name that a file can have"
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "is a link or a device"
    if entry.flag_bits & ENCRYPTED:
        return "is encrypted"
    if entry.compress_type not in ZIP_KINDS:
        return "is packed in an unknown way"
    here, above = str(path), {str(parent) for parent in path.parents}
    is_there = here in files or (here in folders and not entry.is_dir())
    if is_there or above & files:
        return "is there twice"
    folders |= above
    (folders if entry.is_dir() else files).add(here)
    return ""


def iter_tar(
    stream: BinaryIO, paths: Collection[str], max_bytes: int = MAX_BYTES
) -> Iterator[tuple[str, bytes]]:
    """Yield `(path, content)` of the regular files among `paths` in a tar archive, in its order.

    The stream is read up to the last of them. Raises what `damage_as_error` turns into an
    `InputError`.

    >>> list(iter_tar(io.BytesIO(bytes(1024)), ["dog.wav"]))
    []
    """
    left = set(paths)
    budget = Budget(max_bytes=max_bytes)
    with tarfile.open(fileobj=Metered(stream, max_bytes), mode="r|") as tar:
        for entry in tar:
            budget.spend(entry.size)
            path = entry.name.removeprefix("./")
            if path in left and entry.isfile():
                left.remove(path)
                yield path, tar.extractfile(entry).read()
            if not left:
                return


class Damaged(Exception):
    """What is wrong with the file being read; `damage_as_error` adds its name."""


@contextlib.contextmanager
def damage_as_error(name: str | os.PathLike, kind: str) -> Iterator[None]:
    """Turn whatever a reader raises for a damaged file into one `InputError` with its name."""
    damages = (Damaged, OSError, EOFError, ValueError, struct.error, tarfile.TarError)
    damages += (lzma.LZMAError, zipfile.BadZipFile, zlib.error, zstandard.ZstdError)
    try:
        yield
    except InputError:
        raise
    except damages as error:
        raise InputError(
            f"{name}: cannot be read as {kind}: {reason_of(error)}; remove it and fetch it again"
        ) from error
