"""What a job is given to work with: a folder, worker processes, and the machine's rates."""

import contextlib
import dataclasses
import pathlib
import sys
import tempfile
from collections.abc import Generator, Iterator, Mapping

from benchmarks.contest import Contest, Readings, Run
from benchmarks.machine import Rates
from benchmarks.processes import Worker

# A processor that only imitates bfloat16 takes minutes for a step of 100 clips.
MOST_SECONDS = 90.0

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

    def note(self, text: str) -> None:
        """Tell of what was left out; it stands in the results too."""
        text = text.replace(f"{self.folder}/", "")
        self.notes.append(text)
        print(text, file=sys.stderr, flush=True)

    def affordable(self, job: str, runs: Mapping[str, Run], readings: Readings, growth: float):
        """Return the runs of a larger job that will not take too long, by readings of a smaller.

        growth: how many times larger it is. What is left out is noted.
        """
        left = {}
        for name, run in runs.items():
            if name not in readings:
                left[name] = run
            elif readings[name]:  # else it failed before, which stands in the notes already
                expected = growth * min(reading.seconds for reading in readings[name])
                if expected > MOST_SECONDS:
                    self.note(f"{job}, {name}: left out: it would take about {expected:.0f} s")
                else:
                    left[name] = run
        return left

    def worker(self, name: str) -> Worker:
        """Return the worker process of that name, started when it is first asked for."""
        if name not in self.workers:
            self.workers[name] = Worker()
        return self.workers[name]

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
