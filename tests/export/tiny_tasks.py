"""The models of `tests.tagging.levels` as bundles in folders and as taggers, made once."""

import pytest

from tests.tagging.levels import CLASSES, VALUES, level_bundle


@pytest.fixture(scope="session")
def level_bundles(tmp_path_factory):
    """Folders of the two bundles, as a training writes them: classes and values."""
    from mmat.models.bundle import save_bundle

    folder = tmp_path_factory.mktemp("levels")
    for name, labels in {"classes": CLASSES, "values": VALUES}.items():
        save_bundle(folder / name, level_bundle(labels))
    return {name: folder / name for name in ("classes", "values")}


@pytest.fixture(scope="session")
def level_taggers(level_bundles):
    """Their taggers, as they come back from the folders."""
    from mmat.models.bundle import load_bundle
    from mmat.tagging.tagger import Tagger

    return {name: Tagger.of(load_bundle(folder)) for name, folder in level_bundles.items()}
