"""Tiny packages and containers for the tests of `mmat.corpora`, written byte by byte."""

import gzip
import io
import lzma
import struct
import tarfile
import zlib

import zstandard

COMPRESSORS = {
    "": bytes,
    ".gz": gzip.compress,
    ".xz": lzma.compress,
    ".zst": zstandard.compress,
}


def make_deb(files: dict[str, bytes], compression: str = ".xz") -> bytes:
    data = COMPRESSORS[compression](_tar(files, "./", mode="w"))
    parts = {"debian-binary": b"2.0\n", "control.tar": b"odd", f"data.tar{compression}": data}
    ar = b"!<arch>\n"
    for name, content in parts.items():
        header = f"{name:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(content):<10}`\n"
        ar += header.encode() + content + b"\n" * (len(content) % 2)
    return ar


def make_source_archive(files: dict[str, bytes], project: str, version: str = "1.0") -> bytes:
    return _tar(files, f"{project}-{version}/", mode="w:gz")


def _tar(files: dict[str, bytes], before: str, mode: str) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as tar:
        for path, content in files.items():
            entry = tarfile.TarInfo(before + path)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def make_rcc(files: dict[str, bytes], version: int = 3, compression: int = 1) -> bytes:
    """Write a collection of one folder level; `compression`: 0 none, 1 zlib, 4 marked as zstd."""
    folders: dict[str, list[str]] = {}
    for path in files:
        folder, _, leaf = path.partition("/")
        folders.setdefault(folder, []).append(leaf)
    names, data, nodes = b"", b"", []
    leaf_index = 1 + len(folders)
    nodes.append(struct.pack(">IHII", 0, 2, len(folders), 1))
    for folder, leaves in folders.items():
        nodes.append(struct.pack(">IHII", len(names), 2, len(leaves), leaf_index))
        names += struct.pack(">HI", len(folder), 0) + folder.encode("utf-16-be")
        leaf_index += len(leaves)
    for folder, leaves in folders.items():
        for leaf in leaves:
            plain = files[f"{folder}/{leaf}"]
            packed = struct.pack(">I", len(plain)) + zlib.compress(plain) if compression else plain
            nodes.append(struct.pack(">IHHHI", len(names), compression, 0, 1, len(data)))
            names += struct.pack(">HI", len(leaf), 0) + leaf.encode("utf-16-be")
            data += struct.pack(">I", len(packed)) + packed
    time_of_change = b"" if version == 1 else bytes(8)
    tree = b"".join(node + time_of_change for node in nodes)
    header_bytes = 24 if version == 3 else 20
    starts = header_bytes, header_bytes + len(tree), header_bytes + len(tree) + len(data)
    header = struct.pack(">4sIIII", b"qres", version, *starts)
    return header.ljust(header_bytes, b"\0") + tree + data + names


def make_cat(wavs: list[bytes]) -> bytes:
    table, entries = b"", b""
    for index, wav in enumerate(wavs):
        title = f"Sound {index}".encode() + b"\0"
        offset = 8 * len(wavs) + len(entries)
        table += struct.pack("<II", offset | 1 << 31, len(wav))
        entries += bytes([len(title)]) + title + wav + b"\0"
    return table + entries


def make_wav(payload: bytes) -> bytes:
    return b"RIFF" + struct.pack("<I", 4 + len(payload)) + b"WAVE" + payload
