"""Where the time of one of our graphs goes, by TensorFlow's profiler.

    python -m benchmarks.profile training-step
    python -m benchmarks.profile tagging --batch-size 1

Prints the milliseconds of one run by kind of operation, the longest first. What runs side by side
counts in full, so that the column's sum may be more than the whole.
"""

import argparse
import collections
import os
import pathlib
import re
import tempfile
from collections.abc import Callable, Mapping

import tabulate

from mmat.startup import ENVIRONMENT

RUNS, SHOWN = 3, 15
# How the profiler names a graph that is run, and an operation in it.
GRAPH, OPERATION = "EagerLocalExecute: __inference", re.compile(r"[^:]+:(\w+)")
WORKS = {"log-mel": 16, "tagging": 16, "training-step": 32}  # with their usual batch


def main() -> None:
    parser = argparse.ArgumentParser("benchmarks.profile", description=__doc__.splitlines()[0])
    parser.add_argument("work", choices=WORKS)
    parser.add_argument("--batch-size", type=int, metavar="CLIPS")
    arguments = parser.parse_args()
    os.environ.update(ENVIRONMENT | os.environ)
    size = arguments.batch_size or WORKS[arguments.work]
    whole, by_kind = profiled(made(arguments.work, size))
    print(f"{arguments.work}, batch {size}: {whole:.0f} ms\n")
    lines = [(kind, f"{ms:.1f}") for kind, ms in by_kind.most_common(SHOWN)]
    print(tabulate.tabulate(lines, ["operation", "ms"], "github", disable_numparse=True))


def made(work: str, size: int) -> Callable:
    from benchmarks.ours import networks

    if work == "log-mel":
        return networks.log_mel_graph(size)
    if work == "tagging":
        return networks.by_saved_model(size, "float32")
    return networks.training_step("crnn", size, "float32")


def profiled(run: Callable) -> tuple[float, collections.Counter]:
    """Return the milliseconds of a run, and those of each kind of operation in it."""
    import tensorflow as tf

    for _ in range(2):
        run()
    with tempfile.TemporaryDirectory() as folder:
        with tf.profiler.experimental.Profile(folder):
            for _ in range(RUNS):
                run()
        (path,) = pathlib.Path(folder).rglob("*.xplane.pb")
        by_name = milliseconds(path.read_bytes())
    whole = sum(ms for name, ms in by_name.items() if name.startswith(GRAPH))
    by_kind = collections.Counter()
    for name, ms in by_name.items():
        if operation := OPERATION.fullmatch(name):
            by_kind[operation[1]] += ms / RUNS
    return whole / RUNS, by_kind


def milliseconds(profile: bytes) -> Mapping[str, float]:
    """Return how long each event of the host's processors took in all, by its name."""
    from tensorflow.tsl.profiler.protobuf.xplane_pb2 import XSpace

    planes = [x for x in XSpace.FromString(profile).planes if x.name == "/host:CPU"]
    total = collections.Counter()
    for plane in planes:
        for line in plane.lines:
            for event in line.events:
                total[plane.event_metadata[event.metadata_id].name] += event.duration_ps / 1e9
    return total


if __name__ == "__main__":
    main()
