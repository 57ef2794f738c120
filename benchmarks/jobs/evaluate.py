"""`mmat evaluate`: does its memory grow with the clips?"""

from benchmarks.contest import MEGABYTES, Contest, Pair
from benchmarks.jobs.flat import FLAT
from benchmarks.place import Contests, Place
from benchmarks.processes import command, mmat

SIZES, QUICK_SIZES = (100, 1_000), (8, 16)


def contests(place: Place) -> Contests:
    worker, runs = place.ours(), {}
    model = worker.ask("benchmarks.ours.networks:write_bundle", folder=str(place.folder / "model"))
    costs = worker.ask("benchmarks.ours.networks:costs", net="crnn", batch_size=1)
    sizes = QUICK_SIZES if place.quick else SIZES
    for n in sizes:
        shards = str(place.folder / f"shards {n}")
        worker.ask("benchmarks.ours.pipelines:write_shards", folder=shards, n_clips=n, split="test")
        runs[f"{n:,} clips"] = command(mmat("evaluate", "--model", model, "--data", shards))
    small, large = runs
    floor = place.rates.floor_seconds(sizes[-1] * costs["tagging"])
    pairs = [
        Pair(
            large,
            small,
            peer_times=sizes[1] / sizes[0],
            floor_seconds=floor,
            job=f"mmat evaluate, {large}",
        ),
        Pair(large, small, FLAT, MEGABYTES, job=f"mmat evaluate, memory from {small} to {large}"),
    ]
    yield Contest("mmat evaluate", runs, pairs, rounds=1, warm=False)
