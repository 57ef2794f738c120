"""A skipped test is a gap: under CI=true each one stands in `allowed_skips.txt`, or the run fails.

A line there is `lane nodeid-pattern reason`: the lane is TensorFlow's version (`2.20`) or `*`, the
pattern is matched as a file name's is (`tests/data/*`), the reason is for the reader.
"""

import fnmatch
import importlib.metadata
import os
import pathlib

import pytest

LIST = pathlib.Path(__file__).with_name("allowed_skips.txt")


def read_allowed(lane: str, path: pathlib.Path = LIST) -> list[str]:
    """Return the patterns of the node ids that may be skipped in this lane."""
    patterns = []
    for number, line in enumerate(path.read_text().splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        fields = line.split(maxsplit=2)
        if len(fields) < 3:
            raise pytest.UsageError(f"{path}:{number}: needs a lane, a pattern and a reason")
        if fields[0] in ("*", lane):
            patterns.append(fields[1])
    return patterns


class SkipKeeper:
    """Collects the skips that no line allows, and fails the session for them."""

    def __init__(self, allowed: list[str]):
        self.allowed = allowed
        self.unnamed = []

    def _note(self, report):
        expected_failure = hasattr(report, "wasxfail")
        if report.skipped and not expected_failure:
            allowed = any(fnmatch.fnmatchcase(report.nodeid, each) for each in self.allowed)
            if not allowed:
                self.unnamed.append(report.nodeid)

    def pytest_runtest_logreport(self, report):
        self._note(report)

    def pytest_collectreport(self, report):
        self._note(report)

    def pytest_sessionfinish(self, session):
        if self.unnamed and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter):
        if self.unnamed:
            terminalreporter.section("skips that no line of tests/allowed_skips.txt names")
            for nodeid in self.unnamed:
                terminalreporter.write_line(nodeid, red=True)


def pytest_configure(config):
    if os.environ.get("CI") == "true":
        lane = ".".join(importlib.metadata.version("tensorflow").split(".")[:2])
        config.pluginmanager.register(SkipKeeper(read_allowed(lane)), "skip-keeper")
