"""Contenders run in turn: what else the machine does falls on all of them alike."""

import time
from collections.abc import Callable

from benchmarks.contest import ContenderError, Contest, Reading

# A first run this long is no mere warming up: it is not thrown away.
WARM_SECONDS = 60.0


def measure(contest: Contest, log: Callable[[str], None] = print) -> dict[str, list[Reading]]:
    """Run the contenders of a contest in turn, every second round in the opposite order.

    A contender that fails is logged and left out; every other has a reading at least.

    >>> contest = Contest("job", {"a": lambda: Reading(1.0)}, (), rounds=2, warm=False)
    >>> measure(contest)
    {'a': [Reading(seconds=1.0, megabytes=None), Reading(seconds=1.0, megabytes=None)]}
    """
    readings = {name: [] for name in contest.runs}
    spent = dict.fromkeys(contest.runs, 0.0)
    left = list(contest.runs)
    for number in range(contest.rounds + contest.warm):
        for name in left[:: -1 if number % 2 else 1]:
            if readings[name] and spent[name] >= contest.budget_seconds:
                continue
            began = time.perf_counter()
            try:
                reading = contest.runs[name]()
            except ContenderError as error:
                log(f"{contest.job}, {name}: left out: {error}")
                left.remove(name)
                readings[name].clear()
                continue
            took = time.perf_counter() - began
            spent[name] += took
            if contest.warm and number == 0 and took < WARM_SECONDS:
                spent[name] = 0.0
            else:
                readings[name].append(reading)
    return readings
