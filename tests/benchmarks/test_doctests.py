"""The examples in the harness; its other modules need what the extra bench alone has."""

import doctest
import importlib

import pytest

MODULES = ("contest", "counting", "jobs.prepare", "machine", "measuring", "processes", "tables")


@pytest.mark.parametrize("name", MODULES)
def test_examples(name):
    found = doctest.testmod(importlib.import_module(f"benchmarks.{name}"))
    assert found.attempted > 0
    assert found.failed == 0
