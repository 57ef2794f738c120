"""Sounds and movies that the benchmarks make: a tone that wanders in noise, layers that drift."""

import fractions
import pathlib
from collections.abc import Iterator, Sequence

import av
import numpy as np
import soundfile

RATE_HZ, FPS = 44100, 25
BITS_A_PIXEL = 2_500_000 / (1280 * 720)  # what 720p of 2.5 Mbit/s has, at 25 pictures a second


def sound_blocks(seconds: int, rate_hz: int, channels: int) -> Iterator[np.ndarray]:
    """Yield a sound second by second, float32 (samples, channels)."""
    rng = np.random.default_rng(0)
    for second in range(seconds):
        times = second + np.arange(rate_hz) / rate_hz
        tone = 0.3 * np.sin(2 * np.pi * (300 * times + 200 * np.sin(times)))
        noise = 0.02 * rng.standard_normal((rate_hz, channels))
        yield (tone[:, None] + noise).astype(np.float32)


def write_sound(
    path: pathlib.Path, seconds: int, rate_hz: int = RATE_HZ, channels: int = 2
) -> pathlib.Path:
    """Write a sound in the format of the path's suffix; of containers mp4, with AAC."""
    blocks = sound_blocks(seconds, rate_hz, channels)
    if path.suffix == ".mp4":
        with av.open(str(path), "w") as out:
            _write_aac(out, out.add_stream("aac", rate=rate_hz, layout="stereo"), blocks)
        return path
    with soundfile.SoundFile(path, "w", rate_hz, channels) as file:
        for block in blocks:  # libvorbis overflows its stack on longer ones
            file.write(block)
    return path


def _write_aac(out, track, blocks: Iterator[np.ndarray]) -> None:
    begin, rate_hz = 0, track.rate
    for block in blocks:
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(block.T), "fltp", "stereo")
        frame.rate, frame.pts, frame.time_base = rate_hz, begin, fractions.Fraction(1, rate_hz)
        begin += len(block)
        out.mux(track.encode(frame))
    out.mux(track.encode(None))


def write_movies(
    folder: pathlib.Path,
    size: tuple[int, int],
    keyframe_intervals: Sequence[int],
    seconds: int = 10,
) -> list[pathlib.Path]:
    """Write the same movie in H.264 with AAC, once for each interval of its keyframes.

    size: width and height. The pictures are two layers that move against each other under a
    camera's grain; `1280x720, keyframe every 25.mp4`.
    """
    paths = [
        folder / f"{size[0]}x{size[1]}, keyframe every {interval}.mp4"
        for interval in keyframe_intervals
    ]
    outs = [av.open(str(path), "w") for path in paths]
    videos, audios = [], []
    for out, interval in zip(outs, keyframe_intervals, strict=True):
        options = {"g": str(interval), "preset": "veryfast"}
        video = out.add_stream("libx264", rate=FPS, options=options)
        (video.width, video.height), video.pix_fmt = size, "yuv420p"
        video.bit_rate = round(BITS_A_PIXEL * size[0] * size[1])
        videos.append(video)
        audios.append(out.add_stream("aac", rate=RATE_HZ, layout="stereo"))
    for number, picture in enumerate(_pictures(size, seconds * FPS)):
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
        frame.pts, frame.time_base = number, fractions.Fraction(1, FPS)
        for out, video in zip(outs, videos, strict=True):
            out.mux(video.encode(frame))
    for out, video, audio in zip(outs, videos, audios, strict=True):
        out.mux(video.encode(None))
        _write_aac(out, audio, sound_blocks(seconds, RATE_HZ, 2))
        out.close()
    return paths


def _pictures(size: tuple[int, int], n: int) -> Iterator[np.ndarray]:
    width, height = size
    rng = np.random.default_rng(0)
    layers = [_rectangles(rng, (width + 2 * n, height + 130)) for _ in range(2)]
    grain = rng.normal(0, 3, (8, height, width, 1)).astype(np.float32)
    far = np.hypot(*np.mgrid[: height // 2 * 2, : width // 2 * 2] - _centre(size))
    mask = (far < 0.4 * height)[..., None]
    for number in range(n):
        x, y = 2 * number, int(60 + 50 * np.sin(number / 15))
        back = layers[0][y : y + height, x : x + width]
        front = layers[1][120 - y :, 2 * n - x :][:height, :width]
        picture = np.where(mask, front, back) + grain[number % 8]
        yield picture.clip(0, 255).astype(np.uint8)


def _centre(size: tuple[int, int]) -> np.ndarray:
    return np.array([size[1] / 2, size[0] / 2])[:, None, None]


def _rectangles(rng: np.random.Generator, size: tuple[int, int], n: int = 600) -> np.ndarray:
    """Return a picture of rectangles over each other, float32 (height, width, 3)."""
    picture = np.full((size[1], size[0], 3), 128, np.float32)
    for _ in range(n):
        y, x = rng.integers(0, size[1]), rng.integers(0, size[0])
        height, width = rng.integers(10, 120, 2)
        picture[y : y + height, x : x + width] = rng.integers(0, 256, 3)
    return picture
