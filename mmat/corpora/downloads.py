"""Download one URL to a file: continued where it broke off, checked by sha256, put in place whole.

Until it is whole it is `NAME.part`, and `NAME.part.etag` holds the server's version of it. Nothing
else is ever written or removed.
"""

import contextlib
import dataclasses
import errno
import fcntl
import hashlib
import os
import pathlib
import re
import stat
import time
from collections.abc import Callable, Iterator
from typing import BinaryIO

import requests
from tqdm import tqdm

from mmat.files import InputError, reason_of

PRIVATE = 0o600  # what comes is for its owner alone until it is whole
PIECE_BYTES = 1 << 13  # the piece that is under way is lost when a download breaks off


@dataclasses.dataclass(frozen=True)
class Patience:
    """How often and how long a download tries.

    It gives up after `tries` failures, counted from 1 again whenever a try got further than all
    before; the pauses between them begin at `backoff_seconds` and double. A try fails after
    `limit_seconds` without a response or a piece.
    """

    tries: int = 4
    backoff_seconds: float = 1.0
    limit_seconds: float = 30.0


PATIENCE = Patience()


class _Broken(Exception):
    """A try that failed where another may succeed; the text is the reason."""


def download(
    url: str,
    path: str | os.PathLike,
    sha256: str | None,
    check: Callable[[pathlib.Path], None] | None = None,
    progress: bool = True,
    patience: Patience = PATIENCE,
    get: Callable[..., requests.Response] = requests.get,
) -> pathlib.Path:
    """Download `url` to `path`, unless the right file is there; return the path.

    sha256: the expected one, in hexadecimal; None accepts any. `check` is called with the whole
    file before it goes into place, and raises InputError to refuse it. `get`: `requests.get`, or
    that with certificates, a proxy and the like. Raises InputError where the server cannot be
    reached or lacks the file, where the content is another one, where another content is at `path`
    already (it stays), and where the folder cannot be written to. The part of a download that broke
    off stays in `NAME.part`, and the next call continues it.

    >>> import tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "list.csv"
    >>> _ = path.write_text("there already")
    >>> digest = hashlib.sha256(b"there already").hexdigest()
    >>> download("http://localhost/list.csv", path, digest).name  # without the network
    'list.csv'
    """
    path = pathlib.Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if _is_there(path, sha256, check):
            return path
        part = path.with_name(f"{path.name}.part")
        note = path.with_name(f"{path.name}.part.etag")
        with _open_alone(part) as file:
            try:
                # Another process may have finished between the first look and the lock.
                if not _is_there(path, sha256, check):
                    _complete(url, file, note, sha256, progress, patience, get)
                    if check is not None:
                        _checked(check, part, file)
                    os.fchmod(file.fileno(), _public_mode())
                    os.replace(part, path)
            finally:
                if path.exists() or not _size(file):  # nothing to continue
                    part.unlink(missing_ok=True)
                    note.unlink(missing_ok=True)
    except OSError as error:
        where = error.filename or path
        raise InputError(
            f"{where}: cannot write {path.name}: {error.strerror or error}; "
            "make room there or choose another folder"
        ) from error
    return path


def file_sha256(path: str | os.PathLike) -> str:
    """Return the sha256 of a file, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _is_there(path: pathlib.Path, sha256: str | None, check) -> bool:
    if not path.exists():
        return False
    if sha256 is not None and (found := file_sha256(path)) != sha256:
        raise InputError(
            f"{path}: another file is there already: its sha256 is {found}, expected {sha256}; "
            "move it away and fetch again"
        )
    if check is not None:
        check(path)
    return True


@contextlib.contextmanager
def _open_alone(part: pathlib.Path) -> Iterator[BinaryIO]:
    """Open a part for appending, for this process alone: two writers would mix their pieces.

    Whoever may write to the folder could have put a link there, to have another file overwritten.
    """
    with _open_own(part) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise InputError(f"{part}: another process is at it; wait for that one") from error
        yield file


def _open_own(path: pathlib.Path) -> BinaryIO:
    """Open a regular file for appending, or make it for its owner alone; follows no link."""

    def opener(name, flags):
        return os.open(name, flags | os.O_NOFOLLOW | os.O_NONBLOCK, PRIVATE)  # a pipe would wait

    try:
        file = open(path, "ab", opener=opener)  # noqa: SIM115 - whoever asked closes it
    except OSError as error:
        if error.errno not in (errno.ELOOP, errno.ENXIO):  # a symbolic link; a pipe
            raise
        raise InputError(f"{path}: is a link or a pipe, no file; remove it") from error
    found = os.fstat(file.fileno())
    if not stat.S_ISREG(found.st_mode) or found.st_nlink > 1:
        file.close()
        raise InputError(f"{path}: is a link or a device, no file of its own; remove it")
    return file


def _public_mode() -> int:
    """Return the permissions of a new file, as the umask says."""
    umask = os.umask(PRIVATE ^ 0o777)  # there is no other way to ask for it
    os.umask(umask)
    return 0o666 & ~umask


def _checked(check: Callable[[pathlib.Path], None], part: pathlib.Path, file: BinaryIO) -> None:
    try:
        check(part)
    except InputError:
        file.truncate(0)  # it is whole and wrong: there is nothing to continue
        raise


def _complete(
    url: str,
    file: BinaryIO,
    note: pathlib.Path,
    sha256: str | None,
    progress: bool,
    patience: Patience,
    get: Callable[..., requests.Response],
) -> None:
    """Fill a part until it has the expected sha256, or until it is whole if none is expected."""
    if file_sha256(file.name) == sha256:  # the process was killed after the last piece
        return
    failures, furthest, renewed = 0, _size(file), False
    while True:
        try:
            start = _receive(url, file, note, progress, patience, get)
        except _Broken as broken:
            failures = 1 if _size(file) > furthest else failures + 1
            furthest = max(furthest, _size(file))
            if failures >= patience.tries:
                kept = "what came is kept: " if _size(file) else ""
                raise InputError(f"{url}: {broken}; {kept}try again later") from broken
            time.sleep(patience.backoff_seconds * 2 ** (failures - 1))
            continue
        found = file_sha256(file.name)
        if sha256 in (None, found):
            return
        file.truncate(0)
        # What stood before `start` may be of another version, or damaged by a crash of the machine.
        if start == 0 or renewed:
            raise InputError(
                f"{url}: its sha256 is {found}, expected {sha256}: not the listed file, so it was "
                "not kept; try another mirror"
            )
        renewed = True


def _receive(
    url: str,
    file: BinaryIO,
    note: pathlib.Path,
    progress: bool,
    patience: Patience,
    get: Callable[..., requests.Response],
) -> int:
    """Append what is missing, in one request, and return from which byte on that was.

    Raises `_Broken` where another try may help.
    """
    start, etag = _size(file), _read_note(note)
    # With compression, the offsets would be those of another file.
    headers = {"Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
    if start and etag and not etag.startswith("W/"):  # weak ones are not allowed there
        headers["If-Range"] = etag
    try:
        with get(url, headers=headers, stream=True, timeout=patience.limit_seconds) as response:
            _refuse(response)
            if response.status_code == 200:
                start = 0
                file.truncate(0)
                with _open_own(note) as noted:
                    noted.truncate(0)
                    noted.write(response.headers.get("ETag", "").encode("latin-1", "replace"))
            elif not _continues(response, start, etag):
                file.truncate(0)
                raise _Broken("the server's answer does not continue what came before")
            _append(response, file, start, progress)
            return start
    except requests.exceptions.RequestException as error:
        if isinstance(error, ValueError):  # requests raises these for malformed addresses
            raise InputError(f"{url}: {error}; give a whole http(s) address") from error
        raise _Broken(_reason(error, patience)) from error


def _append(response: requests.Response, file: BinaryIO, start: int, progress: bool) -> None:
    length = response.headers.get("Content-Length", "")
    plain = response.headers.get("Content-Encoding", "identity") == "identity"
    total = start + int(length) if plain and length.isdecimal() else None
    shown = {"unit": "B", "unit_scale": True, "desc": pathlib.Path(file.name).stem}
    with tqdm(total=total, initial=start, disable=not progress, **shown) as bar:
        for piece in response.iter_content(PIECE_BYTES):
            file.write(piece)
            file.flush()  # so that it is there even if this process is killed
            bar.update(len(piece))
    if total is not None and _size(file) < total:
        raise _Broken(f"it broke off after {_size(file)} of {total} bytes")


def _refuse(response: requests.Response) -> None:
    """Raise for a status that brings no content; a 416 is left to `_continues`."""
    status = response.status_code
    if status in (200, 206, 416):
        return
    text = f"HTTP {status} {response.reason}".strip()
    if status in (408, 429) or status >= 500:
        raise _Broken(text)
    raise InputError(f"{response.url}: {text}; look whether the file is still there")


def _continues(response: requests.Response, start: int, etag: str) -> bool:
    matched = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", ""))
    same = not etag or response.headers.get("ETag", etag) == etag
    return response.status_code == 206 and bool(matched) and int(matched[1]) == start and same


def _read_note(note: pathlib.Path) -> str:
    is_own = note.is_file() and not note.is_symlink()
    return note.read_text(encoding="latin-1").strip() if is_own else ""


def _size(file: BinaryIO) -> int:
    return os.fstat(file.fileno()).st_size


def _reason(error: Exception, patience: Patience) -> str:
    """Return the reason at the root of a network library's chain of exceptions, on one line."""
    if isinstance(error, requests.exceptions.Timeout):
        return f"no answer within {patience.limit_seconds:g} s"
    innermost: BaseException = error
    while deeper := innermost.__cause__ or innermost.__context__:
        innermost = deeper
    return reason_of(innermost)
