import dataclasses
import pathlib

import keras
import numpy as np
import pytest
import tensorflow as tf

from mmat.files import InputError
from mmat.pretrained.efficientnet_lite import save_in_hub_form
from mmat.pretrained.embedded import embedded_weights, resolve_handle
from mmat.pretrained.hub import loaded_encoder
from mmat.pretrained.registry import (
    AUDIO_ENCODERS,
    IMAGE_NETWORKS,
    PATCHES_AT_ONCE,
    audio_encoder,
    efficientnet_lite0,
    image_network,
    inception_v3,
    vggish,
    yamnet,
)
from mmat.pretrained.torch_legacy import read_torch_legacy

pytest_plugins = ["tests.models.tiny_encoder"]


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
    # An export of an older version, without the embedding, lies in the folder `saved_model`.
    assert folder == models_cache / "models" / "efficientnet_lite0" / "saved_model_without_norms"
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


def test_a_look_gives_what_classify_gives_and_the_features_below_it(models_cache, frames):
    probabilities, embeddings = efficientnet_lite0.look(frames[0])
    np.testing.assert_array_equal(probabilities, efficientnet_lite0.classify(frames[0]))
    assert embeddings.shape == (3, 1280) and embeddings.dtype == np.float32
    (weights,) = embedded_weights(efficientnet_lite0.handle)
    tensors = read_torch_legacy(weights)
    logits = embeddings @ tensors["_fc.weight"].T + tensors["_fc.bias"]
    np.testing.assert_allclose(tf.nn.softmax(logits), probabilities, rtol=1e-3, atol=1e-6)


@pytest.fixture(scope="module")
def of_two_networks(tmp_path_factory):
    """A small network of Inception V3's sizes, and in a folder of its own what is below it."""
    folder = tmp_path_factory.mktemp("two")
    keras.utils.set_random_seed(3)
    image = keras.Input((299, 299, 3))
    coarse = keras.layers.Flatten()(keras.layers.AveragePooling2D(50)(image))
    features = keras.layers.Dense(2048, "relu")(coarse)
    save_in_hub_form(keras.Model(image, keras.layers.Dense(1001)(features)), folder / "all")
    save_in_hub_form(keras.Model(image, features), folder / "features")
    handles = {"handle": str(folder / "all"), "embedding_handle": str(folder / "features")}
    return dataclasses.replace(inception_v3, **handles)


def test_embeddings_of_a_network_of_their_own(of_two_networks, frames):
    network = of_two_networks
    probabilities, embeddings = network.look(frames[0])
    np.testing.assert_array_equal(probabilities, network.classify(frames[0]))
    loaded = tf.saved_model.load(network.embedding_handle)
    expected = loaded(frames[0].astype(np.float32) / 255)
    assert embeddings.shape == (3, 2048)
    np.testing.assert_allclose(embeddings, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"embedding_handle": None}, "gives no embedding; name the network that gives it"),
        ({"embedding_size": 64}, r"embeddings are of shape \(3, 2048\), expected \(images, 64\)"),
    ],
    ids=str,
)
def test_a_network_without_the_embedding_as_described_is_named(
    of_two_networks, frames, change, message
):
    with pytest.raises(InputError, match=message):
        dataclasses.replace(of_two_networks, **change).look(frames[0])


def test_encoders_are_known_by_their_handles_too():
    for encoder in AUDIO_ENCODERS.values():
        assert audio_encoder(encoder.handle) is audio_encoder(encoder.name) is encoder
    assert audio_encoder("https://tfhub.dev/google/vggish/1") is vggish
    assert (vggish.n_labels, vggish.labels(), vggish.n_patches(160_000)) == (0, (), 11)


@pytest.mark.parametrize("more", [-1, 0, 1, 799, 801])
def test_a_long_waveform_in_pieces_is_as_in_one(tiny_encoder, more):
    """Whatever is left for the last piece: nothing, less than a patch, or more."""
    n_samples = PATCHES_AT_ONCE * tiny_encoder.hop_samples + tiny_encoder.window_samples + more
    waveform = np.random.default_rng(0).normal(0, 0.1, n_samples).astype(np.float32)
    scores, embeddings = tiny_encoder.encode(waveform)
    whole = loaded_encoder(tiny_encoder)(waveform[None, :, None])
    np.testing.assert_allclose(embeddings, whole["embedding"][0], atol=1e-6)
    np.testing.assert_allclose(scores, whole["scores"][0], atol=1e-6)
    assert len(scores) == tiny_encoder.n_patches(n_samples)


def test_yamnet_in_pieces_is_as_in_one(models_cache):
    n_samples = yamnet.hop_samples * (PATCHES_AT_ONCE + 2) + 5
    waveform = np.random.default_rng(0).normal(0, 0.1, n_samples).astype(np.float32)
    scores, embeddings = yamnet.encode(waveform)
    whole = loaded_encoder(yamnet)(waveform[None, :, None])
    np.testing.assert_allclose(scores, whole["scores"][0], rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(embeddings, whole["embedding"][0], rtol=1e-4, atol=1e-5)


def test_a_network_in_vggishs_form_gives_embeddings_alone(vggish_folder):
    encoder = dataclasses.replace(vggish, handle=str(vggish_folder))
    waveform = np.random.default_rng(1).normal(0, 0.1, 50_000).astype(np.float32)
    scores, embeddings = encoder.encode(waveform)
    assert scores.shape == (4, 0) and embeddings.shape == (4, 128)
    levels = [np.abs(waveform[i * 15360 : i * 15360 + 15600]).mean() for i in range(4)]
    levels[-1] *= len(waveform[3 * 15360 :]) / 15600
    np.testing.assert_allclose(embeddings[:, 0], levels, rtol=1e-4)
