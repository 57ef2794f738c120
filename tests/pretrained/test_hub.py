import dataclasses
import shutil

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from mmat.files import InputError
from mmat.pretrained.embedded import resolve_handle
from mmat.pretrained.hub import (
    HubAudioEncoder,
    HubImageClassifier,
    load_hub_model,
    network_sha256,
)
from mmat.pretrained.registry import audio_encoder, efficientnet_lite0, inception_v3, yamnet
from tests.models.tiny_encoder import HOP, N_LABELS, SIZE, WINDOW, project
from tests.processes import program, run_process

ANY_DOG = set(range(151, 269))  # ImageNet's breeds stand together
ANY_CAR = {"beach wagon", "cab", "convertible", "jeep", "minivan", "racer", "sports car"}
ANY_BUS = {"minibus", "school bus", "trolleybus"}
# What the photographs of the mini corpus show, where ImageNet has a class for it.
SHOWN = {
    "dog-gc-dog-webp": ANY_DOG,
    "dog-gc-dog3": ANY_DOG,
    "dog-tux-dingo": {"dingo"},
    "dog-tux-dog-png": ANY_DOG,
    "cattle-bovinae-tux-zebu": {"ox"},
    "cattle-bovinae-gc-calf": {"ox"},
    "cattle-bovinae-tux-bull-png": {"ox"},
    "cattle-bovinae-tux-cow-white-png": {"ox"},
    "cattle-bovinae-tux-cow-png": {"ox"},
    "cattle-bovinae-gc-cow-webp": {"ox"},
    "cattle-bovinae-scr-cow1": {"ox"},
    "sheep-goat-tux-ram": {"ram"},
    "sheep-goat-tux-sheep-png": {"ram"},
    "sheep-goat-tux-sheep-lamb-png": {"ram"},
    "sheep-goat-gc-sheep-webp": {"ram"},
    "horse-gc-horse-webp": {"sorrel"},
    "horse-tux-horse": {"sorrel"},
    "horse-gc-horse-2": {"sorrel"},
    "chicken-rooster-tux-rooster-png": {"cock"},
    "chicken-rooster-tux-chicken-profile": {"hen", "cock"},
    "chicken-rooster-gc-chicken": {"hen", "cock"},
    "chicken-rooster-tux-hen-png": {"hen"},
    "duck-goose-tux-duck-png": {"drake"},
    "duck-goose-gc-gosling": {"goose"},
    "duck-goose-tux-gander-png": {"goose"},
    "duck-goose-gc-duck-webp": {"drake"},
    "duck-goose-tux-drake": {"drake"},
    "bird-tux-magpie": {"magpie"},
    "bird-gc-toucan": {"toucan"},
    "insect-tux-fly": {"fly"},
    "insect-tux-mantis": {"mantis"},
    "insect-tux-grasshopper-png": {"grasshopper"},
    "insect-scr-grasshopper2": {"grasshopper"},
    "insect-gc-bee": {"bee"},
    "car-tux-sedan": ANY_CAR,
    "car-scr-car-bug": ANY_CAR,
    "car-scr-car-blue": ANY_CAR,
    "car-tux-sportscar2": {"sports car"},
    "car-tux-beetle": ANY_CAR,
    "bus-truck-tux-green-korean-bus": ANY_BUS,
    "bus-truck-scr-bus": ANY_BUS,
    "bus-truck-tux-garbagetruck": {"garbage truck"},
    "bus-truck-tux-truck": {"pickup"},
    "aircraft-scr-airplane": {"airliner"},
    "aircraft-tux-747": {"airliner"},
    "aircraft-tux-f22-raptor": {"warplane"},
}
pytest_plugins = ["tests.models.tiny_encoder"]


def read_on_white(path):
    image = Image.open(path).convert("RGBA")
    white = Image.new("RGBA", image.size, "white")
    white.alpha_composite(image)
    return np.asarray(white.convert("RGB"))


def expected_probabilities(model, frames, background=1):
    """The classes' share, from the network itself: softmax, then without the background."""
    logits = model(frames.reshape(-1, *frames.shape[-3:]) / np.float32(255), training=False)
    classes = tf.nn.softmax(logits).numpy()[:, background:]
    classes /= classes.sum(axis=1, keepdims=True)
    return classes.reshape(*frames.shape[:-3], -1)


def test_photographs_are_recognised(models_cache, photographs):
    layer = HubImageClassifier.of(efficientnet_lite0)
    names = [label[0] for label in efficientnet_lite0.labels()]
    right = {1: [], 5: []}
    for photograph, shown in SHOWN.items():
        probabilities = layer(read_on_white(photographs[photograph])[np.newaxis]).numpy()[0]
        best = np.argsort(-probabilities)[:5]
        for k in right:
            right[k] += [any(i in shown or names[i] in shown for i in best[:k])]
    assert np.mean(right[5]) > 0.9
    assert np.mean(right[1]) > 0.7


def test_frames_of_any_size_and_number(models_cache):
    layer = HubImageClassifier.of(efficientnet_lite0)
    for shape in [(1, 2, 90, 160, 3), (2, 1, 224, 224, 3), (3, 40, 30, 3)]:
        probabilities = layer(np.full(shape, 200, np.uint8)).numpy()
        assert probabilities.shape == (*shape[:-3], 1000) and probabilities.dtype == np.float32
        np.testing.assert_allclose(probabilities.sum(axis=-1), 1, rtol=1e-5)
    frames = keras.Input((None, None, None, 3), dtype="uint8")
    assert layer(frames).shape == (None, None, 1000)


def test_it_has_nothing_to_train_under_any_policy(models_cache, frames):
    layer = HubImageClassifier.of(efficientnet_lite0)
    expected = layer(frames).numpy()
    assert not layer.trainable_variables
    for policy in ("mixed_bfloat16", "mixed_float16"):
        keras.mixed_precision.set_global_policy(policy)
        try:
            got = HubImageClassifier.of(efficientnet_lite0)(frames)
        finally:
            keras.mixed_precision.set_global_policy("float32")
        assert got.dtype == tf.float32
        np.testing.assert_array_equal(got, expected)


def hub_layer(handle):
    return HubImageClassifier(
        handle,
        inception_v3.input_size_px,
        n_outputs=inception_v3.n_outputs,
        input_range=inception_v3.input_range,
        background_offset=inception_v3.background_offset,
        outputs_are_logits=inception_v3.outputs_are_logits,
    )


def test_inception_over_http_and_from_disk(inception, inception_folder, frames, serve):
    expected = expected_probabilities(inception, frames)
    assert expected.max() > 0.02, "the classes must differ for the test to see an offset"
    handle = serve(inception_folder, "/google/imagenet/inception_v3/classification/5")
    for place in (handle, str(inception_folder)):
        probabilities = hub_layer(place)(frames).numpy()
        assert probabilities.shape == (2, 3, 1000)
        np.testing.assert_allclose(probabilities, expected, rtol=1e-3, atol=1e-6)
        np.testing.assert_array_equal(probabilities.argmax(-1), expected.argmax(-1))


def test_saved_and_exported_it_answers_the_same_elsewhere(models_cache, frames, tmp_path):
    inputs = keras.Input(frames.shape[1:], dtype="uint8")
    model = keras.Model(inputs, HubImageClassifier.of(efficientnet_lite0)(inputs))
    expected = model.predict(frames, verbose=0)
    np.save(tmp_path / "frames.npy", frames)
    model.save(tmp_path / "model.keras")
    model.export(str(tmp_path / "exported"), verbose=False)
    done = run_process(program("hub_elsewhere", tmp_path))
    assert done.returncode == 0, done.stderr
    got = np.load(tmp_path / "got.npz")
    np.testing.assert_array_equal(got["loaded"], expected)
    np.testing.assert_array_equal(got["exported"], expected)


def test_the_config_is_the_whole_layer():
    layer = HubImageClassifier.of(inception_v3, name="eyes")
    again = HubImageClassifier.from_config(layer.get_config())
    assert again.get_config() == layer.get_config()
    assert again.handle == inception_v3.handle and again.background_offset == 1


def test_with_embedding_it_gives_two_outputs_of_any_frames(models_cache, frames):
    layer = HubImageClassifier.of(efficientnet_lite0, with_embedding=True)
    again = HubImageClassifier.from_config(layer.get_config())
    outputs = again(frames)
    assert outputs["embedding"].shape == (2, 3, 1280)
    np.testing.assert_array_equal(
        outputs["probabilities"], HubImageClassifier.of(efficientnet_lite0)(frames)
    )
    shapes = {name: x.shape for name, x in again(keras.Input((None, 9, 9, 3))).items()}
    assert shapes == {"probabilities": (None, None, 1000), "embedding": (None, None, 1280)}


def test_a_config_of_an_older_version_is_read(models_cache, frames):
    config = HubImageClassifier.of(efficientnet_lite0).get_config()
    for name in ("with_embedding", "embedding_size", "embedding_handle"):
        del config[name]
    layer = HubImageClassifier.from_config(config)
    np.testing.assert_array_equal(layer(frames), HubImageClassifier.of(efficientnet_lite0)(frames))


def test_the_sha256_is_that_of_the_files_wherever_they_lie(encoder_folder, serve, tmp_path):
    expected = network_sha256(str(encoder_folder))
    assert network_sha256(serve(encoder_folder, "/hashed")) == expected
    shutil.copytree(encoder_folder, tmp_path / "copy")
    assert network_sha256(str(tmp_path / "copy")) == expected
    (tmp_path / "copy" / "assets").mkdir(exist_ok=True)
    (tmp_path / "copy" / "assets" / "names.txt").write_text("a")
    assert network_sha256(str(tmp_path / "copy")) != expected
    with pytest.raises(InputError, match="/no/such: cannot be loaded"):
        network_sha256("/no/such")


def test_the_sha256_of_an_embedded_network_does_not_depend_on_its_export(models_cache):
    before = network_sha256(yamnet.handle)
    assert before == "6501e34fb1377a001af52637c9977a799b31e00ff679fd2d088d2b5fca4902e0"
    assert network_sha256(efficientnet_lite0.handle) != before


@pytest.mark.parametrize("handle", ["/no/such/folder", "http://127.0.0.1:9/model", "nonsense"])
def test_a_model_that_cannot_be_loaded_is_named(handle):
    with pytest.raises(InputError) as caught:
        HubImageClassifier(handle, 224)(np.zeros((1, 8, 8, 3), np.uint8))
    assert handle in str(caught.value) and "\n" not in str(caught.value)


def test_an_address_without_a_model_is_named(serve, tmp_path):
    handle = serve(tmp_path, "/empty").replace("/empty", "/none")
    with pytest.raises(InputError, match="/none.*404"):
        load_hub_model(handle)
    with pytest.raises(InputError, match="/empty"):
        load_hub_model(serve(tmp_path, "/empty"))


def test_a_model_that_is_no_function_is_named(tmp_path):
    tf.saved_model.save(tf.Module(), str(tmp_path))
    with pytest.raises(InputError, match="not callable"):
        load_hub_model(str(tmp_path))


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


def test_the_audio_layer_has_nothing_to_train_under_any_policy(layer, tiny_encoder):
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


def test_the_config_is_the_whole_audio_layer():
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
    ("change", "message"),
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
def test_a_network_that_is_not_as_described_is_named(tiny_encoder, change, message):
    layer = HubAudioEncoder.of(dataclasses.replace(tiny_encoder, **change))
    with pytest.raises(InputError, match=message) as caught:
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
