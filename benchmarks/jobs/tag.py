"""`mmat tag` on longer and longer files: seconds and memory of whole commands.

The peer is ours on 10 s, multiplied up: what starting costs is in it.
"""

from benchmarks.contest import MEGABYTES, Contest, Pair
from benchmarks.jobs.flat import FLAT
from benchmarks.made_media import write_sound
from benchmarks.place import Contests, Place
from benchmarks.processes import command, mmat

LENGTHS = {"10 s": 10, "10 min": 600, "3 h": 10_800}
QUICK_LENGTHS = {"10 s": 10, "20 s": 20}
HOP_SECONDS = 5  # windows of 10 s overlap by half


def contests(place: Place) -> Contests:
    worker = place.ours()
    folder = str(place.folder / "export")
    model = worker.ask("benchmarks.ours.networks:write_export", folder=folder)
    costs = worker.ask("benchmarks.ours.networks:costs", net="crnn", batch_size=1)
    lengths = QUICK_LENGTHS if place.quick else LENGTHS
    runs, pairs = {}, []
    for length, seconds in lengths.items():
        path = write_sound(place.folder / f"{seconds}.wav", seconds, rate_hz=16_000, channels=1)
        runs[length] = command(mmat("tag", path, "--model", model))
        if seconds == lengths["10 s"]:
            continue
        n_windows = max(1, seconds // HOP_SECONDS - 1)
        floor = place.rates.floor_seconds(n_windows * costs["tagging"], 2 * 16_000 * seconds)
        job, times = f"mmat tag, {length}", seconds / lengths["10 s"]
        pairs.append(Pair(length, "10 s", peer_times=times, floor_seconds=floor, job=job))
    longest = list(lengths)[-1]
    job = f"mmat tag, memory from 10 s to {longest}"
    pairs.append(Pair(longest, "10 s", FLAT, MEGABYTES, job=job))
    yield Contest("mmat tag", runs, pairs, rounds=2, budget_seconds=30.0)
