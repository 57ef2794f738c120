"""How many clips a second `mmat prepare` makes, and how much memory it holds at its peak.

    python benchmarks/prepare.py                      100 and 1,000 clips, about a minute
    python benchmarks/prepare.py --clips 1000 20000   memory must not grow: 7 GB of disk
    python benchmarks/prepare.py --image-model efficientnet_lite0

The clips are 10 s ranges of a few files that the script writes: wav, flac and ogg, 44.1 kHz, two
channels; with --image-model one movie, 720p H.264 (a keyframe every 2 s) with AAC. Peak memory is
that of the command and its workers together, sampled ten times a second; each size is one run. The
seconds are those of the whole command, in which Python and TensorFlow start for some of them.
"""

import argparse
import csv
import os
import pathlib
import platform
import shutil
import subprocess
import sys
import tempfile
import time

import av
import numpy as np
import soundfile
from tabulate import tabulate

FILE_SECONDS, CLIP_SECONDS, RATE_HZ = 120, 10, 44100
FORMATS = ("wav", "flac", "ogg")
MOVIE_SECONDS, FPS, KEYFRAME_EVERY = 40, 25, 50
BLOCK_SECONDS = 10  # libvorbis overflows its stack on longer blocks


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=int, nargs="+", default=[100, 1000])
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--image-model", default="none")
    parser.add_argument("--folder", help="where to work (default: a temporary folder)")
    arguments = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        folder = pathlib.Path(folder)
        (folder / "media").mkdir()
        if arguments.image_model == "none":
            write_sounds(folder / "media")
            files, file_seconds = [f"a.{suffix}" for suffix in FORMATS], FILE_SECONDS
        else:
            write_movie(folder / "media" / "a.mp4")
            files, file_seconds = ["a.mp4"], MOVIE_SECONDS
        for n_clips in arguments.clips:
            write_list(folder / "list.csv", n_clips, files, file_seconds)
            seconds, peak_bytes = measured(folder, arguments)
            size_bytes = sum(path.stat().st_size for path in (folder / "shards").iterdir())
            shutil.rmtree(folder / "shards")
            speed = [f"{n_clips:,}", f"{seconds:.1f}", f"{n_clips / seconds:.1f}"]
            rows.append([*speed, f"{peak_bytes / 1e6:.0f}", f"{size_bytes / 1e6:.0f}"])
    print(f"{machine()}, {arguments.workers} workers, image model {arguments.image_model}")
    header = ["clips", "seconds", "clips a second", "peak memory, MB", "shards, MB"]
    print(tabulate(rows, header, stralign="right", disable_numparse=True))


def write_sounds(folder: pathlib.Path) -> None:
    """Write one file of each format: a tone that wanders, in noise."""
    rng = np.random.default_rng(0)
    for suffix in FORMATS:
        with soundfile.SoundFile(folder / f"a.{suffix}", "w", RATE_HZ, 2) as file:
            for block in range(FILE_SECONDS // BLOCK_SECONDS):
                times = np.arange(BLOCK_SECONDS * RATE_HZ) / RATE_HZ
                tone = 0.3 * np.sin(2 * np.pi * (300 + 50 * block) * times)
                file.write(tone[:, None] + rng.normal(0, 0.05, (len(times), 2)))


def write_movie(path: pathlib.Path) -> None:
    """Write coloured tiles that drift, with noise to hear."""
    rng = np.random.default_rng(0)
    tiles = np.kron(rng.integers(0, 256, (45, 80, 3), np.uint8), np.ones((16, 16, 1), np.uint8))
    with av.open(str(path), "w") as out:
        options = {"g": str(KEYFRAME_EVERY), "preset": "veryfast"}
        video = out.add_stream("libx264", rate=FPS, options=options)
        video.height, video.width, video.pix_fmt = *tiles.shape[:2], "yuv420p"
        audio = out.add_stream("aac", rate=RATE_HZ, layout="stereo")
        for number in range(MOVIE_SECONDS * FPS):
            picture = np.ascontiguousarray(np.roll(tiles, 3 * number, axis=1))
            out.mux(video.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        sound = rng.normal(0, 0.1, (2, MOVIE_SECONDS * RATE_HZ)).astype(np.float32)
        frame = av.AudioFrame.from_ndarray(sound, format="fltp", layout="stereo")
        frame.sample_rate = RATE_HZ
        out.mux(audio.encode(frame))
        out.mux([*video.encode(None), *audio.encode(None)])


def write_list(path: pathlib.Path, n_clips: int, files: list[str], file_seconds: float) -> None:
    with open(path, "w", newline="") as file:
        table = csv.writer(file)
        table.writerow(("id", "file", "start_seconds", "end_seconds", "labels"))
        for i in range(n_clips):
            start = i * 0.37 % (file_seconds - CLIP_SECONDS)
            name = files[i % len(files)]
            table.writerow((f"clip {i}", name, f"{start:.2f}", f"{start + CLIP_SECONDS:.2f}", "a"))


def measured(folder: pathlib.Path, arguments: argparse.Namespace) -> tuple[float, int]:
    """Run the command once; return its seconds and its peak memory in bytes."""
    words = ["prepare", folder / "list.csv", "--media", folder / "media"]
    words += ["--out", folder / "shards", "--workers", arguments.workers]
    words += ["--image-model", arguments.image_model]
    began, peak = time.perf_counter(), 0
    command = [sys.executable, "-m", "mmat", *map(str, words)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        while process.poll() is None:
            peak = max(peak, resident_bytes(process.pid))
            time.sleep(0.1)
    if process.returncode:
        raise SystemExit(f"mmat prepare ended with status {process.returncode}")
    return time.perf_counter() - began, peak


def resident_bytes(pid: int) -> int:
    """Return the memory of a process and all that it started."""
    total = 0
    try:
        pages = int(pathlib.Path(f"/proc/{pid}/statm").read_text().split()[1])
        total = pages * os.sysconf("SC_PAGE_SIZE")
        for thread in pathlib.Path(f"/proc/{pid}/task").iterdir():
            children = (thread / "children").read_text().split()
            total += sum(resident_bytes(int(child)) for child in children)
    except (FileNotFoundError, ProcessLookupError):
        pass  # it has ended
    return total


def machine() -> str:
    lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.partition(": ")[2] for line in lines if line.startswith("model name")]
    return f"{len(os.sched_getaffinity(0))} cores, {names[0] if names else platform.machine()}"


if __name__ == "__main__":
    main()
