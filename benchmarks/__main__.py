"""Run the benchmarks: `make bench`, or a part of it.

python -m benchmarks                        all jobs; those that are finished are kept
python -m benchmarks --jobs log-mel,tagging --again
python -m benchmarks --quick                everything small and once, for the harness's sake
"""

import argparse
import dataclasses
import functools
import os
import pathlib
import sys
import time

from benchmarks.contest import ContenderError, rows
from benchmarks.figures import draw
from benchmarks.jobs import JOBS
from benchmarks.machine import Rates, as_rates, facts, measure_rates
from benchmarks.measuring import measure
from benchmarks.place import work_place
from benchmarks.processes import ROOT
from benchmarks.results import finished, joined, write_json
from benchmarks.tables import machine_line, table
from mmat.files import InputError

WORK = ROOT / "runs" / "bench"


def main() -> int:
    arguments = parsed()
    machine, done, rates = facts(), {}, functools.cache(measure_rates)
    for name in arguments.jobs:
        path = arguments.work / f"{name}.json"
        earlier = None if arguments.again else finished(path, machine)
        try:
            done[name] = earlier or run(name, arguments.quick, machine, rates())
        except (ContenderError, InputError) as error:
            print(f"{name}: failed: {error}", file=sys.stderr)
            continue
        write_json(path, done[name])
        print(
            f"\n{name}, {done[name]['seconds']} s\n\n{table(done[name]['results'])}\n", flush=True
        )
    # What earlier runs finished belongs to the results too.
    found = {name: finished(arguments.work / f"{name}.json", machine) for name in JOBS}
    jobs = [job for job in found.values() if job]
    if not jobs:
        return 1
    results = joined(machine, jobs)
    write_json(arguments.out, results)
    draw(results, arguments.out.parent)
    print(machine_line(results["machine"]), *results["notes"], f"wrote {arguments.out}", sep="\n")
    return int(len(done) < len(arguments.jobs))


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser("benchmarks", description=__doc__.splitlines()[0])
    names = ",".join(JOBS)
    parser.add_argument("--jobs", metavar="JOB,…", default=names, help=f"some of {names}")
    parser.add_argument("--again", action="store_true", help="also jobs that are finished")
    parser.add_argument("--quick", action="store_true", help="small and once: figures of no worth")
    parser.add_argument("--out", type=pathlib.Path, metavar="JSON", help="the file of results")
    arguments = parser.parse_args()
    arguments.jobs = arguments.jobs.split(",")
    if unknown := set(arguments.jobs) - set(JOBS):
        parser.error(f"no job {', '.join(sorted(unknown))}; there are {names}")
    arguments.work = WORK / "quick" if arguments.quick else WORK
    default = arguments.work if arguments.quick else ROOT / "benchmarks"
    arguments.out = arguments.out or default / "results.json"
    return arguments


def run(name: str, quick: bool, machine: dict, rates: Rates) -> dict:
    """Run a job, and return what it came to."""
    began, load_before = time.monotonic(), round(os.getloadavg()[0], 2)
    found = []
    with work_place(quick, rates) as place:
        contests, readings = JOBS[name].contests(place), None
        while True:
            try:
                contest = contests.send(readings)
            except StopIteration:
                break
            if quick:
                contest = dataclasses.replace(contest, rounds=1, budget_seconds=0.0)
            readings = measure(contest, place.note)
            found += rows(contest, readings)
            print(f"{name}: {contest.job} measured", file=sys.stderr, flush=True)
    return {
        "machine": machine,
        "rates": as_rates(rates),
        "load_before": load_before,
        "seconds": round(time.monotonic() - began),
        "results": found,
        "notes": place.notes,
    }


if __name__ == "__main__":
    sys.exit(main())
