import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from mmat.files import InputError
from mmat.models.pretrained.embedded import resolve_handle
from mmat.models.pretrained.hub import HubAudioEncoder
from mmat.models.pretrained.registry import audio_encoder, yamnet
from tests.models.tiny_encoder import HOP, N_LABELS, SIZE, WINDOW, project

pytest_plugins = ["tests.models.tiny_encoder"]


@pytest.fixture(scope="module")
def layer(tiny_encoder):
    return HubAudioEncoder.of(tiny_encoder)


def noise(n_clips, n_samples, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(0, 0.1, (n_clips, n_samples, 1)).astype(np.float32)


def count_patches(n_samples: int) -> int:
    """How many it takes until every sample lies in one, counted one by one."""
    n_patches = 1
    while (n_patches - 1) * HOP + WINDOW < n_samples:
        n_patches += 1
    return n_patches


@settings(max_examples=15, deadline=None)
@given(n_samples=st.integers(1, 5 * WINDOW))
def test_patches_cover_a_waveform_of_any_length(layer, n_samples):
    waveforms = noise(2, n_samples)
    got = layer(waveforms)
    n_patches = count_patches(n_samples)
    assert layer.n_patches(n_samples) == n_patches
    assert got["scores"].shape == (2, n_patches, N_LABELS)
    for waveform, embedding in zip(waveforms, got["embedding"], strict=True):
        np.testing.assert_allclose(embedding, project(waveform[:, 0], n_patches), atol=1e-5)


@pytest.mark.parametrize("n_samples", [1, WINDOW, WINDOW + 1, WINDOW + HOP, WINDOW + HOP + 1])
def test_the_last_sample_is_heard(layer, n_samples):
    waveform = noise(1, n_samples)
    louder = waveform.copy()
    louder[0, -1] += 1.0
    before, after = (layer(x)["embedding"][0, -1].numpy() for x in (waveform, louder))
    assert (before != after).any()


def test_the_graph_knows_the_shapes(layer):
    symbolic = layer(keras.Input((WINDOW + HOP + 1, 1)))
    assert symbolic["embedding"].shape == (None, 3, SIZE)
    assert symbolic["scores"].shape == (None, 3, N_LABELS)
    assert layer(keras.Input((None, 1)))["embedding"].shape == (None, None, SIZE)


def test_without_scores_the_answer_is_the_embeddings_alone(tmp_path):
    module = tf.Module()
    module.__call__ = tf.function(
        lambda waveform: tf.signal.frame(waveform, 4, 2),
        input_signature=[tf.TensorSpec((None,), tf.float32)],
    )
    tf.saved_model.save(module, str(tmp_path))
    layer = HubAudioEncoder(str(tmp_path), embedding_size=4, hop_samples=2, window_samples=4)
    got = layer(np.arange(5, dtype=np.float32)[None, :, None])
    assert list(got) == ["embedding"]
    np.testing.assert_array_equal(got["embedding"], [[[0, 1, 2, 3], [2, 3, 4, 0]]])


def test_it_has_nothing_to_train_under_any_policy(layer, tiny_encoder):
    waveforms = noise(1, 2000)
    expected = layer(waveforms)["embedding"].numpy()
    assert not layer.trainable_variables
    for policy in ("mixed_bfloat16", "mixed_float16"):
        keras.mixed_precision.set_global_policy(policy)
        try:
            got = HubAudioEncoder.of(tiny_encoder)(waveforms)["embedding"]
        finally:
            keras.mixed_precision.set_global_policy("float32")
        assert got.dtype == tf.float32
        np.testing.assert_array_equal(got, expected)


def test_the_config_is_the_whole_layer():
    layer = HubAudioEncoder.of(yamnet, name="ears")
    again = HubAudioEncoder.from_config(layer.get_config())
    assert again.get_config() == layer.get_config()
    assert (again.name, again.handle, again.n_patches(160_000)) == ("ears", yamnet.handle, 20)


def test_yamnet_over_http_is_the_embedded_one(models_cache, serve):
    handle = serve(resolve_handle(yamnet.handle), "/google/yamnet/1")
    waveforms = noise(2, 20_000)
    expected = HubAudioEncoder.of(yamnet)(waveforms)
    for name, value in HubAudioEncoder.of(audio_encoder(handle))(waveforms).items():
        np.testing.assert_array_equal(value, expected[name])


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"embedding_size": SIZE + 1}, rf"gives .*\(2, {SIZE}\).*expected .*\(2, {SIZE + 1}\)"),
        ({"hop_seconds": 2 * HOP / 16_000}, rf"gives .*\(3, {SIZE}\).*expected .*\(2, {SIZE}\)"),
        ({"embedding_output": "logits"}, "logits"),
        ({"embedding_output": None}, "expected"),
        ({"embedding_output": 1}, "expected"),
        ({"scores_output": "embedding"}, r"expected .*'scores': \(2, 3\)"),
    ],
    ids=str,
)
def test_a_network_that_is_not_as_described_is_named(tiny_encoder, change, told):
    layer = HubAudioEncoder.of(dataclasses.replace(tiny_encoder, **change))
    with pytest.raises(InputError, match=told) as caught:
        layer(noise(1, 2000))
    assert tiny_encoder.handle in str(caught.value) and "\n" not in str(caught.value)


def test_a_network_for_other_things_than_sound_is_named(text_folder):
    layer = HubAudioEncoder.of(audio_encoder(str(text_folder)))
    with pytest.raises(InputError, match="no encoder as described") as caught:
        keras.Model(x := keras.Input((None, 1)), layer(x))
    assert str(text_folder) in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("handle", ["/no/such/folder", "http://127.0.0.1:9/model"])
def test_a_network_that_cannot_be_loaded_is_named(handle):
    with pytest.raises(InputError, match="cannot be loaded") as caught:
        HubAudioEncoder.of(audio_encoder(handle))(noise(1, 100))
    assert handle in str(caught.value) and "\n" not in str(caught.value)
