"""The keeper of skips, in pytest runs of its own."""

import os
import pathlib
import subprocess
import sys

import pytest

from tests.skips import read_allowed

ROOT = pathlib.Path(__file__).resolve().parent.parent
SKIPPING = "import pytest\n\n\ndef test_one():\n    pytest.skip('no reason')\n"
PASSING = "def test_two():\n    pass\n"


def run_pytest(folder: pathlib.Path, ci: str) -> subprocess.CompletedProcess:
    """Run the tests in `folder` with the plugin, as CI does or as a developer does."""
    environment = dict(os.environ, CI=ci, PYTHONPATH=str(ROOT))
    command = [sys.executable, "-m", "pytest", "-p", "tests.skips", "--rootdir", str(folder)]
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300
    )


@pytest.mark.parametrize(
    ("source", "ci", "status"),
    [(SKIPPING, "true", 1), (SKIPPING, "", 0), (PASSING, "true", 0)],
)
def test_an_unnamed_skip_fails_ci_alone(tmp_path, source, ci, status):
    (tmp_path / "test_sample.py").write_text(source + PASSING)
    done = run_pytest(tmp_path, ci)
    assert done.returncode == status, done.stdout
    assert ("skips that no line" in done.stdout) == bool(status)


def test_a_skipped_module_counts(tmp_path):
    (tmp_path / "test_sample.py").write_text("import pytest\npytest.importorskip('nonesuch')\n")
    (tmp_path / "test_other.py").write_text(PASSING)
    assert run_pytest(tmp_path, "true").returncode == 1


def test_list_is_read_by_lane(tmp_path):
    path = tmp_path / "allowed.txt"
    path.write_text("# a comment\n\n2.20 tests/a.py::* no such ops\n* tests/b.py::test_c why not\n")
    assert read_allowed("2.20", path) == ["tests/a.py::*", "tests/b.py::test_c"]
    assert read_allowed("2.17", path) == ["tests/b.py::test_c"]
    path.write_text("2.20 tests/a.py\n")
    with pytest.raises(pytest.UsageError, match=":1: needs a lane"):
        read_allowed("2.20", path)
