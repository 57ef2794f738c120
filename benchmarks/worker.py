"""A process that holds contenders and runs them on orders: `benchmarks.processes`.

Each framework runs in a process of its own, since two of them in one fight for the threads. Orders
come as lines of JSON on standard input, replies go to standard output.
"""

import importlib
import json
import os
import sys
import time

from benchmarks.contest import Seconds

# Under this much the caches, and the threads that have gone to sleep, are warmed before the run.
REWARM_SECONDS = 0.25


def main() -> None:
    # What libraries print must not come between the replies.
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    held, lasted = {}, {}
    for line in sys.stdin:
        order = json.loads(line)
        try:
            reply = obey(order, held, lasted)
        except Exception as error:  # a contender may fail in any way; the others go on
            reason = (str(error).strip().splitlines() or [""])[0]
            reply = {"error": f"{type(error).__name__}: {reason}".removesuffix(": ")[:300]}
        print(json.dumps(reply), file=replies, flush=True)


def obey(order: dict, held: dict, lasted: dict) -> dict:
    """Make a contender, run one, or answer a question."""
    if "run" in order:
        name = order["run"]
        if lasted.get(name, REWARM_SECONDS) < REWARM_SECONDS:
            held[name]()
        began = time.perf_counter()
        seconds = timed(held[name])
        lasted[name] = time.perf_counter() - began
        return {"seconds": seconds}
    module, _, function = order["function"].partition(":")
    value = getattr(importlib.import_module(module), function)(**order["arguments"])
    if "make" in order:
        held[order["make"]] = value
        value = None
    return {"value": value}


def timed(run) -> float:
    """Return the seconds of a run, or those that it says itself."""
    began = time.perf_counter()
    own = run()
    seconds = time.perf_counter() - began
    return own if isinstance(own, Seconds) else seconds


if __name__ == "__main__":
    main()
