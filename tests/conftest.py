"""What several tests need: the real embedded weights, and real recordings and photographs."""

import os
import pathlib

import pytest

from mmat.corpora.mini import fetch_mini, read_sources
from mmat.corpora.speech_emotion import fetch_speech_emotion
from mmat.corpora.weights import fetch_models
from mmat.files import cache_folder, data_list
from mmat.startup import ENVIRONMENT
from tests.media.made_media import sine, write_container  # noqa: F401 - fixtures

# As the commands do, so that what a test computes and what a command answers are the same.
os.environ.update(ENVIRONMENT | os.environ)


@pytest.fixture(scope="session")
def models_cache() -> pathlib.Path:
    """The cache with the embedded weights in it, fetched where they are not there yet."""
    fetch_models()
    return cache_folder()


@pytest.fixture(scope="session")
def mini_sources() -> pathlib.Path:
    """The folder of the mini corpus's recordings and pictures, fetched where they are absent."""
    return fetch_mini()


@pytest.fixture(scope="session")
def speech_emotion() -> pathlib.Path:
    """The folder of the recordings of speech in three emotions, fetched where they are absent."""
    return fetch_speech_emotion(progress=False)


@pytest.fixture(scope="session")
def photographs(mini_sources) -> dict[str, pathlib.Path]:
    """The photographs of the mini corpus, by their id in `data_lists/mini/sources.csv`."""
    return _by_id(mini_sources, "photograph")


@pytest.fixture(scope="session")
def recordings(mini_sources) -> dict[str, pathlib.Path]:
    """The recordings of the mini corpus, by their id there."""
    return _by_id(mini_sources, "recording")


def _by_id(folder: pathlib.Path, kind: str) -> dict[str, pathlib.Path]:
    listed = read_sources(data_list("mini", "sources.csv"))
    return {each.id: folder / each.file for each in listed if each.kind == kind}
