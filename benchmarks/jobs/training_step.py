"""A training step from 10 s waveforms: forwards, backwards and Adam, against PyTorch's.

A processor that only imitates bfloat16 takes minutes for a step of 100 clips: where a step of the
smaller batch took too long, the larger is not run in that precision, nor the larger net.
"""

from benchmarks.contest import Contest, Pair
from benchmarks.place import Contests, Place

BATCHES = (32, 100)
NETS = {"crnn": "CRNN", "talnet": "TALNet, 9.98 M"}
DTYPES = ("float32", "bfloat16")
LONG_SECONDS = 20.0
# How many times faster we mean to be than PyTorch in each precision.
AIMS = {"float32": 3.0, "bfloat16": 1.0}


def contests(place: Place) -> Contests:
    too_slow = set()
    for net, title in NETS.items():
        for size in (4,) if place.quick else BATCHES:
            ours, torch = place.worker("tensorflow"), place.worker("torch")
            costs = ours.ask("benchmarks.ours.networks:costs", net=net, batch_size=size)
            sides = {}
            for dtype in DTYPES:
                arguments = {"net": net, "batch_size": size, "dtype": dtype}
                run = ours.run("benchmarks.ours.networks:training_step", **arguments)
                sides["mmat", dtype] = run
                run = torch.run("benchmarks.peers.torch_runs:training_step", **arguments)
                sides["PyTorch", dtype] = run
            runs = {name(*side): run for side, run in sides.items() if side not in too_slow}
            pairs = [
                Pair(
                    name("mmat", dtype),
                    name("PyTorch", peer_dtype),
                    aim=AIMS[peer_dtype] if net == "crnn" else None,
                    floor_seconds=place.rates.floor_seconds(costs["training"], dtype=dtype),
                )
                for dtype in DTYPES
                for peer_dtype in DTYPES
            ]
            job = f"a training step, {title}, batch {size}"
            readings = yield Contest(job, runs, pairs, rounds=7, budget_seconds=25.0)
            for side in sides:
                its = readings.get(name(*side))
                if its and its[0].seconds > LONG_SECONDS and side[1] == "bfloat16":
                    too_slow.add(side)


def name(side: str, dtype: str) -> str:
    return f"{side}, {dtype}"
