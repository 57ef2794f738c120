"""The package as a whole: light to import, quiet, offline, and its papers agree."""

import importlib.metadata
import pathlib
import re
import subprocess
import sys

import pytest

import mmat
from mmat.labels import LabelSet

ROOT = pathlib.Path(__file__).resolve().parent.parent
LOCKS = sorted((ROOT / "requirements").glob("lock-*.txt"))

# A fresh interpreter without tensorflow-io, in which touching the network is an error.
BARE = """
import sys

def no_network(event, arguments):
    if event.startswith("socket.") and event != "socket.__new__":
        raise AssertionError(f"touched the network: {event} {arguments}")

sys.addaudithook(no_network)
sys.modules["tensorflow_io"] = None
"""
LIGHT = """
heavy = {"av", "keras", "matplotlib", "pandas", "tensorflow", "tensorflow_hub"} & set(sys.modules)
assert not heavy, heavy
"""


def run_bare(code: str) -> subprocess.CompletedProcess:
    """Run code in a bare interpreter that turns warnings into errors."""
    command = [sys.executable, "-W", "error", "-c", BARE + code]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


@pytest.mark.parametrize(
    "code",
    [
        "import mmat",
        "import mmat; mmat.LabelSet.of(['Dog'])",
        "import mmat.cli",
        "import mmat.data, mmat.metrics, mmat.fetch, mmat.models, mmat.serving",
    ],
)
def test_import_is_light_quiet_and_offline(code):
    done = run_bare(code + LIGHT)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_help_is_light_quiet_and_offline():
    done = run_bare(
        "import runpy\n"
        "sys.argv = ['mmat', '--help']\n"
        "try:\n"
        "    runpy.run_module('mmat', run_name='__main__')\n"
        "except SystemExit as end:\n"
        "    assert not end.code, end.code\n" + LIGHT
    )
    assert (done.returncode, done.stderr) == (0, "")
    for command in ("fetch", "prepare", "evaluate", "export", "tag"):
        assert command in done.stdout


def test_lazy_names_are_the_real_ones():
    assert mmat.LabelSet is LabelSet
    assert set(mmat.__all__) <= set(dir(mmat))
    with pytest.raises(AttributeError, match="no attribute 'nonesuch'"):
        _ = mmat.nonesuch


def test_versions_agree():
    assert importlib.metadata.version("mmat") == mmat.__version__
    assert f"## [{mmat.__version__}]" in (ROOT / "CHANGELOG.md").read_text()
    assert f"\nversion: {mmat.__version__}\n" in (ROOT / "CITATION.cff").read_text()


def read_lock(path: pathlib.Path) -> dict[str, str]:
    """Return name -> version; every line must be a plain pin, without an index or a file."""
    pins = {}
    for line in path.read_text().splitlines():
        if not line.startswith("#"):
            pin = re.fullmatch(r"([a-z0-9-]+)==([0-9a-z.]+)( ; .+)?", line)
            assert pin, f"{path.name}: {line}"
            pins[pin[1]] = pin[2]
    return pins


@pytest.mark.parametrize("path", LOCKS, ids=lambda path: path.stem)
def test_lock_holds_what_the_package_asks_for(path):
    pins = read_lock(path)
    # tensorflow-io is of one lane alone; what `make bench` adds is in requirements/bench.txt.
    elsewhere = ('extra == "tfio"', 'extra == "bench"')
    asked = [each for each in importlib.metadata.requires("mmat") if not each.endswith(elsewhere)]
    names = {re.match(r"[A-Za-z0-9_-]+", each)[0].lower().replace("_", "-") for each in asked}
    assert len(names) > 15
    assert names <= set(pins)


def test_locks_differ_in_tensorflow_io_alone():
    first, second = (set(read_lock(path)) for path in LOCKS)
    assert first - second == {"tensorflow-io", "tensorflow-io-gcs-filesystem"}
    assert second - first == set()
