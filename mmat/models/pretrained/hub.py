"""Models in TF-Hub's form: from tfhub.dev, any http address or a folder."""

import functools
import os
import threading
import warnings

import keras
import tensorflow as tf

from mmat.errors import InputError
from mmat.models.pretrained.registry import ImageNetwork, resolve_handle
from mmat.paths import cache_folder

_LOADING = threading.Lock()


def load_hub_model(handle: str):
    """Load a TF2 SavedModel by its TF-Hub handle, http address or folder; it is callable.

    Downloads are kept in mmat's cache, or in `$TFHUB_CACHE_DIR`. Raises InputError with the handle
    and the reason when it cannot be loaded, and for a model of TF-Hub's older, uncallable form.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it imports pkg_resources, which speaks to its makers
        import tensorflow_hub as hub

    resolved = resolve_handle(handle)
    os.environ.setdefault("TFHUB_CACHE_DIR", str(cache_folder() / "tfhub"))
    try:
        loaded = hub.load(resolved)
    # Network, archive, file system and protocol buffer each bring exceptions of their own.
    except Exception as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise InputError(
            f"model {handle}: cannot be loaded: {reason}; check the address or name a local folder"
        ) from error
    if not callable(loaded):
        raise InputError(f"model {handle}: not callable; use a model in TF-Hub's TF2 form")
    return loaded


@keras.saving.register_keras_serializable(package="mmat")
class HubImageClassifier(keras.layers.Layer):
    """A frozen image network on video frames.

    Input: RGB frames, uint8 (or float32 in 0 to 255) of any size, (batch, n_frames, height, width,
    3) or (batch, height, width, 3). Output: float32 probabilities (batch[, n_frames], n_labels),
    the background outputs dropped and the rest scaled to sum to one. The whole frame is squeezed
    to the network's square, so that what sounds at its edge is seen too.

    The saved layer holds its handle and not the network, which is loaded again from there: open
    only model files whose sender may also choose what code runs. An exported SavedModel holds the
    network itself. Raises InputError when the network cannot be loaded.

    >>> from mmat.models.pretrained.registry import inception_v3
    >>> layer = HubImageClassifier.of(inception_v3)
    >>> layer.compute_output_shape((None, 8, 360, 640, 3))
    (None, 8, 1000)
    """

    def __init__(
        self,
        handle: str,
        input_size_px: int,
        n_outputs: int = 1000,
        input_range: tuple[float, float] = (0.0, 1.0),
        background_offset: int = 0,
        outputs_are_logits: bool = True,
        **kwargs,
    ):
        # Frozen and in float32 under any precision policy: the weights are what they are.
        super().__init__(**{"dtype": "float32", **kwargs, "trainable": False})
        self.handle = handle
        self.input_size_px = input_size_px
        self.n_outputs = n_outputs
        self.input_range = tuple(input_range)
        self.background_offset = background_offset
        self.outputs_are_logits = outputs_are_logits
        self._network = None

    @classmethod
    def of(cls, network: ImageNetwork, **kwargs) -> "HubImageClassifier":
        """Make the layer for a network's record."""
        return cls(
            handle=network.handle,
            input_size_px=network.input_size_px,
            n_outputs=network.n_outputs,
            input_range=network.input_range,
            background_offset=network.background_offset,
            outputs_are_logits=network.outputs_are_logits,
            **kwargs,
        )

    def build(self, input_shape):
        self._network = load_hub_model(self.handle)

    def call(self, frames):
        height, width = frames.shape[-3:-1]
        lead = tf.shape(frames)[:-3]
        height = tf.shape(frames)[-3] if height is None else height
        width = tf.shape(frames)[-2] if width is None else width
        images = tf.reshape(frames, (-1, height, width, 3))
        size = (self.input_size_px, self.input_size_px)
        # (batch * n_frames, size, size, 3)
        images = tf.image.resize(tf.cast(images, tf.float32), size, antialias=True)
        low, high = self.input_range
        outputs = self._network(low + images * ((high - low) / 255))
        if self.outputs_are_logits:
            outputs = tf.nn.softmax(outputs)
        labels = outputs[:, self.background_offset :]  # (batch * n_frames, n_labels)
        labels = tf.math.divide_no_nan(labels, tf.reduce_sum(labels, axis=-1, keepdims=True))
        n_labels = self.n_outputs - self.background_offset
        labels = tf.reshape(labels, tf.concat([lead, [n_labels]], axis=0))
        return tf.ensure_shape(labels, (*frames.shape[:-3], n_labels))

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-3], self.n_outputs - self.background_offset)

    def get_config(self):
        return {
            **super().get_config(),
            "handle": self.handle,
            "input_size_px": self.input_size_px,
            "n_outputs": self.n_outputs,
            "input_range": self.input_range,
            "background_offset": self.background_offset,
            "outputs_are_logits": self.outputs_are_logits,
        }


def loaded_classifier(network: ImageNetwork) -> HubImageClassifier:
    """Return the layer of a network, the same at every call and in every thread of a process."""
    with _LOADING:
        return _last_loaded(network)


@functools.lru_cache(maxsize=1)
def _last_loaded(network: ImageNetwork) -> HubImageClassifier:
    layer = HubImageClassifier.of(network)
    layer.build(None)
    return layer
