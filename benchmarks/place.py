"""What a job is given to work with: a folder, worker processes, and the machine's rates."""

import contextlib
import dataclasses
import functools
import pathlib
import sys
import tempfile
from collections.abc import Generator, Iterator, Mapping

from benchmarks.contest import Contest, Reading, Readings, Run
from benchmarks.machine import Rates
from benchmarks.processes import Worker
from mmat.startup import ENVIRONMENT

# A processor that only imitates bfloat16 takes minutes for a step of 100 clips.
MOST_SECONDS = 40.0
PROJECTED = ", projected"

# A job yields its contests one by one, and is sent the readings of each.
Contests = Generator[Contest, Readings, None]


@dataclasses.dataclass
class Place:
    """Where a job works. quick: run everything, but small and once; for the harness's own sake."""

    folder: pathlib.Path
    quick: bool
    rates: Rates
    workers: dict[str, Worker] = dataclasses.field(default_factory=dict)
    notes: list[str] = dataclasses.field(default_factory=list)
    pace: dict[str, float] = dataclasses.field(default_factory=dict)

    def note(self, text: str) -> None:
        """Tell of what was left out; it stands in the results too."""
        text = text.replace(f"{self.folder}/", "")
        self.notes.append(text)
        print(text, file=sys.stderr, flush=True)

    def affordable(self, job: str, runs: Mapping[str, Run], work: float) -> dict[str, Run]:
        """Return the runs; for one that would take too long, what it would take, as a reading.

        That is learnt from smaller ones, and noted; the contender is called projected. work: how
        much there is to do, in the unit of `learn`.
        """
        able = {}
        for name, run in runs.items():
            expected = work * self.pace.get(name, 0.0)
            if expected > MOST_SECONDS:
                self.note(f"{job}, {name}: projected from less work, not run: {expected:.0f} s")
                able[f"{name}{PROJECTED}"] = functools.partial(Reading, expected)
            else:
                able[name] = run
        return able

    def learn(self, readings: Readings, work: float) -> None:
        """Keep how long each contender took for so much work."""
        for name, own in readings.items():
            if own and not name.endswith(PROJECTED):
                self.pace[name] = min(reading.seconds for reading in own) / work

    def worker(self, name: str, variables: Mapping[str, str] = {}) -> Worker:
        """Return the worker process of that name, started at its first use.

        variables: of its environment, besides the usual ones.
        """
        if name not in self.workers:
            self.workers[name] = Worker(variables)
        return self.workers[name]

    def ours(self, name: str = "mmat") -> Worker:
        """Return a worker process in which TensorFlow finds what mmat's commands tell it."""
        return self.worker(name, ENVIRONMENT)

    def close_workers(self) -> None:
        """End the worker processes; what they made is gone."""
        while self.workers:
            self.workers.popitem()[1].close()


@contextlib.contextmanager
def work_place(quick: bool, rates: Rates) -> Iterator[Place]:
    """Open a place in a temporary folder, and end its processes afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        place = Place(pathlib.Path(folder), quick, rates)
        try:
            yield place
        finally:
            place.close_workers()
