import pathlib
import shutil

import numpy as np
import pytest
import tensorflow as tf

from mmat.corpora.mini import read_sources
from mmat.corpora.weights import model_folder
from mmat.files import InputError, data_list
from mmat.media.read import read_audio
from mmat.pretrained.embedded import (
    YAMNET_CLASS_MAP,
    YAMNET_WHEEL,
    resolve_handle,
    yamnet_labels,
    yamnet_wheel_folder,
)
from mmat.pretrained.hub import HubAudioEncoder
from mmat.pretrained.registry import audio_encoder, yamnet, yamnet_hub

SECOND = 16_000


@pytest.fixture(scope="module")
def layer(models_cache):
    return HubAudioEncoder.of(yamnet)


@pytest.fixture(scope="module")
def noise():
    return np.random.default_rng(0).uniform(-1, 1, (1, 2 * SECOND, 1)).astype(np.float32)


def heard_in(layer, waveform) -> str:
    """The class of the highest score, in the mean over patches."""
    return yamnet.labels()[int(np.argmax(layer(waveform)["scores"][0].numpy().mean(axis=0)))]


def test_silence_is_silence(layer):
    assert heard_in(layer, np.zeros((1, 2 * SECOND, 1), np.float32)) == "Silence"


def test_uniform_noise_is_white_noise(layer, noise):
    assert heard_in(layer, noise) == "White noise"


def test_a_dog_is_no_rooster(layer, mini_sources):
    names = ["Dog", "Chicken, rooster"]
    places = [yamnet.labels().index(name) for name in names]
    for source in read_sources(data_list("mini", "sources.csv")):
        if source.kind == "recording" and source.label in names:
            sound = read_audio(mini_sources / source.file, end_seconds=5)
            scores = layer(sound[None, :, None])["scores"][0].numpy().max(axis=0)[places]
            assert names[int(np.argmax(scores))] == source.label, source.id


def test_it_embeds_as_the_wheels_own_network_does(layer, noise):
    inside = getattr(tf.saved_model.load(str(yamnet_wheel_folder())), "layer-1").layer._func
    scores, embeddings, _ = inside(tf.constant(noise[0, :, 0]))
    got = layer(noise)
    np.testing.assert_allclose(got["embedding"][0], embeddings, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(got["scores"][0], scores, rtol=1e-4, atol=1e-6)


def test_ten_seconds_are_twenty_patches(layer):
    """Though the network, which pads by itself, here adds one of silence by rounding."""
    got = layer(np.zeros((1, 10 * SECOND, 1), np.float32))
    assert {name: x.shape for name, x in got.items()} == {
        "embedding": (1, 20, 1024),
        "scores": (1, 20, 521),
    }


def test_classes_are_those_of_audioset_in_order(models_cache):
    names = yamnet_labels()
    assert len(set(names)) == len(names) == 521 == yamnet.n_labels
    assert (names[0], names[494], names[520]) == ("Speech", "Silence", "Field recording")


def test_a_damaged_class_map_is_named(models_cache, tmp_path, monkeypatch):
    fetched, cut = model_folder(YAMNET_WHEEL), tmp_path / "models" / YAMNET_WHEEL
    (metadata,) = fetched.glob("*.dist-info")
    shutil.copytree(metadata, cut / metadata.name)
    class_map = yamnet_wheel_folder().relative_to(fetched) / "assets" / YAMNET_CLASS_MAP
    (cut / class_map).parent.mkdir(parents=True)
    text = (fetched / class_map).read_text(encoding="utf-8")
    (cut / class_map).write_text(text[: len(text) // 2], encoding="utf-8")
    monkeypatch.setenv("MMAT_CACHE", str(tmp_path))
    with pytest.raises(InputError, match=f"{YAMNET_CLASS_MAP}.*521 classes.*fetch it again"):
        yamnet_labels()


def test_it_is_exported_once(models_cache):
    folder = pathlib.Path(resolve_handle(yamnet.handle))
    assert folder == models_cache / "models" / "yamnet" / "saved_model_in_groups"
    written = (folder / "saved_model.pb").stat().st_mtime_ns
    resolve_handle(yamnet.handle)
    assert (folder / "saved_model.pb").stat().st_mtime_ns == written


def test_without_weights_it_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv("MMAT_CACHE", str(tmp_path))
    for ask in (lambda: resolve_handle(yamnet.handle), yamnet.labels):
        with pytest.raises(InputError, match="`mmat fetch models`"):
            ask()
    assert not list(tmp_path.rglob("*.pb"))


def test_encoders_are_found_by_name_or_made_of_a_handle():
    assert audio_encoder("yamnet") is yamnet and audio_encoder("yamnet_hub") is yamnet_hub
    other = audio_encoder("http://127.0.0.1/my/yamnet/1")
    assert other.handle == "http://127.0.0.1/my/yamnet/1"
    assert (other.embedding_size, other.hop_samples) == (1024, 7680)
