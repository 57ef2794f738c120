"""`mmat prepare`: the local pool and Beam's DirectRunner against a plain loop in one process.

Clips are 10 s ranges of files of two minutes, wav, flac and ogg, 44.1 kHz, two channels. The
seconds are those of whole commands, in which Python and TensorFlow start.
"""

import csv
import functools
import pathlib
import shutil
import statistics
import sys
from collections.abc import Sequence

from benchmarks.contest import MEGABYTES, Contest, Pair, Reading, Readings, Run
from benchmarks.jobs.flat import FLAT
from benchmarks.made_media import write_sound
from benchmarks.place import Contests, Place
from benchmarks.processes import ROOT, command, mmat

FILE_SECONDS, CLIP_SECONDS = 120, 10
SUFFIXES = ("wav", "flac", "ogg")
SIZES, QUICK_SIZES = (100, 1_000, 10_000), (5, 10, 20)
CLIP_BYTES = 4 * CLIP_SECONDS * (2 * 44_100 + 16_000)
POOL, BEAM, LOOP = "local pool", "Beam DirectRunner", "a plain loop"


def contests(place: Place) -> Contests:
    media, sizes = place.folder / "media", QUICK_SIZES if place.quick else SIZES
    media.mkdir()
    for suffix in SUFFIXES:
        write_sound(media / f"a.{suffix}", FILE_SECONDS)
    large = sizes[-1]
    runs, pairs = {}, []
    for n in sizes[:-1]:
        runs |= both_ways(place, media, n) | {title(LOOP, n): looped(place, media, n)}
        pairs += against_the_loop(place, n)
    readings = yield Contest("prepare", runs, pairs, rounds=2, budget_seconds=20.0, warm=False)

    runs = both_ways(place, media, large)
    runs[title(LOOP, large)] = functools.partial(projected, readings, sizes)
    pairs = against_the_loop(place, large)
    for way in (POOL, BEAM):
        own = title(way, sizes[0])
        runs[own] = functools.partial(statistics.median_high, readings[own])
        job = f"prepare, memory from {sizes[0]:,} to {large:,} clips"
        pairs.append(Pair(title(way, large), own, FLAT, MEGABYTES, job=job))
    yield Contest("prepare, many", runs, pairs, rounds=1, warm=False)


def both_ways(place: Place, media: pathlib.Path, n_clips: int) -> dict[str, Run]:
    clips = write_list(place.folder / f"{n_clips}.csv", n_clips)
    beam = prepared(clips, media, "--runner=DirectRunner")
    return {title(POOL, n_clips): prepared(clips, media), title(BEAM, n_clips): beam}


def looped(place: Place, media: pathlib.Path, n_clips: int) -> Run:
    clips = place.folder / f"{n_clips}.csv"
    script = ROOT / "benchmarks" / "peers" / "plain_prepare.py"
    return into_folder(clips, [sys.executable, script, clips, media])


def projected(readings: Readings, sizes: Sequence[int]) -> Reading:
    """Return what the loop takes for the largest size, on the line through the two others.

    >>> loop = {title(LOOP, 5): [Reading(3.0)], title(LOOP, 10): [Reading(5.0)]}
    >>> projected(loop, (5, 10, 20)).seconds
    9.0
    """
    first, second, last = sizes
    few, more = (
        statistics.median(reading.seconds for reading in readings[title(LOOP, n)])
        for n in (first, second)
    )
    return Reading(more + (more - few) * (last - second) / (second - first))


def against_the_loop(place: Place, n_clips: int) -> list[Pair]:
    floor = place.rates.floor_seconds(n_bytes=n_clips * CLIP_BYTES)
    own = {"floor_seconds": floor, "job": f"prepare, {n_clips:,} clips"}
    return [Pair(title(way, n_clips), title(LOOP, n_clips), **own) for way in (POOL, BEAM)]


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
