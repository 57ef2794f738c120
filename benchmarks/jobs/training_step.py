"""A training step from 10 s waveforms: forwards, backwards and Adam, against PyTorch's.

The batch of 4 shows first what is too slow for the larger ones, and for the larger net.
"""

from collections.abc import Iterable

from benchmarks.contest import Contest, Pair
from benchmarks.place import Contests, Place

BATCHES = {"crnn": (4, 32, 100), "talnet": (32,)}
QUICK_BATCHES = (1, 2)
NETS = {"crnn": "CRNN", "talnet": "TALNet, 9.98 M"}
DTYPES = ("float32", "bfloat16")
SIDES = {
    "mmat": "benchmarks.ours.networks:training_step",
    "PyTorch": "benchmarks.peers.torch_runs:training_step",
}
# How many times faster we mean to be than PyTorch in each precision.
AIMS = {"float32": 3.0, "bfloat16": 1.0}


def contests(place: Place) -> Contests:
    for net, title in NETS.items():
        for size in QUICK_BATCHES if place.quick else BATCHES[net]:
            runs = {}
            workers = {"mmat": place.ours(), "PyTorch": place.worker("torch")}
            for side, function in SIDES.items():
                for dtype in DTYPES:
                    arguments = {"net": net, "batch_size": size, "dtype": dtype}
                    run = workers[side].run(function, **arguments)
                    runs[f"{side}, {dtype}"] = run
            costs = place.ours().ask("benchmarks.ours.networks:costs", net=net, batch_size=size)
            multiply_adds, job = costs["training"], f"a training step, {title}, batch {size}"
            able = place.affordable(job, runs, multiply_adds)
            readings = yield Contest(
                job,
                able,
                pairs(place, able, net, size, multiply_adds),
                rounds=7,
                budget_seconds=15.0,
            )
            place.learn(readings, multiply_adds)
        place.close_workers()  # a step of the larger net takes gigabytes


def pairs(place: Place, names: Iterable[str], net: str, size: int, multiply_adds: float):
    """Return ours against PyTorch's; the smallest batch is there to tell what is affordable."""
    names, aimed = list(names), net == "crnn" and size != BATCHES[net][0]
    return [
        Pair(
            ours,
            peer,
            aim=AIMS[dtype_of(peer)] if aimed else None,
            floor_seconds=place.rates.floor_seconds(multiply_adds, dtype=dtype_of(ours)),
        )
        for ours in names
        for peer in names
        if ours.startswith("mmat") and not peer.startswith("mmat")
    ]


def dtype_of(name: str) -> str:
    return next(dtype for dtype in DTYPES if dtype in name)
