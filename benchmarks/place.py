"""What a job is given to work with: a folder, worker processes, and the machine's rates."""

import contextlib
import dataclasses
import pathlib
import tempfile
from collections.abc import Generator, Iterator

from benchmarks.contest import Contest, Readings
from benchmarks.machine import Rates
from benchmarks.processes import Worker

# A job yields its contests one by one, and is sent the readings of each.
Contests = Generator[Contest, Readings, None]


@dataclasses.dataclass
class Place:
    """Where a job works. quick: run everything, but small and once; for the harness's own sake."""

    folder: pathlib.Path
    quick: bool
    rates: Rates
    workers: dict[str, Worker] = dataclasses.field(default_factory=dict)

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
