"""What a media file's header promises, against which what was read is held.

FFmpeg cuts some promises down to the bytes that are there, and makes them up from the bit rate
where there are none; so the few headers in question are read here.
"""

import dataclasses
import os
import pathlib
import re
import struct
from collections.abc import Iterator
from typing import BinaryIO

# Their length is an estimate, or what time stamps say: nothing that the file promises.
_WITHOUT_PROMISE = {
    *("aac", "ac3", "eac3", "amr", "dts", "dtshd", "h264", "hevc", "m4v", "mpeg", "mpegts"),
    *("mpegvideo", "ogg", "mp3", "iff", "dv", "nut"),
}
_UNKNOWN_BYTES = range(0x7FFF0000, 1 << 32)  # sizes that stand for "until the end"
_RF64_BYTES = 0xFFFFFFFF  # the size is in another chunk
_HEAD_BYTES = 1 << 16  # in which the headers of AVI and ASF lie
_ASF_FILE = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")  # of its file properties
_ID3_HEAD_BYTES = 10
_MP3_HEAD_BYTES = 512


@dataclasses.dataclass(frozen=True)
class Promise:
    """seconds: the length that the header gives, None for none. unread_seconds: of bytes beyond it.

    >>> Promise(10.0).missing(6.0, tolerance_seconds=0.5)
    'it ends at 6.0 s of the 10.0 s that it promises'
    """

    seconds: float | None = None
    unread_seconds: float = 0.0

    def missing(self, end_seconds: float, tolerance_seconds: float) -> str:
        """Return what is missing of a file that was read until its end, or nothing."""
        if self.seconds is None or self.seconds - end_seconds <= tolerance_seconds:
            return ""
        return f"it ends at {end_seconds:.1f} s of the {self.seconds:.1f} s that it promises"

    @property
    def left_over(self) -> str:
        """What is said of bytes that no header counts, or nothing."""
        if not self.unread_seconds:
            return ""
        return f"the header counts too little: bytes for {self.unread_seconds:.1f} s are not read"


def promise_of(path: pathlib.Path, container, duration_seconds: float | None) -> Promise:
    """Return what an open file promises; duration_seconds: what FFmpeg says of it."""
    name = container.format.name
    if name == "wav":
        return _wav_promise(path, duration_seconds)
    if name in _WITHOUT_PROMISE and not (name == "mp3" and _has_frame_count(path)):
        return Promise()
    if name == "aiff" and not _is_plain(container):
        return Promise()  # some count samples, some packets
    with open(path, "rb") as file:
        promised = _SECONDS_OF[name](file) if name in _SECONDS_OF else None
    return Promise(promised or duration_seconds)


def _is_plain(container) -> bool:
    codec = container.streams[0].codec_context
    return codec is not None and codec.name.startswith("pcm_")


def _wav_promise(path: pathlib.Path, duration_seconds: float | None) -> Promise:
    size, bytes_a_second, begin, end = os.path.getsize(path), 0, 0, 0
    with open(path, "rb") as file:
        long_bytes = _RF64_BYTES if file.read(4) == b"RF64" else 0
        file.seek(12)
        for name, begin, length in _chunks(file, size):
            end = begin + (long_bytes if length == _RF64_BYTES and long_bytes else length)
            if name == b"ds64" and length >= 16:
                _, long_bytes = struct.unpack("<QQ", file.read(16))
            elif name == b"fmt " and length >= 12:
                (bytes_a_second,) = struct.unpack("<8xI", file.read(12))
            elif name == b"data":
                break
        if end - begin in _UNKNOWN_BYTES and not long_bytes or end in (begin, size):
            return Promise()
        if end > size:
            by_bytes = (end - begin) / bytes_a_second if bytes_a_second else 0.0
            return Promise(max(by_bytes, duration_seconds or 0.0))  # or by the number of samples
        file.seek(end + end % 2)
        beyond = size - max((end, *(b + n for _, b, n in _chunks(file, size) if b + n <= size)))
    rest = beyond / bytes_a_second if bytes_a_second else 0.0
    return Promise(None, rest if rest >= 0.05 else 0.0)


def _w64_seconds(file: BinaryIO) -> float | None:
    file.seek(40)
    bytes_a_second = 0
    while len(head := file.read(24)) == 24:
        name, length = head[:4], int.from_bytes(head[16:], "little") - 24
        if name == b"data" or length < 0:
            return length / bytes_a_second if bytes_a_second and length > 0 else None
        begin = file.tell()
        if name == b"fmt ":
            (bytes_a_second,) = struct.unpack("<8xI", file.read(12).ljust(12, b"\0"))
        file.seek(begin + length + -length % 8)
    return None


def _caf_seconds(file: BinaryIO) -> float | None:
    file.seek(8)
    bytes_a_second = 0.0
    while len(head := file.read(12)) == 12:
        name, length = struct.unpack(">4sq", head)
        if name == b"data" or length < 0:
            return (length - 4) / bytes_a_second if bytes_a_second and length > 4 else None
        begin = file.tell()
        if name == b"desc":
            rate, *_, n_bytes, n_samples = struct.unpack(">d4s3I", file.read(24).ljust(24, b"\0"))
            bytes_a_second = rate * n_bytes / n_samples if n_samples else 0.0
        file.seek(begin + length)
    return None


def _avi_seconds(file: BinaryIO) -> float | None:
    head = file.read(_HEAD_BYTES)
    tracks = [match.end() + 24 for match in re.finditer(b"strh", head)]
    counts = [struct.unpack_from("<4I", head, at) for at in tracks if at + 16 <= len(head)]
    return max((n * scale / rate for scale, rate, _, n in counts if rate), default=None)


def _asf_seconds(file: BinaryIO) -> float | None:
    head = file.read(_HEAD_BYTES)
    at = head.find(_ASF_FILE)
    if not 0 <= at <= len(head) - 92:
        return None
    ticks, _, preroll_ms, flags = struct.unpack_from("<3QI", head, at + 64)
    is_broadcast = flags & 1
    return None if is_broadcast else max(0.0, ticks / 1e7 - preroll_ms / 1e3)


# Of formats whose promise FFmpeg does not tell where the file was cut.
_SECONDS_OF = {"w64": _w64_seconds, "caf": _caf_seconds, "avi": _avi_seconds, "asf": _asf_seconds}


def _chunks(file, size: int) -> Iterator[tuple[bytes, int, int]]:
    """Yield (name, first byte, bytes) of RIFF chunks, until one does not look like any."""
    while file.tell() + 8 <= size:
        name, length = struct.unpack("<4sI", file.read(8))
        if not all(32 <= byte < 127 for byte in name) or name == b"RIFF":
            return
        begin = file.tell()
        yield name, begin, length
        file.seek(begin + length + length % 2)


def _has_frame_count(path: pathlib.Path) -> bool:
    """Return whether an MP3 file counts its frames (Xing, Info or VBRI) before the first one."""
    with open(path, "rb") as file:
        head = file.read(_ID3_HEAD_BYTES)
        if head[:3] == b"ID3" and len(head) == _ID3_HEAD_BYTES:
            a, b, c, d = head[6:]
            file.seek(_ID3_HEAD_BYTES + (a << 21 | b << 14 | c << 7 | d))
        else:
            file.seek(0)
        frame = file.read(_MP3_HEAD_BYTES)
    return any(tag in frame for tag in (b"Xing", b"Info", b"VBRI"))
