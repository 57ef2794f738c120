"""Thresholds for micro F1: vectorised, both starts and all passes, against one pass of a loop.

The loop is the textbook one: for each class each score is tried as its threshold, and each trial
counts the class's hits over all clips. It is run on as many classes as fit in a few seconds, and
its time is multiplied up to all of them.
"""

from benchmarks.contest import Contest, Pair
from benchmarks.place import Contests, Place

SIZES = ((17, 1_000), (17, 20_000), (527, 1_000), (527, 5_000), (527, 20_000))
QUICK_SIZES = ((17, 300),)
OURS, LOOP = "vectorised, to its end", "one pass of the textbook loop"


def contests(place: Place) -> Contests:
    for n_classes, n_clips in QUICK_SIZES if place.quick else SIZES:
        size = {"n_classes": n_classes, "n_clips": n_clips}
        runs = {
            OURS: place.ours().run("benchmarks.ours.thresholds:tuned", **size),
            LOOP: place.worker("loop").run("benchmarks.peers.plain_thresholds:looped", **size),
        }
        n_bytes = n_classes * n_clips * 5  # a float32 and a truth each, read once
        floor = place.rates.floor_seconds(n_bytes=n_bytes)
        job = f"thresholds, {n_classes} classes, {n_clips:,} clips"
        yield Contest(job, runs, [Pair(OURS, LOOP, floor_seconds=floor)], rounds=3, warm=False)
