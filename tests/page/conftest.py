"""The page in two forms, a browser, and a clip of a fire engine."""

import pytest

from mmat.app.server import serving
from tests.page.browser import Visit, chromium
from tests.page.fire_engine import write_clip

pytest_plugins = ["tests.export.tiny"]


@pytest.fixture(scope="session")
def browser():
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="session")
def fire_engine(models_cache, mini_sources, tmp_path_factory):
    return write_clip(tmp_path_factory.mktemp("fire engine"))


@pytest.fixture(scope="module")
def address(models_cache):
    """The page for any labels."""
    with serving(port=None) as address:
        yield address


@pytest.fixture
def visit(browser, address):
    visit = Visit(browser, address)
    yield visit
    visit.page.context.close()
