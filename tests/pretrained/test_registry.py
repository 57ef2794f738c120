import pathlib

import pytest

from mmat.files import InputError
from mmat.pretrained.embedded import resolve_handle
from mmat.pretrained.registry import (
    IMAGE_NETWORKS,
    efficientnet_lite0,
    image_network,
    inception_v3,
)


def test_networks_are_found_by_name():
    assert image_network("efficientnet_lite0") is efficientnet_lite0
    assert image_network("inception_v3") is inception_v3
    with pytest.raises(InputError, match="'vgg'.*efficientnet_lite0, inception_v3"):
        image_network("vgg")


@pytest.mark.parametrize("network", IMAGE_NETWORKS.values(), ids=str)
def test_every_network_has_imagenets_classes(network, models_cache):
    labels = network.labels()
    assert len(labels) == network.n_outputs - network.background_offset == 1000
    assert labels[0] == ("tench", "Tinca tinca")
    assert labels[555] == ("fire engine", "fire truck")
    assert labels[999][0] == "toilet tissue"
    assert all(name and name == name.strip() for names in labels for name in names)


def test_addresses_and_folders_stand_for_themselves():
    for handle in (inception_v3.handle, "/some/folder"):
        assert resolve_handle(handle) == handle


def test_the_embedded_network_is_exported_once(models_cache):
    folder = pathlib.Path(resolve_handle(efficientnet_lite0.handle))
    assert folder == models_cache / "models" / "efficientnet_lite0" / "saved_model"
    written = (folder / "saved_model.pb").stat().st_mtime_ns
    resolve_handle(efficientnet_lite0.handle)
    assert (folder / "saved_model.pb").stat().st_mtime_ns == written


def test_an_embedded_network_without_weights_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv("MMAT_CACHE", str(tmp_path))
    with pytest.raises(InputError, match="`mmat fetch models`"):
        resolve_handle(efficientnet_lite0.handle)
    assert not list(tmp_path.rglob("*.pb"))
    with pytest.raises(InputError, match="embedded:vgg"):
        resolve_handle("embedded:vgg")
