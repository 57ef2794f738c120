"""Where contenders run: in worker processes that stay, or as commands of their own."""

import contextlib
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence

from benchmarks.contest import ContenderError, Reading, Run

ROOT = pathlib.Path(__file__).resolve().parents[1]
LOOKS_A_SECOND = 20


class Worker:
    """A process of `benchmarks.worker`. Its contenders are functions that make a function.

    variables: of its environment, besides the usual ones.

    >>> with Worker() as worker:
    ...     worker.ask("benchmarks.contest:rounded", value=1.23456)
    1.235
    """

    def __init__(self, variables: Mapping[str, str] = {}):
        # Kept in a file: what TensorFlow warns of would fill a pipe that nobody reads.
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 - open as long as the process
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            cwd=ROOT,
            env=environment() | variables,
        )
        self._made = 0

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def close(self) -> None:
        """End the process, and wait until it has ended."""
        with contextlib.suppress(BrokenPipeError):  # it has ended by itself
            self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()
        self._errors.close()

    def ask(self, function: str, **arguments):
        """Call `module:function` there, and return what it says."""
        return self._order({"function": function, "arguments": arguments})["value"]

    def run(self, function: str, **arguments) -> Run:
        """Return a run of what `module:function` makes; it is made when it is first run.

        What is made takes nothing, and its time counts, or the `Seconds` that it returns.
        """
        name = None

        def run() -> Reading:
            nonlocal name
            if name is None:
                self._made += 1
                order = {"make": f"{function} {self._made}", "function": function}
                self._order(order | {"arguments": arguments})
                name = order["make"]
            return Reading(self._order({"run": name})["seconds"])

        return run

    def _order(self, order: dict) -> dict:
        try:
            self._process.stdin.write(json.dumps(order) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise ContenderError(f"its process ended: {last_line(self._errors)}")
        reply = json.loads(line)
        if "error" in reply:
            raise ContenderError(reply["error"])
        return reply


def command(words: Sequence) -> Run:
    """Return a run of a command: its seconds, and the most memory that it and its children held.

    >>> code = "import time; held = b'.' * 50_000_000; time.sleep(0.3)"
    >>> reading = command([sys.executable, "-c", code])()
    >>> reading.seconds > 0.3 and reading.megabytes > 50
    True
    """

    def run() -> Reading:
        began, peak = time.perf_counter(), 0
        with tempfile.TemporaryFile("w+") as errors:
            pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": errors}
            started = list(map(str, words))
            with subprocess.Popen(started, cwd=ROOT, env=environment(), **pipes) as process:
                while process.poll() is None:
                    peak = max(peak, resident_bytes(process.pid))
                    try:
                        process.wait(1 / LOOKS_A_SECOND)
                    except subprocess.TimeoutExpired:
                        continue
            seconds = time.perf_counter() - began
            if process.returncode:
                raise ContenderError(f"status {process.returncode}: {last_line(errors)}")
        return Reading(seconds, peak / 1e6)

    return run


def environment() -> dict[str, str]:
    """Return the variables of a process: quiet, and with compiled Python files as users have them.

    >>> "PYTHONDONTWRITEBYTECODE" in environment()
    False
    """
    own = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return own | {"TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONPATH": str(ROOT)}


def mmat(*words) -> list[str]:
    """Return the words of an mmat command, run by this Python."""
    return [sys.executable, "-m", "mmat", *map(str, words)]


def last_line(file) -> str:
    """Return the last line that a process printed on its standard error."""
    file.seek(0)
    return (file.read().strip().splitlines() or ["it printed nothing"])[-1][:300]


def resident_bytes(pid: int) -> int:
    """Return the memory of a process and all that it started.

    >>> resident_bytes(os.getpid()) > 1_000_000
    True
    """
    total = 0
    try:
        pages = int(pathlib.Path(f"/proc/{pid}/statm").read_text().split()[1])
        total = pages * os.sysconf("SC_PAGE_SIZE")
        for thread in pathlib.Path(f"/proc/{pid}/task").iterdir():
            children = (thread / "children").read_text().split()
            total += sum(resident_bytes(int(child)) for child in children)
    except (FileNotFoundError, ProcessLookupError):
        pass  # it has ended
    return total
