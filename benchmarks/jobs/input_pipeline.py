"""Batches of 32 clips of 10 s from shards in the system's cache, against the training step.

And against 2,000 clips a second: a training step on a GPU takes more than that.
"""

from benchmarks.contest import Contest, Pair, Reading
from benchmarks.place import Contests, Place

PIPELINES = (
    "plain, sound",
    "plain, sound and pictures",
    "a corpus, sound",
    "a corpus, sound and pictures",
    "balanced, sound",
    "balanced, sound and pictures",
)
AIM = 3.0
CLIPS_A_SECOND = 2000
BATCH_SIZE, RECORD_BYTES = 32, 2 * 160_000 + 2 * 8 * 1000


def contests(place: Place) -> Contests:
    size = {"n_clips": 80 if place.quick else 400}
    reader, folder = place.ours("pipelines"), str(place.folder / "shards")
    reader.ask("benchmarks.ours.pipelines:write_shards", folder=folder, **size)
    runs = {}
    for pipeline in PIPELINES:
        arguments = {"folder": folder, "pipeline": pipeline}
        arguments["seconds"] = 0.2 if place.quick else 2.0
        runs[pipeline] = reader.run("benchmarks.ours.pipelines:batch_seconds", **arguments)
    # The faster step is the one to keep up with.
    dtype = place.ours().ask("benchmarks.ours.full_training:chosen_precision")
    arguments = {"net": "crnn", "batch_size": BATCH_SIZE, "dtype": dtype}
    step = f"training step, {dtype}"
    runs[step] = place.ours().run("benchmarks.ours.networks:training_step", **arguments)
    # Read as they lie in the shards, written as float32.
    n_bytes = BATCH_SIZE * (RECORD_BYTES + 4 * 160_000)
    floor = place.rates.floor_seconds(n_bytes=n_bytes)
    # Each is a job of its own: the aim is that none is the bottleneck.
    pairs = [
        Pair(name, step, AIM, floor_seconds=floor, job=f"input pipeline, {name}")
        for name in PIPELINES
    ]
    # Times better is how many times 2,000 clips a second there are.
    rate = f"{CLIPS_A_SECOND:,} clips a second"
    runs[rate] = lambda: Reading(BATCH_SIZE / CLIPS_A_SECOND)
    pairs += [
        Pair(name, rate, 1.0, floor_seconds=floor, job=f"input pipeline, {name}, clips a second")
        for name in PIPELINES
    ]
    yield Contest("input pipeline, batch 32", runs, pairs, rounds=5, budget_seconds=15.0)
