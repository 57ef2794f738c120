"""Reading media: mmat against the plainest loops that do the same work.

    python benchmarks/decoding.py

Sound: 10 s, 44.1 kHz, two channels, to 16 kHz mono. The plain loop is soundfile.read (or PyAV,
every frame, for mp4), the channels' mean, soxr.resample; tensorflow-io's reader stands beside it
where it loads. Pictures: 8 of 10 s of 720p H.264 at 25 a second and 2.5 Mbit/s, with a keyframe
at every 12th, 25th, 50th, 250th picture; the plain loop decodes every picture with PyAV and scales
eight of them. What is compared runs in turn, in one thread, on files in the system's cache;
seconds are the process's own (CPU time), medians with the least and the most.
"""

import argparse
import fractions
import os
import pathlib
import platform
import statistics
import tempfile
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import av
import numpy as np
import soundfile
import soxr
from tabulate import tabulate

from mmat.data.media import read_audio, read_frames
from mmat.errors import InputError

SECONDS, RATE_HZ, FPS, N_FRAMES, SIZE = 10, 44100, 25, 8, (1280, 720)
SHOWN_SIZE = (320, 180)
KEYFRAME_INTERVALS = (12, 25, 50, 250)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7, help="runs of each, interleaved")
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        sounds = [sound_row(path, rounds) for path in write_sounds(folder)]
        pictures = [pictures_row(path, rounds) for path in write_videos(folder)]
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    header = ["sound", "plain loop, ms", "mmat, ms", "times as long", "tensorflow-io, ms"]
    print("\n" + tabulate(sounds, header, stralign="right", disable_numparse=True))
    header = ["pictures", "every picture, ms", "mmat, ms", "times as fast"]
    print("\n" + tabulate(pictures, header, stralign="right", disable_numparse=True))


def write_sounds(folder: pathlib.Path) -> list[pathlib.Path]:
    """Write a tone that wanders, in noise."""
    seconds = np.arange(SECONDS * RATE_HZ) / RATE_HZ
    tone = np.sin(2 * np.pi * (300 * seconds + 200 * np.sin(seconds)))
    noise = np.random.default_rng(0).standard_normal((len(seconds), 2))
    sound = (0.3 * tone[:, None] + 0.02 * noise).astype(np.float32)
    paths = [folder / name for name in ("a.wav", "a.flac", "a.ogg", "a.mp3")]
    for path in paths:
        with soundfile.SoundFile(path, "w", RATE_HZ, 2) as file:
            for block in np.split(sound, SECONDS):  # libvorbis overflows its stack on longer ones
                file.write(block)
    with av.open(str(folder / "a.mp4"), "w") as out:
        track = out.add_stream("aac", rate=RATE_HZ, layout="stereo")
        for begin in range(0, len(sound), 1024):
            part = np.ascontiguousarray(sound[begin : begin + 1024].T)
            frame = av.AudioFrame.from_ndarray(part, format="fltp", layout="stereo")
            frame.rate, frame.pts, frame.time_base = RATE_HZ, begin, fractions.Fraction(1, RATE_HZ)
            out.mux(track.encode(frame))
        out.mux(track.encode(None))
    return [*paths, folder / "a.mp4"]


def write_videos(folder: pathlib.Path) -> list[pathlib.Path]:
    """Write a scene of two layers that move against each other, with a camera's grain."""
    rng = np.random.default_rng(0)
    layers = [rectangles(rng, 600) for _ in range(2)]
    grain = rng.normal(0, 3, (8, SIZE[1], SIZE[0], 1)).astype(np.float32)
    mask = (np.hypot(*np.mgrid[-360:360, -640:640]) < 300)[..., None]
    paths = [folder / f"keyframe every {interval}.mp4" for interval in KEYFRAME_INTERVALS]
    outs = [av.open(str(path), "w") for path in paths]
    tracks = []
    for out, interval in zip(outs, KEYFRAME_INTERVALS, strict=True):
        track = out.add_stream("libx264", rate=FPS, options={"g": str(interval)})
        (track.width, track.height), track.pix_fmt, track.bit_rate = SIZE, "yuv420p", 2_500_000
        tracks.append(track)
    for number in range(SECONDS * FPS):
        x, y = 2 * number, int(60 + 50 * np.sin(number / 15))
        back = layers[0][y : y + SIZE[1], x : x + SIZE[0]]
        front = layers[1][120 - y : 120 - y + SIZE[1], 520 - x : 520 - x + SIZE[0]]
        picture = np.where(mask, front, back) + grain[number % 8]
        frame = av.VideoFrame.from_ndarray(picture.clip(0, 255).astype(np.uint8), format="rgb24")
        frame.pts, frame.time_base = number, fractions.Fraction(1, FPS)
        for out, track in zip(outs, tracks, strict=True):
            out.mux(track.encode(frame))
    for out, track in zip(outs, tracks, strict=True):
        out.mux(track.encode(None))
        out.close()
    return paths


def rectangles(rng: np.random.Generator, n: int) -> np.ndarray:
    """Return a wide picture of rectangles over each other, float32 (height, width, 3)."""
    picture = np.full((SIZE[1] + 130, SIZE[0] + 540, 3), 128, np.float32)
    for _ in range(n):
        y, x = rng.integers(0, picture.shape[0]), rng.integers(0, picture.shape[1])
        height, width = rng.integers(10, 120, 2)
        picture[y : y + height, x : x + width] = rng.integers(0, 256, 3)
    return picture


def sound_row(path: pathlib.Path, rounds: int) -> list[str]:
    readers = [plain_container if path.suffix == ".mp4" else plain_file, read_audio]
    try:
        read_audio(path, reader="tfio")  # what is made once for each rate is made here
        readers.append(lambda path: read_audio(path, reader="tfio"))
    except InputError:
        pass
    times = interleaved(readers, path, rounds)
    ratio = statistics.median(times[1]) / statistics.median(times[0])
    cells = [spread(each) for each in times]
    return [path.name, *cells[:2], f"{ratio:.2f}", *(cells[2:] or ["-"])]


def pictures_row(path: pathlib.Path, rounds: int) -> list[str]:
    times = interleaved([every_picture, read_frames], path, rounds)
    ratio = statistics.median(times[0]) / statistics.median(times[1])
    return [path.stem, *(spread(each) for each in times), f"{ratio:.1f}"]


def plain_file(path: pathlib.Path) -> np.ndarray:
    samples, rate = soundfile.read(path, dtype="float32")
    return soxr.resample(samples.mean(axis=1), rate, 16000)


def plain_container(path: pathlib.Path) -> np.ndarray:
    with av.open(str(path)) as container:
        parts = [frame.to_ndarray().mean(axis=0) for frame in container.decode(audio=0)]
    return soxr.resample(np.concatenate(parts), RATE_HZ, 16000)


def every_picture(path: pathlib.Path) -> np.ndarray:
    wanted = {round((i + 0.5) * SECONDS * FPS / N_FRAMES) for i in range(N_FRAMES)}
    with av.open(str(path)) as container:
        container.streams.video[0].codec_context.thread_count = 1
        frames = enumerate(container.decode(video=0))
        return np.stack([scaled(frame) for number, frame in frames if number in wanted])


def scaled(frame) -> np.ndarray:
    return frame.to_ndarray(format="rgb24", width=SHOWN_SIZE[0], height=SHOWN_SIZE[1])


def interleaved(readers: list, path: pathlib.Path, rounds: int) -> list[list[float]]:
    """Return the milliseconds of each reader's runs, one of each in turn; one is not counted."""
    times = [[] for _ in readers]
    for _ in range(rounds + 1):
        for reader, its_times in zip(readers, times, strict=True):
            begun = time.process_time()
            reader(path)
            its_times.append((time.process_time() - begun) * 1000)
    return [its_times[1:] for its_times in times]


def spread(times: list[float]) -> str:
    return f"{statistics.median(times):.1f} ({min(times):.1f} to {max(times):.1f})"


if __name__ == "__main__":
    main()
