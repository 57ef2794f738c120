"""What several tests need: the real embedded weights, and the photographs of the mini corpus."""

import pathlib

import pytest

from mmat.fetch.weights import fetch_models
from mmat.paths import cache_folder


@pytest.fixture(scope="session")
def models_cache() -> pathlib.Path:
    """The cache with the embedded weights in it, fetched where they are not there yet."""
    fetch_models()
    return cache_folder()


@pytest.fixture(scope="session")
def photographs() -> dict[str, pathlib.Path]:
    """The photographs of the mini corpus, by their id in `data_lists/mini/sources.csv`."""
    folder = cache_folder() / "mini" / "photographs"
    return {path.stem: path for path in sorted(folder.iterdir())}
