"""Read single files out of Debian packages, and out of the containers inside those packages.

A member is named by its path in the package; `!` leads on into a container:

- `usr/share/sounds/dog.wav`: a file of the package;
- `usr/share/farm.rcc!farm/images/cow.webp`: a file in a Qt resource collection;
- `usr/share/opensfx.cat!07`: an entry of an OpenTTD sound set, by its index in two digits.

The files are untrusted, so every offset and size is checked before it is used: a damaged file
raises `InputError` with its name, and so does one that holds more than `mmat.files` allows. No
member's name becomes a path: the caller decides where its content goes.
"""

import gzip
import io
import lzma
import os
import pathlib
import struct
import zlib
from collections.abc import Callable, Collection, Iterator
from typing import BinaryIO

import zstandard

from mmat.files import MAX_BYTES, Budget, Damaged, InputError, damage_as_error, iter_tar

INNER = "!"


def iter_members(
    package: str | os.PathLike, members: Collection[str], max_bytes: int = MAX_BYTES
) -> Iterator[tuple[str, bytes]]:
    """Yield `(member, content)` of a `.deb` for each of `members` that is there, reading it once.

    They come in the package's order; a member that the package lacks is left out. Raises
    `InputError` for a file that is no Debian package, is damaged, or holds more than `max_bytes`
    up to the last of the members.

    >>> list(iter_members("no.deb", ["dog.wav"]))  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    mmat.files.InputError: no.deb: cannot be read as Debian package: No such file...
    """
    inner_of: dict[str, list[str]] = {}
    for member in members:
        outer, _, inner = member.partition(INNER)
        inner_of.setdefault(outer, []).append(inner)
    for outer, content in _iter_files(pathlib.Path(package), inner_of, max_bytes):
        inners = inner_of[outer]
        if "" in inners:
            yield outer, content
        wanted = [inner for inner in inners if inner]
        if wanted:
            reader = _reader(outer, package)
            for inner, inner_content in reader(content, f"{package}: {outer}", wanted).items():
                yield f"{outer}{INNER}{inner}", inner_content


def _reader(outer: str, package: str | os.PathLike) -> Callable[..., dict[str, bytes]]:
    suffix = pathlib.PurePosixPath(outer).suffix
    readers = {".rcc": read_rcc, ".cat": read_cat}
    if suffix not in readers:
        raise InputError(f"{package}: {outer}: only .rcc and .cat files hold inner members")
    return readers[suffix]


def read_rcc(content: bytes, name: str, wanted: Collection[str] | None = None) -> dict[str, bytes]:
    """Return path → content of a Qt resource collection (`.rcc`, versions 1 to 3).

    `name` is for messages. Only the `wanted` paths are decompressed (`None`: all). Raises
    `InputError` for a damaged collection, and for an entry compressed with zstd.
    Layout: Qt's `qresource.cpp`.
    """
    with damage_as_error(name, "Qt resource collection"):
        header = struct.Struct(">4sIIII")
        magic, version, tree_start, data_start, names_start = header.unpack_from(content)
        if magic != b"qres" or not 1 <= version <= 3:
            raise Damaged("not a .rcc of version 1, 2 or 3")
        node_bytes = 14 if version == 1 else 22  # from version 2 on with the time of change
        files: dict[str, bytes] = {}
        budget = Budget()
        todo, seen = [(0, "")], set()
        while todo:
            index, folder = todo.pop()
            if index in seen:
                raise Damaged("an entry stands in two folders")
            seen.add(index)
            node_start = tree_start + index * node_bytes
            name_offset, flags = struct.unpack_from(">IH", content, node_start)
            path = folder + _rcc_name(content, names_start + name_offset) if index else ""
            if flags & 2:
                children, first = struct.unpack_from(">II", content, node_start + 6)
                if (first + children) * node_bytes > len(content):
                    raise Damaged(f"the folder {path!r} goes past the end")
                prefix = f"{path}/" if path else ""
                todo.extend((child, prefix) for child in range(first, first + children))
            elif wanted is None or path in wanted:
                (offset,) = struct.unpack_from(">I", content, node_start + 10)
                files[path] = _rcc_data(content, data_start + offset, flags, budget)
        return files


def _rcc_name(content: bytes, start: int) -> str:
    length, _hash = struct.unpack_from(">HI", content, start)
    return _slice(content, start + 6, 2 * length).decode("utf-16-be")


def _rcc_data(content: bytes, start: int, flags: int, budget: Budget) -> bytes:
    (n_bytes,) = struct.unpack_from(">I", content, start)
    data = _slice(content, start + 4, n_bytes)
    if flags & 4:
        raise Damaged("an entry is compressed with zstd, which is not supported")
    if not flags & 1:
        budget.spend(n_bytes)
        return data
    (expected,) = struct.unpack_from(">I", data)
    budget.spend(expected)
    inflate = zlib.decompressobj()
    plain = inflate.decompress(data[4:], expected + 1)
    if len(plain) != expected or not inflate.eof:
        raise Damaged("a compressed entry has another length than it says")
    return plain


def read_cat(content: bytes, name: str, wanted: Collection[str] | None = None) -> dict[str, bytes]:
    """Return index → WAV file of an OpenTTD sound set (`.cat`); an index is `"00"`, `"01"`, …

    `name` is for messages; only the `wanted` indices are returned (`None`: all). Raises
    `InputError` for a damaged set. Layout: a table of (offset, size), whose first offset is its
    own size, then each entry as length byte, title with a closing zero byte, RIFF data.

    >>> wav = b"RIFF\\x04\\x00\\x00\\x00WAVE"
    >>> table = struct.pack("<II", 8 | 1 << 31, len(wav))
    >>> read_cat(table + b"\\x04Dog\\x00" + wav, "dog.cat") == {"00": wav}
    True
    """
    with damage_as_error(name, "OpenTTD sound set"):
        table_bytes = struct.unpack_from("<I", content)[0] & 0x7FFFFFFF  # the top bit is a flag
        if table_bytes % 8 or not 8 <= table_bytes <= len(content):
            raise Damaged("the table of entries is no table")
        files, budget = {}, Budget()
        for index in range(table_bytes // 8):
            key = f"{index:02d}"
            if wanted is not None and key not in wanted:
                continue
            offset, n_bytes = struct.unpack_from("<II", content, 8 * index)
            offset &= 0x7FFFFFFF
            budget.spend(n_bytes)
            (title_bytes,) = _slice(content, offset, 1)
            data = _slice(content, offset + 1 + title_bytes, n_bytes)
            if data[:4] != b"RIFF":
                raise Damaged(f"entry {key} is no RIFF data")
            files[key] = data
        return files


def _slice(content: bytes, start: int, n_bytes: int) -> bytes:
    if start + n_bytes > len(content):
        raise Damaged("an entry goes past the end")
    return content[start : start + n_bytes]


def _iter_files(
    package: pathlib.Path, paths: Collection[str], max_bytes: int
) -> Iterator[tuple[str, bytes]]:
    """Yield the regular files among `paths` from a package's data archive, read as a stream."""
    with (
        damage_as_error(package, "Debian package"),
        open(package, "rb") as file,
        _data_stream(file) as stream,
    ):
        yield from iter_tar(stream, paths, max_bytes)


def _data_stream(file: BinaryIO) -> BinaryIO:
    """Open the decompressed `data.tar` of a package, which is a Unix `ar` archive."""
    if file.read(8) != b"!<arch>\n":
        raise Damaged("it does not begin as one")
    while header := file.read(60):
        name, n_bytes = header[:16].strip().rstrip(b"/"), int(header[48:58])
        if n_bytes < 0 or header[58:] != b"`\n":
            raise Damaged("a header of the archive is damaged")
        if name.startswith(b"data.tar"):
            return _decompressor(name.removeprefix(b"data.tar"))(_Section(file, n_bytes))
        file.seek(n_bytes + n_bytes % 2, os.SEEK_CUR)
    raise Damaged("it has no data.tar")


def _decompressor(suffix: bytes) -> Callable[[BinaryIO], BinaryIO]:
    known = {
        b".xz": lzma.open,  # Debian's choice
        b".zst": zstandard.open,  # Ubuntu's
        b".gz": gzip.open,
        b"": io.BufferedReader,
    }
    if suffix not in known:
        raise Damaged(f"its data are compressed in an unknown way ({suffix!r})")
    return known[suffix]


class _Section(io.RawIOBase):
    """The next `n_bytes` of a file, as a file of their own."""

    def __init__(self, file: BinaryIO, n_bytes: int):
        self.file, self.left = file, n_bytes

    def readable(self) -> bool:
        return True

    def readinto(self, buffer) -> int:
        data = self.file.read(min(len(buffer), self.left))
        buffer[: len(data)] = data
        self.left -= len(data)
        return len(data)
