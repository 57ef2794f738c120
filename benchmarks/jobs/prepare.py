"""`mmat prepare`: the local pool and Beam's DirectRunner against a plain loop in one process.

Clips are 10 s ranges of files of two minutes, wav, flac and ogg, 44.1 kHz, two channels. The
seconds are those of whole commands, in which Python and TensorFlow start.
"""

import csv
import pathlib
import shutil
import sys
from collections.abc import Sequence

from benchmarks.contest import MEGABYTES, Contest, Pair, Reading, Run
from benchmarks.jobs.flat import FLAT
from benchmarks.made_media import write_sound
from benchmarks.place import Contests, Place
from benchmarks.processes import ROOT, command, mmat

FILE_SECONDS, CLIP_SECONDS = 120, 10
SUFFIXES = ("wav", "flac", "ogg")
SIZES, QUICK_SIZES = (100, 1_000, 10_000), (5, 10, 20)
# The loop takes as long for the next thousand clips as for the first.
MOST_LOOPED = 1_000
CLIP_BYTES = 4 * CLIP_SECONDS * (2 * 44_100 + 16_000)
POOL, BEAM, LOOP = "local pool", "Beam DirectRunner", "a plain loop"


def contests(place: Place) -> Contests:
    media, sizes = place.folder / "media", QUICK_SIZES if place.quick else SIZES
    media.mkdir()
    for suffix in SUFFIXES:
        write_sound(media / f"a.{suffix}", FILE_SECONDS)
    runs, pairs = {}, []
    for n in sizes:
        clips = write_list(place.folder / f"{n}.csv", n)
        looped = min(n, MOST_LOOPED)
        runs |= {
            title(POOL, n): prepared(clips, media),
            title(BEAM, n): prepared(clips, media, "--runner=DirectRunner"),
        }
        if n == looped:
            script = ROOT / "benchmarks" / "peers" / "plain_prepare.py"
            runs[title(LOOP, n)] = into_folder(clips, [sys.executable, script, clips, media])
        for ours in (POOL, BEAM):
            floor = place.rates.floor_seconds(n_bytes=n * CLIP_BYTES)
            job, times = f"prepare, {n:,} clips", {"peer_times": n / looped}
            own, other = title(ours, n), title(LOOP, looped)
            pairs.append(Pair(own, other, **times, floor_seconds=floor, job=job))
    small, large = sizes[0], sizes[-1]
    for ours in (POOL, BEAM):
        job = f"prepare, memory from {small:,} to {large:,} clips"
        pairs.append(Pair(title(ours, large), title(ours, small), FLAT, MEGABYTES, job=job))
    yield Contest("prepare", runs, pairs, rounds=3, budget_seconds=20.0, warm=False)


def title(way: str, n: int) -> str:
    return f"{way}, {n:,} clips"


def write_list(path: pathlib.Path, n_clips: int) -> pathlib.Path:
    with open(path, "w", newline="") as file:
        table = csv.writer(file)
        table.writerow(("id", "file", "start_seconds", "end_seconds", "labels"))
        for i in range(n_clips):
            start, name = i * 0.37 % (FILE_SECONDS - CLIP_SECONDS), f"a.{SUFFIXES[i % 3]}"
            table.writerow((f"clip {i}", name, f"{start:.2f}", f"{start + CLIP_SECONDS:.2f}", "a"))
    return path


def prepared(clips: pathlib.Path, media: pathlib.Path, *options: str) -> Run:
    return into_folder(
        clips, mmat("prepare", clips, "--media", media, "--image-model", "none", *options, "--out")
    )


def into_folder(clips: pathlib.Path, words: Sequence) -> Run:
    """Return a run of a command whose last word is a folder that is not there yet."""
    shards = clips.with_suffix(".shards")
    run = command([*words, shards])

    def whole() -> Reading:
        try:
            return run()
        finally:
            shutil.rmtree(shards, ignore_errors=True)

    return whole
