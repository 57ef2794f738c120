"""The full DCASE 2017 training, projected from a few of its steps. None of it is run."""

from benchmarks.contest import Contest, Pair, Reading
from benchmarks.place import Contests, Place

SCHEDULES = {
    "the authors' 50 checkpoints": 50,
    "their example's 25": 25,
    "ours, 12 checkpoints": 12,
}
LIMIT, LIMIT_HOURS = "6 hours", 6


def contests(place: Place) -> Contests:
    worker, folder = place.ours(), str(place.folder / "shards")
    worker.ask("benchmarks.ours.pipelines:write_shards", folder=folder, n_clips=200)
    dtype = worker.ask("benchmarks.ours.full_training:chosen_precision")
    costs = worker.ask("benchmarks.ours.networks:costs", net="crnn", batch_size=1)
    arguments = {"folder": folder, "dtype": dtype, "batch_size": 4 if place.quick else 100}
    run = worker.run("benchmarks.ours.full_training:clip_seconds", **arguments)
    ours, pairs = f"--precision auto: {dtype}", []
    for schedule, checkpoints in SCHEDULES.items():
        clips = worker.ask("benchmarks.ours.full_training:clips", checkpoints=checkpoints)
        floor = place.rates.floor_seconds(clips * costs["training"], dtype=dtype)
        job = f"full training, {schedule}, {clips:,} clips"
        pairs.append(Pair(ours, LIMIT, 1.0, ours_times=clips, floor_seconds=floor, job=job))
    runs = {ours: run, LIMIT: lambda: Reading(LIMIT_HOURS * 3600.0)}
    yield Contest("full training", runs, pairs, rounds=3, budget_seconds=90.0, warm=False)
