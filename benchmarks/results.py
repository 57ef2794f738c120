"""The file of results: what each finished job came to, all in one."""

import json
import os
import pathlib
import statistics
from collections.abc import Mapping, Sequence

from mmat.files import InputError, atomic_path

KEYS = ("job", "ours", "peer", "ours_seconds", "peer_seconds", "ratio", "aim", "floor_seconds")


def write_json(path: str | os.PathLike, content: dict) -> None:
    """Write JSON, whole or not at all."""
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(path) as part:
        part.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def finished(path: pathlib.Path, machine: dict) -> dict | None:
    """Return what a job came to earlier on this machine and these versions, None if it did not."""
    if not path.is_file():
        return None
    try:
        done = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        return None
    return done if done.get("machine") == machine else None


def joined(machine: dict, jobs: Sequence[Mapping]) -> dict:
    """Return the results of jobs as one: the machine with its rates, their rows and notes.

    A rate is the median of those that the jobs measured.
    """
    rates = {
        name: statistics.median(job["rates"][name] for job in jobs) for name in jobs[0]["rates"]
    }
    whole = {"machine": machine | rates | {"load_before": [job["load_before"] for job in jobs]}}
    whole["results"] = [row for job in jobs for row in job["results"]]
    return whole | {"notes": [note for job in jobs for note in job["notes"]]}


def read_results(path: str | os.PathLike) -> dict:
    """Read a file of results; raises InputError for one that is absent or is none."""
    try:
        results = json.loads(pathlib.Path(path).read_text(encoding="utf-8"))
        rows = [[row[key] for key in KEYS] for row in results["results"]]
    except FileNotFoundError:
        raise InputError(f"{path}: no results yet; run `make bench`") from None
    except (ValueError, TypeError, LookupError) as error:
        raise InputError(f"{path}: no file of results: {error!r}; run `make bench`") from error
    if not rows:
        raise InputError(f"{path}: holds no results; run `make bench`")
    return results
