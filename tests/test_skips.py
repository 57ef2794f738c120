"""The keeper of skips, in pytest runs of its own."""

import pathlib
import shutil
import subprocess
import sys

import pytest

from tests.processes import PROGRAMS, environment, run_process
from tests.skips import read_allowed


def run_pytest(folder: pathlib.Path, ci: str, *samples: str) -> subprocess.CompletedProcess:
    """Run sample tests in a folder with the plugin, as CI does or as a developer does."""
    for sample in samples:
        shutil.copy(PROGRAMS / "skips" / f"{sample}.py", folder / f"test_{sample}.py")
    command = [sys.executable, "-m", "pytest", "-p", "tests.skips", "--rootdir", str(folder)]
    return run_process([*command, str(folder)], environment(CI=ci))


@pytest.mark.parametrize(
    ("sample", "ci", "status"),
    [("one", "true", 1), ("one", "", 0), ("none", "true", 0)],
)
def test_an_unnamed_skip_fails_ci_alone(tmp_path, sample, ci, status):
    done = run_pytest(tmp_path, ci, sample)
    assert done.returncode == status, done.stdout
    assert ("skips that no line" in done.stdout) == bool(status)


def test_a_skipped_module_counts(tmp_path):
    assert run_pytest(tmp_path, "true", "module", "none").returncode == 1


def test_list_is_read_by_lane(tmp_path):
    path = tmp_path / "allowed.txt"
    path.write_text("# a comment\n\n2.20 tests/a.py::* no such ops\n* tests/b.py::test_c why not\n")
    assert read_allowed("2.20", path) == ["tests/a.py::*", "tests/b.py::test_c"]
    assert read_allowed("2.17", path) == ["tests/b.py::test_c"]
    path.write_text("2.20 tests/a.py\n")
    with pytest.raises(pytest.UsageError, match=":1: needs a lane"):
        read_allowed("2.20", path)
