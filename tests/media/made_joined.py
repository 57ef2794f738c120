"""Sounds with clicks at known times in many containers and codecs, and ways to damage or join them.

A row of `FORMATS` is one way to store sound, one of `DAMAGES` what happened to the file since.
`found_by_ffmpeg` says what a plain reader, packet by packet, finds in it.
"""

import contextlib
import dataclasses
import fractions
import functools
import io
import pathlib
import re
import struct
from collections.abc import Callable, Iterable
from typing import NamedTuple

import av
import numpy as np

CLICK_SECONDS = 0.05
PARTS = {  # name: (seconds, when its clicks begin)
    "first": (3.0, (0.5, 1.4, 2.4)),
    "second": (2.0, (0.6, 1.5)),
}
_STREAMS = ("mp3", "mp2", "adts", "ac3", "eac3", "mpegts", "mpeg")  # read from anywhere on
RATE_HZ = 16000  # of what the plain reader returns
_FPS = 10
_LONGEST_GAP_SECONDS = 60.0  # a longer one is a clock that was set
_SAME_PLACE_SECONDS = 0.015  # containers round their times
_RESTART_SECONDS = 0.05


class Count(NamedTuple):
    """Where a header counts what follows: bytes behind a marker, every time or the first."""

    marker: bytes  # empty: the file's begin
    offset: int
    layout: str  # for struct
    every: bool = False


class Format(NamedTuple):
    """One way to store sound."""

    name: str
    muxer: str
    codec: str
    rate_hz: int = 44100
    channels: int = 2
    other: tuple[int, int] | None = (22050, 1)  # rate and channels of a part that differs
    video: str = ""
    options: dict = {}
    counts: tuple[Count, ...] = ()
    streams: bool = True  # it can be written to a pipe


_WAV = (Count(b"RIFF", 4, "<I"), Count(b"data", 4, "<I"))
_AIFF = (Count(b"FORM", 4, ">I"), Count(b"COMM", 10, ">I"), Count(b"SSND", 4, ">I"))
_RF64 = tuple(Count(b"ds64", offset, "<Q") for offset in (8, 16, 24))
_W64 = (Count(b"riff", 16, "<Q"), Count(b"data\xf3\xac", 16, "<Q"))
_AU = (Count(b".snd", 8, ">I"),)
_CAF = (Count(b"data", 4, ">Q"),)
_FLAC = (Count(b"fLaC", 22, ">I"),)  # the low 32 bits of the number of samples
_XING = (Count(b"Info", 8, ">I"), Count(b"Info", 12, ">I"))
_MP4 = (Count(b"mvhd", 20, ">I"), Count(b"mdhd", 20, ">I", True), Count(b"tkhd", 24, ">I", True))
_MKV = (Count(b"\x44\x89\x88", 3, ">d"),)
_AVI = (
    Count(b"RIFF", 4, "<I"),
    Count(b"avih", 24, "<I"),
    Count(b"strh", 40, "<I", True),
    Count(b"movi", -4, "<I"),
    Count(b"idx1", 4, "<I"),
)
_FLV = (Count(b"duration\0", 9, ">d"), Count(b"filesize\0", 9, ">d"))
_ASF = (
    Count(bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365"), 40, "<Q"),
    Count(bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365"), 56, "<Q"),
    Count(bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365"), 64, "<Q"),
    Count(bytes.fromhex("3626b2758e66cf11a6d900aa0062ce6c"), 16, "<Q"),
    Count(bytes.fromhex("3626b2758e66cf11a6d900aa0062ce6c"), 40, "<Q"),
)
_WV = (Count(b"wvpk", 12, "<I"),)

_ROWS = [
    Format("s16.wav", "wav", "pcm_s16le", counts=_WAV),
    Format("u8.wav", "wav", "pcm_u8", 8000, 1, (16000, 2), counts=_WAV),
    Format("s24.wav", "wav", "pcm_s24le", 48000, counts=_WAV),
    Format("s32.wav", "wav", "pcm_s32le", 22050, 1, (48000, 2), counts=_WAV),
    Format("f32.wav", "wav", "pcm_f32le", counts=_WAV),
    Format("f64.wav", "wav", "pcm_f64le", counts=_WAV),
    Format("s64.wav", "wav", "pcm_s64le", counts=_WAV),
    Format("mulaw.wav", "wav", "pcm_mulaw", 8000, 1, (16000, 1), counts=_WAV),
    Format("alaw.wav", "wav", "pcm_alaw", 8000, 1, (16000, 1), counts=_WAV),
    Format("ms-adpcm.wav", "wav", "adpcm_ms", 22050, 1, (44100, 2), counts=_WAV),
    Format("ima-adpcm.wav", "wav", "adpcm_ima_wav", 22050, 1, (44100, 2), counts=_WAV),
    Format("mp3.wav", "wav", "libmp3lame", counts=_WAV),
    Format("rf64.wav", "wav", "pcm_s16le", options={"rf64": "always"}, counts=_RF64),
    Format("s16.w64", "w64", "pcm_s16le", counts=_W64),
    Format("s16.aiff", "aiff", "pcm_s16be", counts=_AIFF),
    Format("f32.aifc", "aiff", "pcm_f32be", counts=_AIFF),
    Format("s16.au", "au", "pcm_s16be", counts=_AU),
    Format("mulaw.au", "au", "pcm_mulaw", 8000, 1, (16000, 1), counts=_AU),
    Format("s16.caf", "caf", "pcm_s16le", counts=_CAF),
    Format("alac.caf", "caf", "alac", counts=_CAF, streams=False),
    Format("a.flac", "flac", "flac", counts=_FLAC),
    Format("flac.oga", "oga", "flac"),
    Format("vorbis.ogg", "ogg", "vorbis", other=(22050, 2)),  # FFmpeg's own has two channels
    Format("a.opus", "opus", "libopus", 48000, 2, (48000, 1)),
    Format("xing.mp3", "mp3", "libmp3lame", counts=_XING),
    Format("plain.mp3", "mp3", "libmp3lame", options={"write_xing": "0", "id3v2_version": "0"}),
    Format("a.mp2", "mp2", "mp2", 48000),
    Format("a.aac", "adts", "aac"),
    Format("aac.m4a", "ipod", "aac", counts=_MP4, streams=False),
    Format("alac.m4a", "ipod", "alac", counts=_MP4, streams=False),
    Format("a.ac3", "ac3", "ac3", 48000, 2, (44100, 1)),
    Format("a.eac3", "eac3", "eac3", 48000, 2, (44100, 1)),
    Format("a.wv", "wv", "wavpack", counts=_WV),
    Format("a.tta", "tta", "tta"),
    Format("a.amr", "amr", "libopencore_amrnb", 8000, 1, None),
    Format("flac.mka", "matroska", "flac", counts=_MKV),
    Format("opus.weba", "webm", "libopus", 48000, 2, (48000, 1), counts=_MKV),
    Format("vp8.webm", "webm", "vorbis", 44100, 2, (22050, 2), "libvpx", counts=_MKV),
    Format("h264.mkv", "matroska", "ac3", 48000, 2, (44100, 1), "libx264", counts=_MKV),
    Format("h264.mp4", "mp4", "aac", video="libx264", counts=_MP4, streams=False),
    Format(
        "fragments.mp4",
        "mp4",
        "aac",
        video="libx264",
        options={"movflags": "empty_moov+frag_keyframe+default_base_moof"},
    ),
    Format("pcm.mov", "mov", "pcm_s16le", video="mpeg4", counts=_MP4, streams=False),
    Format(
        "amr.3gp", "3gp", "libopencore_amrnb", 8000, 1, None, "mpeg4", counts=_MP4, streams=False
    ),
    Format("mp3.avi", "avi", "libmp3lame", video="mpeg4", counts=_AVI),
    Format("pcm.avi", "avi", "pcm_s16le", video="mjpeg", counts=_AVI),
    Format("a.flv", "flv", "libmp3lame", video="flv1", counts=_FLV),
    Format("aac.flv", "flv", "aac", video="libx264", counts=_FLV),
    Format("h264.ts", "mpegts", "aac", video="libx264"),
    Format("mp2.ts", "mpegts", "mp2", 48000),
    Format(
        "a.m2ts",
        "mpegts",
        "ac3",
        48000,
        2,
        (44100, 1),
        "libx264",
        {"mpegts_m2ts_mode": "1"},
    ),
    Format("a.mpg", "mpeg", "mp2", 48000, 2, (44100, 1), "mpeg2video"),
    Format("a.wma", "asf", "wmav2", counts=_ASF),
    Format("a.wmv", "asf", "wmav2", video="wmv2", counts=_ASF),
    Format("a.nut", "nut", "libmp3lame", video="mpeg4"),
    Format("a.mxf", "mxf", "pcm_s16le", 48000, 2, None, "mpeg2video"),
    Format("a.rm", "rm", "ac3", 44100, 2, (32000, 1)),
]
FORMATS = {row.name: row for row in _ROWS}


class _OneWay(io.RawIOBase):
    """A pipe: what has been written cannot be gone back to."""

    def __init__(self):
        self.written = bytearray()

    def write(self, data) -> int:
        self.written += data
        return len(data)

    def writable(self) -> bool:
        return True


def clicks(part: str, rate_hz: int, channels: int) -> np.ndarray:
    """Return a sound of clicks of 1 kHz in faint noise, float32 (channels, samples)."""
    seconds, begins = PARTS[part]
    times = np.arange(round(seconds * rate_hz)) / rate_hz
    sound = 0.002 * np.random.default_rng(0).standard_normal(len(times))
    for begin in begins:
        inside = (begin <= times) & (times < begin + CLICK_SECONDS)
        sound[inside] += 0.5 * np.sin(2 * np.pi * 1000 * (times[inside] - begin))
    return np.tile(sound.astype(np.float32), (channels, 1))


@functools.cache
def made(name: str, part: str = "first", *, differs: bool = False, one_way: bool = False) -> bytes:
    """Return a file of a format; differs: of another rate or number of channels.

    one_way: written to a pipe, where nothing is filled in later.
    """
    row = FORMATS[name]
    rate_hz, channels = row.other if differs else (row.rate_hz, row.channels)
    file = _OneWay() if one_way else io.BytesIO()
    with av.open(file, "w", format=row.muxer, container_options=row.options) as out:
        encoded = []
        if row.video:
            v = out.add_stream(row.video, rate=25 if row.muxer in ("mxf", "mpeg") else _FPS)
            v.width, v.height, v.pix_fmt = 64, 48, "yuvj420p" if row.video == "mjpeg" else "yuv420p"
            v.codec_context.gop_size = 5
        a = out.add_stream(row.codec, rate=rate_hz, layout="mono" if channels == 1 else "stereo")
        a.options = {"strict": "experimental"}  # FFmpeg's own Vorbis
        if row.muxer == "asf":
            a.bit_rate = 96_000
        if row.video:
            encoded += _encoded(v, _pictures(PARTS[part][0], int(v.codec_context.framerate)))
        encoded += _encoded(a, _frames(clicks(part, rate_hz, channels), rate_hz))
        for packet in sorted(encoded, key=lambda p: p.dts * p.time_base):
            out.mux(packet)
    return bytes(file.written if one_way else file.getvalue())


def _frames(sound: np.ndarray, rate_hz: int) -> Iterable[av.AudioFrame]:
    layout = "mono" if len(sound) == 1 else "stereo"
    for begin in range(0, sound.shape[1], 1024):
        part = np.ascontiguousarray(sound[:, begin : begin + 1024])
        frame = av.AudioFrame.from_ndarray(part, "fltp", layout)
        frame.sample_rate, frame.pts = rate_hz, begin
        frame.time_base = fractions.Fraction(1, rate_hz)
        yield frame


def _pictures(seconds: float, fps: int) -> Iterable[av.VideoFrame]:
    for number in range(round(seconds * fps)):
        picture = np.full((48, 64, 3), 5 * number % 256, np.uint8)
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
        frame.pts, frame.time_base = number, fractions.Fraction(1, fps)
        yield frame


def _encoded(stream, frames: Iterable) -> list[av.Packet]:
    return [packet for frame in [*frames, None] for packet in stream.encode(frame)]


def _counted(name: str, change: Callable[[float], float]) -> bytes:
    """Return a file of a format whose header's counts are changed."""
    data = bytearray(made(name))
    for count in FORMATS[name].counts:
        found = [match.start() for match in re.finditer(re.escape(count.marker), data)]
        for at in found if count.every else found[:1]:
            (number,) = struct.unpack_from(count.layout, data, at + count.offset)
            changed = change(number)
            is_float = count.layout[-1] in "fd"
            changed = float(changed) if is_float else int(changed)
            struct.pack_into(count.layout, data, at + count.offset, changed)
    return bytes(data)


def _cut(name: str) -> bytes:
    data = made(name)
    return data[: len(data) * 6 // 10]


def _begun_late(name: str) -> bytes:
    """As of a broadcast that was switched on: the middle of a packet comes first."""
    data = made(name)
    return data[len(data) // 5 :]


def _joined(name: str) -> bytes:
    return made(name) + made(name, "second")


def _joined_other(name: str) -> bytes:
    return made(name) + made(name, "second", differs=True)


def _zero_counts(name: str) -> bytes:
    return _counted(name, lambda number: 0)


def _small_counts(name: str) -> bytes:
    return _counted(name, lambda number: number / 2)


def _streamed(name: str) -> bytes:
    """As of a recorder that never came to fill in its counts."""
    return made(name, one_way=True)


def _overwritten(name: str) -> bytes:
    """Bytes in the middle that are no NaN in any kind of float samples."""
    data = bytearray(made(name))
    begin, end = len(data) // 2, len(data) // 2 + len(data) // 20
    noise = np.random.default_rng(1).integers(0, 0x3D, end - begin, np.uint8)
    data[begin:end] = noise.tobytes()
    return bytes(data)


def _garbage(name: str) -> bytes:
    return made(name) + np.random.default_rng(2).bytes(5000)


class Damage(NamedTuple):
    """What happened to a file: its bytes by the format's name, the parts in it, and to which."""

    file: Callable[[str], bytes]
    parts: tuple[str, ...] = ("first",)
    happens_to: Callable[[Format], bool] = lambda row: True


DAMAGES = {
    "whole": Damage(made),
    "cut": Damage(_cut),
    "begun late": Damage(_begun_late, happens_to=lambda row: row.muxer in _STREAMS),
    "joined": Damage(_joined, ("first", "second")),
    "joined to another rate": Damage(
        _joined_other, ("first", "second"), lambda row: row.other is not None
    ),
    "zero counts": Damage(_zero_counts, happens_to=lambda row: bool(row.counts)),
    "small counts": Damage(_small_counts, happens_to=lambda row: bool(row.counts)),
    "streamed": Damage(_streamed, happens_to=lambda row: row.streams),
    "overwritten": Damage(_overwritten),
    "garbage behind": Damage(_garbage),
}
CASES = [
    (name, damage)
    for name, row in FORMATS.items()
    for damage, what in DAMAGES.items()
    if what.happens_to(row)
]


@dataclasses.dataclass(frozen=True)
class Found:
    """What a plain reader found: float32 (samples,) at 16 kHz, mono, and the seconds decoded."""

    waveform: np.ndarray
    decoded_seconds: float

    @property
    def seconds(self) -> float:
        """The length with the gaps that the time stamps say."""
        return len(self.waveform) / RATE_HZ


def found_by_ffmpeg(path: pathlib.Path) -> Found:
    """Decode all packets of the first sound track, in the order of the file, one after the other.

    Gaps that the time stamps say are silent; where they go back, or a minute on, the clock was set.
    Nothing is found in what FFmpeg cannot open.
    """
    pieces, decoded_seconds = [], 0.0
    end, shift = 0.0, 0.0  # of what was placed; from the file's clock to ours
    runs: list[list] = []
    with contextlib.suppress(av.FFmpegError), av.open(f"file:{path}") as container:
        shift = -max(0.0, (container.start_time or 0) / av.time_base)
        for frame in _all_frames(container):
            place = end if frame.time is None else frame.time + shift
            if place < end - _RESTART_SECONDS or place > end + _LONGEST_GAP_SECONDS:
                shift, place = shift + end - place, end
            gap = place - end if place > end + _SAME_PLACE_SECONDS else 0.0
            kind = frame.sample_rate, frame.layout.name, frame.format.name
            if gap or not runs or runs[-1][0] != kind:
                runs.append([kind, gap, []])
            runs[-1][2].append(frame)
            seconds = frame.samples / frame.sample_rate
            end, decoded_seconds = end + gap + seconds, decoded_seconds + seconds
        for _, gap, frames in runs:
            pieces += [np.zeros(round(gap * RATE_HZ), np.float32), _resampled(frames)]
    return Found(np.concatenate([np.zeros(0, np.float32), *pieces]), decoded_seconds)


def _all_frames(container) -> Iterable[av.AudioFrame]:
    with contextlib.suppress(av.FFmpegError, IndexError):  # the end of what can be demuxed
        for packet in container.demux(audio=0):
            with contextlib.suppress(av.FFmpegError, ValueError):
                yield from packet.decode()


def _resampled(frames: list[av.AudioFrame]) -> np.ndarray:
    """Return frames of one kind as float32 (samples,) at 16 kHz, mono."""
    resampler = av.AudioResampler("flt", "mono", RATE_HZ)
    parts = []
    for frame in frames:
        frame.pts = None  # places are known; the resampler would fill gaps of its own
        parts += resampler.resample(frame)
    parts += resampler.resample(None)
    return np.concatenate([part.to_ndarray()[0] for part in parts] or [np.zeros(0, np.float32)])


def click_seconds(waveform: np.ndarray) -> np.ndarray:
    """Return when clicks begin in a sound of 16 kHz: where its level rises to a third of theirs."""
    width = RATE_HZ // 200
    level = np.abs(waveform[: len(waveform) // width * width]).reshape(-1, width).max(axis=1)
    loud = np.flatnonzero(level > 0.15)
    first = np.diff(loud, prepend=-100) > 20  # nothing as loud for 0.1 s before
    return loud[first] * width / RATE_HZ
