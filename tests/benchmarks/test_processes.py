"""Worker processes and commands: what they answer, and what becomes of a failure."""

import pytest

from benchmarks.contest import ContenderError
from benchmarks.processes import Worker, command
from tests.processes import program


@pytest.fixture(scope="module")
def worker():
    with Worker() as process:
        yield process


def test_a_run_is_timed_by_the_process(worker):
    assert worker.run("tests.benchmarks.runs:sleeper", seconds=0.02)().seconds >= 0.02


def test_a_run_may_say_its_own_seconds(worker):
    assert worker.run("tests.benchmarks.runs:sayer", seconds=42.0)().seconds == 42.0


def test_what_a_library_prints_does_not_come_between(worker):
    assert worker.ask("tests.benchmarks.runs:loud", value=[1, 2]) == [1, 2]


def test_a_failure_is_told_in_a_line_and_the_process_goes_on(worker):
    with pytest.raises(ContenderError, match="^ModuleNotFoundError: No module named 'nonesuch'$"):
        worker.ask("nonesuch:function")
    assert worker.ask("tests.benchmarks.runs:loud", value=1) == 1


def test_a_process_that_ends_is_told():
    with Worker() as process, pytest.raises(ContenderError, match="its process ended: last words"):
        process.ask("tests.benchmarks.runs:end", words="last words")


def test_the_memory_of_children_counts():
    reading = command(program("large_child"))()
    assert reading.seconds > 0.5
    assert reading.megabytes > 60


def test_a_command_that_fails_is_told():
    with pytest.raises(ContenderError, match="^status 1: no such file$"):
        command(program("failing"))()
