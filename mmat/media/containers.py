"""Media files of every kind opened, and their tracks decoded, by FFmpeg through PyAV.

Whatever a codec library raises becomes `NotReadable` or is a packet that is left out: a damaged
file must not look like a fault of this program.
"""

import contextlib
import dataclasses
import math
import pathlib
from collections.abc import Iterable, Iterator

import numpy as np

from mmat.files import reason_of

# Formats of media alone: FFmpeg would also draw a text file as a picture, or follow a playlist
# to other files and hosts.
_OPTIONS = {
    "protocol_whitelist": "file",
    "format_whitelist": "mov,mp4,3gp,matroska,webm,avi,ogg,mp3,wav,flac,aac,mpegts,mpeg,mpegvideo,"
    "flv,asf,aiff,au,caf,w64,amr,h264,hevc,m4v,ivf,wv,tta,ape,ac3,eac3,dts,dtshd,mxf,nut,rm,dv,"
    "voc,ircam,nistsphere,iff,sox,mpc,mpc8",
    "max_pixels": str(8192 * 8192),  # a damaged header may promise pictures that fill the memory
}
# FFmpeg looks for DTS hidden in a WAV file, by default in 5 MB of it: ten times the cost of reading
# a clip of 10 s.
_WAV_OPTIONS = {"probesize": str(1 << 14)}
_WAV_HEADS = (b"RIFF", b"RF64")
_SAMPLE_KINDS = {
    kind + planar for kind in ("u8", "s16", "s32", "flt", "dbl") for planar in ("", "p")
}
_PLANES = 8  # pointers to channels in a frame of FFmpeg


class NotReadable(Exception):
    """FFmpeg cannot open or decode the file."""


@contextlib.contextmanager
def open_container(path: pathlib.Path):
    """Open a file as a container of PyAV; raises NotReadable where FFmpeg cannot."""
    import av

    with open(path, "rb") as file:
        is_wav = file.read(4) in _WAV_HEADS
    options = _OPTIONS | (_WAV_OPTIONS if is_wav else {})
    try:
        # "file:" so that a colon in a file's name does not make a protocol.
        container = av.open(f"file:{path}", options=options, metadata_errors="replace")
    except Exception as error:  # of a codec library, and not always FFmpeg's own
        raise NotReadable(f"FFmpeg: {reason_of(error)}") from error
    with container:
        yield container


def tracks_of(container, kind: str) -> list:
    """Return the tracks of a kind ("audio", "video") that can be decoded, cover images left out.

    The one that a player takes comes first: the first that the file marks as a default one, else
    the first.
    """
    import av

    cover = av.stream.Disposition.attached_pic
    tracks = [
        stream
        for stream in getattr(container.streams, kind)
        if stream.codec_context is not None and not stream.disposition & cover
    ]
    return sorted(tracks, key=lambda track: not track.disposition & av.stream.Disposition.default)


def prepared(track):
    """Return the track, made ready to be decoded."""
    # One thread a file, because worker processes already fill the cores.
    track.codec_context.thread_count = 1
    track.codec_context.options = {"max_pixels": _OPTIONS["max_pixels"]}
    return track


def packets_of(container, *tracks) -> Iterator:
    """Yield the packets of some tracks, or of all, until the file ends or is cut off."""
    import av

    # A track that begins late is new to PyAV, which raises IndexError at its first packet. A packet
    # has a byte at least, so that this ends.
    for _ in range(container.size):
        try:
            yield from container.demux(*tracks)
            return
        except av.error.FFmpegError:
            return
        except (IndexError, ValueError):
            continue


@dataclasses.dataclass
class Losses:
    """What decoding had to leave out: packets that are damaged, and how long they last.

    until_seconds: packets that begin there or later, by the file's clock, do not count.
    """

    until_seconds: float = math.inf
    n_packets: int = 0
    seconds: float = 0.0
    _from_seconds: float = 0.0

    def begin(self, from_seconds: float) -> None:
        """Count anew, packets from a time on: one just before a range may lack what it needs."""
        self.n_packets, self.seconds, self._from_seconds = 0, 0.0, from_seconds

    def add(self, packet) -> None:
        """Count a packet that cannot be decoded."""
        base = float(packet.time_base or 0)
        is_wanted = packet.pts is None or (
            self._from_seconds <= packet.pts * base < self.until_seconds
        )
        if packet.size and is_wanted:
            self.n_packets += 1
            self.seconds += (packet.duration or 0) * base


def decoded(packets: Iterable, losses: Losses) -> Iterator:
    """Yield the frames of a track's packets; a damaged packet is left out, and counted.

    Raises NotReadable where nothing at all can be decoded.
    """
    error, some = None, False
    for packet in packets:
        try:
            frames = packet.decode()
        except Exception as damaged:  # of any codec library
            error = damaged.with_traceback(None)
            losses.add(packet)
            continue
        some = some or bool(frames)
        yield from frames
    if error is not None and not some:
        raise NotReadable(f"FFmpeg: {reason_of(error)}")


def samples_of(frame) -> np.ndarray:
    """Return the samples of an audio frame (channels, samples), in numbers as they are stored."""
    import av

    name, n_channels = frame.format.name, frame.layout.nb_channels
    if name not in _SAMPLE_KINDS or (frame.format.is_planar and n_channels >= _PLANES):
        # PyAV has no numbers for the kind, or would read planes behind the last one, and crash.
        kind = "flt" if frame.format.bytes <= 4 else "dbl"
        parts = av.AudioResampler(kind, frame.layout, frame.sample_rate).resample(frame)
        return np.concatenate([samples_of(part) for part in parts], axis=1)
    samples = frame.to_ndarray()
    return samples if frame.format.is_planar else samples.reshape(-1, n_channels).T


def scaled(samples: np.ndarray, kind: np.dtype) -> np.ndarray:
    """Return samples as float32, whole numbers of a kind (of NumPy) brought into [-1, 1].

    >>> scaled(np.array([0.0, 128, 192]), np.dtype(np.uint8)).tolist()
    [-1.0, 0.0, 0.5]
    """
    if kind == np.uint8:
        samples = samples / 128 - 1
    elif kind.kind == "i":
        samples = samples / -float(np.iinfo(kind).min)
    return samples.astype(np.float32)
