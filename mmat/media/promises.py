"""What a media file's header promises, against which what was read is held.

FFmpeg cuts the promise of a WAV file down to the bytes that are there, and makes one up from the
bit rate where there is none; so the few headers in question are read here.
"""

import dataclasses
import os
import pathlib
import struct
from collections.abc import Iterator

# Their length is an estimate, or what time stamps say: nothing that the file promises.
_WITHOUT_PROMISE = {
    *("aac", "ac3", "eac3", "amr", "dts", "dtshd", "h264", "hevc", "m4v", "mpeg", "mpegts"),
    *("mpegvideo", "ogg", "mp3", "iff", "dv", "nut"),
}
_UNKNOWN_BYTES = 0x7FFF0000  # a size from here on stands for "until the end"
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
    if name == "mp3" and _has_frame_count(path):
        return Promise(duration_seconds)
    return Promise() if name in _WITHOUT_PROMISE else Promise(duration_seconds)


def _wav_promise(path: pathlib.Path, duration_seconds: float | None) -> Promise:
    size = os.path.getsize(path)
    with open(path, "rb") as file:
        if file.read(4) != b"RIFF":
            return Promise(duration_seconds)
        file.seek(12)
        bytes_a_second, end = 0, size
        for name, begin, length in _chunks(file, size):
            if name == b"fmt ":
                bytes_a_second = struct.unpack("<8xI", file.read(12))[0] if length >= 12 else 0
            if name == b"data":
                end = begin + length
                break
        if not bytes_a_second or end - begin >= _UNKNOWN_BYTES or end in (begin, size):
            return Promise()
        if end > size:
            return Promise((end - begin) / bytes_a_second)
        file.seek(end + end % 2)
        beyond = size - max((end, *(b + n for _, b, n in _chunks(file, size) if b + n <= size)))
    rest = beyond / bytes_a_second
    return Promise(None, rest if rest >= 0.05 else 0.0)


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
