"""The package as a whole: light to import, quiet, offline, and its papers agree."""

import importlib.metadata
import pathlib
import re

import pytest

import mmat
from mmat.labels import LabelSet
from tests.processes import program, run_process

ROOT = pathlib.Path(__file__).resolve().parent.parent
LOCKS = sorted((ROOT / "requirements").glob("lock-*.txt"))


def run_bare(*words: str):
    """Run a program that imports by these words, with warnings as errors."""
    return run_process(program("light_import", *words, flags=("-W", "error")))


@pytest.mark.parametrize(
    "names",
    [
        ["mmat"],
        ["mmat:LabelSet.of"],
        ["mmat.cli"],
        ["mmat.shards", "mmat.metrics", "mmat.corpora", "mmat.models", "mmat.tagging"],
    ],
)
def test_import_is_light_quiet_and_offline(names):
    done = run_bare(*names)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_help_is_light_quiet_and_offline():
    done = run_bare("--help")
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
