"""What every test run loads, wherever it is started: the keeper of skips; garbage collection."""

import gc

import pytest

# Not by `-p`: that comes before `pythonpath`, and dcase_util installs a package `tests` of its own.
pytest_plugins = ["tests.skips"]


@pytest.hookimpl(wrapper=True)
def pytest_collection():
    """Leave what is collected out of garbage collection: it stays to the end.

    The 600,000 objects of 5,000 tests and of TensorFlow, gone through again and again, are a third
    of the time of collecting the tests, and a fifth of that of tracing a model.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.collect()
        gc.freeze()
        gc.enable()
        gc.set_threshold(10_000, 10, 2)
