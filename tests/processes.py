"""Processes that tests start: the programs of `programs/`, and `mmat` itself."""

import os
import pathlib
import subprocess
import sys

_TESTS = pathlib.Path(__file__).resolve().parent
PROGRAMS = _TESTS / "programs"


def program(name: str, *arguments, flags: tuple[str, ...] = ()) -> list[str]:
    """Return the command of the program `programs/<name>.py`; flags are Python's own."""
    return [sys.executable, *flags, str(PROGRAMS / f"{name}.py"), *map(str, arguments)]


def mmat_command(*words) -> list[str]:
    """Return the command `mmat WORD...` of this environment."""
    return [sys.executable, "-m", "mmat", *map(str, words)]


def environment(**changes: str) -> dict[str, str]:
    """Return this process's environment, in which a program finds this checkout, with changes."""
    return os.environ | {"PYTHONPATH": str(_TESTS.parent)} | changes


def user_environment() -> dict[str, str]:
    """Return the environment of a user, who leaves it to mmat to quiet TensorFlow."""
    return {name: value for name, value in environment().items() if name != "TF_CPP_MIN_LOG_LEVEL"}


def run_process(
    command: list[str], env: dict[str, str] | None = None
) -> subprocess.CompletedProcess:
    """Run a command to its end; return its status, output and errors."""
    env = env or environment()
    return subprocess.run(command, capture_output=True, text=True, timeout=300, env=env)
