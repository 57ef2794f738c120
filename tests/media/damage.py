"""Small media files of every kind that matters, and ways to damage them, the same for one seed."""

import fractions
import pathlib
import random
from collections.abc import Iterable

import av
import numpy as np
import soundfile

N_DAMAGED = 2000
_SEED = 5  # among its files is one that takes PyAV down: sound of dozens of channels
SECONDS = 1.5
_FPS = 20
_SOUND_FILES = {  # name: (soundfile's format and subtype, channels, sample rate in Hz)
    "cd.wav": ("WAV", "PCM_16", 2, 44100),
    "bytes.wav": ("WAV", "PCM_U8", 1, 8000),
    "studio.wav": ("WAVEX", "PCM_24", 8, 11025),
    "mono.flac": ("FLAC", "PCM_16", 1, 16000),
    "fine.flac": ("FLAC", "PCM_24", 2, 48000),
    "plain.mp3": ("MP3", "MPEG_LAYER_III", 2, 44100),
}
_MOVIES = {  # name: (video codec, audio codec, sample rate in Hz, options of the container)
    "movie.mp4": ("libx264", "aac", 44100, {}),
    "streamed.mp4": ("libx264", "aac", 32000, {"movflags": "frag_keyframe+empty_moov"}),
    "front.mp4": ("mpeg4", "libmp3lame", 48000, {"movflags": "faststart"}),
    "new.webm": ("libvpx-vp9", "libopus", 48000, {}),
    "old.webm": ("libvpx", "libopus", 24000, {}),
    "silent.webm": ("libvpx", None, 0, {"cluster_time_limit": "300"}),
    "float.wav": (None, "pcm_f32le", 22050, {}),
    "vorbis.ogg": (None, "vorbis", 44100, {}),
    "opus.ogg": (None, "libopus", 48000, {}),
    "tagged.mp3": (None, "libmp3lame", 32000, {"write_xing": "1"}),
}
# Where a format tells sizes, times and shapes: a lie stands within a few bytes of one of these.
_FIELDS = {
    ".wav": (b"RIFF", b"fmt ", b"data", b"fact", b"WAVE"),
    ".flac": (b"fLaC", b"\xff\xf8", b"\xff\xf9"),
    ".ogg": (b"OggS", b"vorbis", b"OpusHead", b"OpusTags"),
    ".mp3": (b"ID3", b"Xing", b"Info", b"LAME", b"\xff\xfb"),
    ".mp4": (b"ftyp", b"moov", b"mvhd", b"tkhd", b"mdhd", b"stsd", b"avc1", b"avcC", b"mp4a",
             b"esds", b"stts", b"ctts", b"stsc", b"stsz", b"stco", b"elst", b"moof", b"trun",
             b"tfhd", b"tfdt", b"mdat"),
    # EBML header, Segment, Info's time scale and duration, Tracks, Video, Audio, Cluster, Cues,
    # CodecPrivate; and the width and height at the front of each VP8 and VP9 key frame.
    ".webm": (b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67", b"\x2a\xd7\xb1", b"\x44\x89",
              b"\x16\x54\xae\x6b", b"\xe0", b"\xe1", b"\x1f\x43\xb6\x75", b"\x1c\x53\xbb\x6b",
              b"\x63\xa2", b"\x9d\x01\x2a", b"\x49\x83\x42"),
}  # fmt: skip
_LIES = (0, 1, 2, 7, 0x7F, 0xFF, 0x3FFF, 0x7FFF, 0xFFFF, 0x10000, 0xFFFFFF, 0x3FFFFFFF, 0x7FFFFFFF,
         0x80000000, 0xFFFFFFFF, 0x7FFFFFFFFFFFFFFF, 0xFFFFFFFFFFFFFFFF)  # fmt: skip


def write_intact(folder: pathlib.Path) -> list[pathlib.Path]:
    """Write one file of each kind, about a second and a half long, and return their paths."""
    noise = np.random.default_rng(0)
    for name, (form, subtype, channels, rate) in _SOUND_FILES.items():
        sound = _sound(noise, channels, rate).T
        soundfile.write(folder / name, sound, rate, format=form, subtype=subtype)
    for name, movie in _MOVIES.items():
        _write_movie(folder / name, noise, *movie)
    return [folder / name for name in (*_SOUND_FILES, *_MOVIES)]


def _sound(noise: np.random.Generator, channels: int, rate_hz: int) -> np.ndarray:
    """Return a falling tone in noise, float32 (channels, samples)."""
    seconds = np.arange(int(SECONDS * rate_hz)) / rate_hz
    tone = 0.4 * np.sin(2 * np.pi * (900 - 200 * seconds) * seconds)
    return (tone + 0.05 * noise.standard_normal((channels, len(tone)))).astype(np.float32)


def _write_movie(path, noise, video, audio, rate_hz, options) -> None:
    """Write sound, pictures with a key frame every tenth, or both, as they come in time."""
    options = {"fflags": "bitexact"} | options  # the same bytes each time
    with av.open(str(path), "w", container_options=options) as out:
        out.metadata["title"] = f"a test, {path.stem}"
        encoded = []
        if video:
            v = out.add_stream(video, rate=_FPS)
            v.width, v.height, v.pix_fmt, v.bit_rate = 64, 48, "yuv420p", 400_000
            v.codec_context.gop_size = 10
        if audio:
            a = out.add_stream(audio, rate=rate_hz, layout="stereo")
            a.options = {"strict": "experimental"}  # FFmpeg's own Vorbis
        if video:
            frames = (av.VideoFrame.from_ndarray(_picture(noise, i)) for i in range(30))
            encoded += _encoded(v, frames, 1, _FPS)
        if audio:
            sound = _sound(noise, 2, rate_hz)
            parts = (
                np.ascontiguousarray(sound[:, i : i + 512]) for i in range(0, sound[0].size, 512)
            )
            frames = (av.AudioFrame.from_ndarray(part, "fltp", "stereo") for part in parts)
            encoded += _encoded(a, frames, 512, rate_hz)
        for packet in sorted(encoded, key=lambda p: p.dts * p.time_base):
            out.mux(packet)


def _encoded(stream, frames: Iterable, step: int, rate: int) -> list:
    packets = []
    for i, frame in enumerate(frames):
        frame.pts, frame.time_base = i * step, fractions.Fraction(1, rate)
        if isinstance(frame, av.AudioFrame):
            frame.sample_rate = rate
        packets += stream.encode(frame)
    return packets + stream.encode(None)


def _picture(noise: np.random.Generator, number: int) -> np.ndarray:
    """Return an RGB picture (48, 64, 3): noise on a colour that changes with time."""
    colour = np.array([8 * number, 128, 255 - 8 * number])
    return (colour + noise.integers(-40, 40, (48, 64, 3))).clip(0, 255).astype(np.uint8)


def write_damaged(
    folder: pathlib.Path, intact: list[pathlib.Path], numbers: Iterable[int]
) -> list[pathlib.Path]:
    """Write the damaged files of these numbers: each number is one file, whatever the others."""
    contents = [path.read_bytes() for path in intact]
    paths = []
    for number in numbers:
        rng = random.Random(f"{_SEED} {number}")
        name, damage = list(DAMAGES.items())[number % len(DAMAGES)]
        which = number // len(DAMAGES) % len(intact)
        suffix = intact[which].suffix
        data = damage(rng, contents[which], rng.choice(contents), suffix)
        if damage is _unchanged:
            suffix = rng.choice([path.suffix for path in intact if path.suffix != suffix])
        paths.append(folder / f"{number:04} {name} {intact[which].stem}{suffix}")
        paths[-1].write_bytes(data)
    return paths


def _stub(rng, data, *_):
    return data[: rng.randint(0, 100)]


def _cut(rng, data, *_):
    return data[: rng.randrange(len(data))]


def _beheaded(rng, data, *_):
    return data[rng.randrange(min(4096, len(data))) :]


def _flipped(rng, data, n_bits, n_bytes):
    damaged = bytearray(data)
    for _ in range(n_bits):
        damaged[rng.randrange(n_bytes)] ^= 1 << rng.randrange(8)
    return bytes(damaged)


def _few_flips(rng, data, *_):
    return _flipped(rng, data, rng.randint(1, 8), len(data))


def _many_flips(rng, data, *_):
    return _flipped(rng, data, len(data) // 100, len(data))


def _header_flips(rng, data, *_):
    return _flipped(rng, data, rng.randint(1, 20), 200)


def _swapped_header(rng, data, other, suffix):
    length = rng.choice((4, 12, 44, 100, 1000))
    return other[:length] + data[length:]


def _range(rng, data):
    first = rng.randrange(len(data))
    return first, first + rng.randint(1, max(1, len(data) // 4))


def _zeroed(rng, data, *_):
    first, last = _range(rng, data)
    return data[:first] + bytes(len(data[first:last])) + data[last:]


def _missing(rng, data, *_):
    first, last = _range(rng, data)
    return data[:first] + data[last:]


def _repeated(rng, data, *_):
    first, last = _range(rng, data)
    return data[:last] + data[first:last] * rng.randint(1, 3) + data[last:]


def _spliced(rng, data, other, suffix):
    """A file that turns into another: its sound changes rate and channels inside."""
    return data[: rng.randrange(len(data))] + other[rng.randrange(len(other)) :]


def _lie(rng, data, other, suffix):
    """A size, a time or a shape that is not true."""
    damaged = bytearray(data)
    fields = [field for field in _FIELDS[suffix] if field in data]
    for _ in range(rng.randint(1, 3)):
        places, field, place = [], rng.choice(fields), -1
        while (place := data.find(field, place + 1)) >= 0 and len(places) < 50:
            places.append(place)
        place = max(0, rng.choice(places) + rng.choice((-8, -4, *range(len(field), 48))))
        width = rng.choice((1, 2, 2, 4, 4, 4, 8))
        number = rng.choice(_LIES) % (1 << 8 * width)
        damaged[place : place + width] = number.to_bytes(width, rng.choice(("big", "little")))
    return bytes(damaged)


def _unchanged(rng, data, *_):
    return data


# Each is given a random generator, the file, another file, and the suffix; it returns the bytes.
DAMAGES = {
    "stub": _stub,
    "cut": _cut,
    "beheaded": _beheaded,
    "few flips": _few_flips,
    "many flips": _many_flips,
    "header flips": _header_flips,
    "swapped header": _swapped_header,
    "zeroed": _zeroed,
    "missing": _missing,
    "repeated": _repeated,
    "spliced": _spliced,
    "lie": _lie,
    "wrong suffix": _unchanged,
}
