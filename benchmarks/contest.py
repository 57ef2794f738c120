"""What is compared: contenders that run in turn, and the rows of results that pairs make."""

import dataclasses
import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

SECONDS, MEGABYTES = "seconds", "megabytes"


class Reading(NamedTuple):
    """What one run of a contender took; memory only where it was measured."""

    seconds: float
    megabytes: float | None = None


class Seconds(float):
    """What a run in a worker process returns if not its whole time counts."""


Run = Callable[[], Reading]
Readings = Mapping[str, Sequence[Reading]]


class ContenderError(Exception):
    """A contender cannot be run here; the message is one line that says why."""


@dataclasses.dataclass(frozen=True)
class Pair:
    """Two contenders of a contest side by side, by their names: a row of the results.

    aim: how many times better ours should be; None without one. measured: SECONDS or MEGABYTES.
    ours_times, peer_times: what a reading is multiplied by, where a part of the work was run.
    floor_seconds: what the machine needs for ours at the least, by the direct way to multiply.
    job: another name than the contest's.

    >>> Pair("mmat", "a loop", aim=3.0).measured
    'seconds'
    """

    ours: str
    peer: str
    aim: float | None = None
    measured: str = SECONDS
    ours_times: float = 1.0
    peer_times: float = 1.0
    floor_seconds: float | None = None
    job: str = ""


@dataclasses.dataclass(frozen=True)
class Contest:
    """Contenders of one job and the pairs to compare.

    runs: name to a function that runs the contender once. rounds: how often each runs at most,
    interleaved. budget_seconds: a contender that has taken so long runs no more. warm: whether the
    first run of each is left out.
    """

    job: str
    runs: Mapping[str, Run]
    pairs: Sequence[Pair]
    rounds: int = 9
    budget_seconds: float = 10.0
    warm: bool = True


def spread(values: Sequence[float]) -> dict[str, float]:
    """Return the least, the median and the most of some values.

    >>> spread([3.0, 1.0, 2.0])
    {'min': 1.0, 'median': 2.0, 'max': 3.0}
    """
    low, middle, high = min(values), statistics.median(values), max(values)
    return {"min": rounded(low), "median": rounded(middle), "max": rounded(high)}


def rounded(value: float, digits: int = 4) -> float:
    """Return a number with so many significant digits; what is finer is noise.

    >>> rounded(0.00123456), rounded(98765.4)
    (0.001235, 98770.0)
    """
    if not value or not math.isfinite(value):
        return value
    return round(value, digits - 1 - math.floor(math.log10(abs(value))))


def rows(contest: Contest, readings: Readings) -> list[dict]:
    """Return a row of the results for each pair whose contenders both have readings."""
    there = [pair for pair in contest.pairs if readings.get(pair.ours) and readings.get(pair.peer)]
    return [row(pair.job or contest.job, pair, readings) for pair in there]


def row(job: str, pair: Pair, readings: Readings) -> dict:
    """Return a row of the results.

    ratio: how many times less ours takes, by the medians; above 1 ours is better.

    >>> pair = Pair("mmat", "a loop", aim=2.0)
    >>> row("job", pair, {"mmat": [Reading(1.0)], "a loop": [Reading(2.5)]})["ratio"]
    2.5
    """
    sides = {"ours": (pair.ours, pair.ours_times), "peer": (pair.peer, pair.peer_times)}
    whole = {"job": job, "ours": pair.ours, "peer": pair.peer}
    medians = {}
    for side, (name, times) in sides.items():
        own = readings[name]
        in_seconds = [times * reading.seconds for reading in own]
        whole[f"{side}_seconds"] = spread(in_seconds)
        medians[side] = statistics.median(in_seconds)
        if pair.measured == MEGABYTES:
            # Memory is held, not spent: a part of the work holds what the whole would.
            whole[f"{side}_megabytes"] = spread([reading.megabytes for reading in own])
            medians[side] = statistics.median(reading.megabytes for reading in own)
    whole["ratio"] = rounded(medians["peer"] / medians["ours"])
    whole["aim"] = pair.aim
    whole["floor_seconds"] = None if pair.floor_seconds is None else rounded(pair.floor_seconds)
    return whole
