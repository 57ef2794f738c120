"""Models in TF-Hub's form, from tfhub.dev, any http address or a folder: as Keras layers.

`HubImageClassifier` looks at video frames, `HubAudioEncoder` hears waveforms; both are frozen.
"""

import functools
import hashlib
import os
import pathlib
import threading
import warnings

import keras
import tensorflow as tf

from mmat.files import InputError, cache_folder, one_line
from mmat.media.read import SAMPLE_RATE_HZ
from mmat.pretrained.embedded import EMBEDDED, embedded_weights, resolve_handle
from mmat.pretrained.patches import whole_patches
from mmat.pretrained.registry import AudioEncoder, count_patches

_LOADING = threading.Lock()


def load_hub_model(handle: str):
    """Load a TF2 SavedModel by its TF-Hub handle, http address or folder; it is callable.

    Downloads are kept in mmat's cache, or in `$TFHUB_CACHE_DIR`. Raises InputError with the handle
    and the reason when it cannot be loaded, and for a model of TF-Hub's older, uncallable form.
    """
    hub, resolved = _tensorflow_hub(), resolve_handle(handle)
    try:
        loaded = hub.load(resolved)
    # Network, archive, file system and protocol buffer each bring exceptions of their own.
    except Exception as error:
        raise _not_loaded(handle, error) from error
    if not callable(loaded):
        raise InputError(f"model {handle}: not callable; use a model in TF-Hub's TF2 form")
    return loaded


def network_sha256(handle: str) -> str:
    """Return a sha256 over the names and the contents of a network's files, in sorted order.

    An embedded network's files are the fetched weights that it is made of, since two exports of
    them differ. Downloads as `load_hub_model` does; raises InputError where that fails.
    """
    if handle.startswith(EMBEDDED):
        files = embedded_weights(handle)
        folder = os.path.commonpath([path.parent for path in files])
    else:
        try:
            folder = _tensorflow_hub().resolve(handle)
        except Exception as error:  # as above
            raise _not_loaded(handle, error) from error
        files = [path for path in pathlib.Path(folder).rglob("*") if path.is_file()]
        if not files:
            raise InputError(f"model {handle}: cannot be loaded: no files in {folder}")
    digest = hashlib.sha256()
    for path in sorted(files):
        with open(path, "rb") as file:
            content = hashlib.file_digest(file, "sha256").hexdigest()
        digest.update(f"{path.relative_to(folder).as_posix()} {content}\n".encode())
    return digest.hexdigest()


def _tensorflow_hub():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it imports pkg_resources, which speaks to its makers
        import tensorflow_hub as hub

    os.environ.setdefault("TFHUB_CACHE_DIR", str(cache_folder() / "tfhub"))
    return hub


def _not_loaded(handle: str, error: Exception) -> InputError:
    reason = one_line(error, 200)
    return InputError(
        f"model {handle}: cannot be loaded: {reason}; check the address or name a local folder"
    )


@keras.saving.register_keras_serializable(package="mmat")
class HubImageClassifier(keras.layers.Layer):
    """A frozen image network on video frames.

    Input: RGB frames, uint8 (or float32 in 0 to 255) of any size, (batch, n_frames, height, width,
    3) or (batch, height, width, 3). Output: float32 probabilities (batch[, n_frames], n_labels),
    the background outputs dropped and the rest scaled to sum to one. The whole frame is squeezed
    to the network's square, so that what sounds at its edge is seen too.

    with_embedding: the output is a dict instead, `probabilities` as above and `embedding` float32
    (batch[, n_frames], embedding_size). The embedding is that of the network's own
    `with_embedding`, or the output of another network, embedding_handle, for the same images.

    The saved layer holds its handle and not the network, which is loaded again from there: open
    only model files whose sender may also choose what code runs. An exported SavedModel holds the
    network itself. Raises InputError when the network cannot be loaded.

    >>> from mmat.pretrained.registry import inception_v3
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
        with_embedding: bool = False,
        embedding_size: int = 0,
        embedding_handle: str | None = None,
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
        self.with_embedding = with_embedding
        self.embedding_size = embedding_size
        self.embedding_handle = embedding_handle
        self._network = self._embedding_network = None

    @classmethod
    def of(cls, network, **kwargs) -> "HubImageClassifier":
        """Make the layer for a network's record."""
        return cls(
            handle=network.handle,
            input_size_px=network.input_size_px,
            n_outputs=network.n_outputs,
            input_range=network.input_range,
            background_offset=network.background_offset,
            outputs_are_logits=network.outputs_are_logits,
            embedding_size=network.embedding_size,
            embedding_handle=network.embedding_handle,
            **kwargs,
        )

    def build(self, input_shape):
        self._network = load_hub_model(self.handle)
        if not self.with_embedding:
            return
        if self.embedding_handle is not None:
            self._embedding_network = load_hub_model(self.embedding_handle)
        elif not self.embedding_size or not hasattr(self._network, "with_embedding"):
            raise InputError(
                f"model {self.handle}: gives no embedding; name the network that gives it "
                "(embedding_handle)"
            )

    def _run(self, images):
        """Return the network's outputs for images, and embeddings (images, embedding_size)."""
        if not self.with_embedding:
            return self._network(images), None
        if self._embedding_network is not None:
            outputs, embedding = self._network(images), self._embedding_network(images)
        else:
            both = self._network.with_embedding(images)
            outputs, embedding = both["outputs"], both["embedding"]
        if embedding.shape.rank != 2 or embedding.shape[-1] != self.embedding_size:
            raise InputError(
                f"model {self.embedding_handle or self.handle}: its embeddings are of shape "
                f"{tuple(embedding.shape)}, expected (images, {self.embedding_size}); name another"
            )
        return outputs, embedding

    def call(self, frames):
        height, width = frames.shape[-3:-1]
        lead = tf.shape(frames)[:-3]
        height = tf.shape(frames)[-3] if height is None else height
        width = tf.shape(frames)[-2] if width is None else width
        images = tf.reshape(frames, (-1, height, width, 3))
        size = (self.input_size_px, self.input_size_px)
        # (batch * n_frames, size, size, 3)
        images = tf.image.resize(tf.cast(images, tf.float32), size, antialias=True)
        seen = self.of_squares(images)
        named = seen if self.with_embedding else {"probabilities": seen}
        named = {
            name: _with_lead(x, lead, (*frames.shape[:-3], x.shape[-1]))
            for name, x in named.items()
        }
        return named if self.with_embedding else named["probabilities"]

    def of_squares(self, images):
        """Return the outputs for float32 images in 0 to 255 that are squares of the right size.

        images: `(n, input_size_px, input_size_px, 3)`; the outputs are `(n, …)`.
        """
        low, high = self.input_range
        outputs, embedding = self._run(low + images * ((high - low) / 255))
        if self.outputs_are_logits:
            outputs = tf.nn.softmax(outputs)
        labels = outputs[:, self.background_offset :]  # (n, n_labels)
        labels = tf.math.divide_no_nan(labels, tf.reduce_sum(labels, axis=-1, keepdims=True))
        labels = tf.ensure_shape(labels, (None, self.n_outputs - self.background_offset))
        if embedding is None:
            return labels
        # Nothing of it learns, so no gradient need be kept for the way back.
        return {"probabilities": labels, "embedding": tf.stop_gradient(embedding)}

    def compute_output_shape(self, input_shape):
        lead = tuple(input_shape[:-3])
        probabilities = (*lead, self.n_outputs - self.background_offset)
        if not self.with_embedding:
            return probabilities
        return {"probabilities": probabilities, "embedding": (*lead, self.embedding_size)}

    def get_config(self):
        return {
            **super().get_config(),
            "handle": self.handle,
            "input_size_px": self.input_size_px,
            "n_outputs": self.n_outputs,
            "input_range": self.input_range,
            "background_offset": self.background_offset,
            "outputs_are_logits": self.outputs_are_logits,
            "with_embedding": self.with_embedding,
            "embedding_size": self.embedding_size,
            "embedding_handle": self.embedding_handle,
        }


def _with_lead(values, lead, shape: tuple):
    """Return values (images, size) with the leading axes of the frames; shape: as far as known."""
    return tf.ensure_shape(tf.reshape(values, tf.concat([lead, shape[-1:]], axis=0)), shape)


def loaded_classifier(network, with_embedding: bool = False) -> HubImageClassifier:
    """Return the layer of a network, the same at every call and in every thread of a process."""
    with _LOADING:
        return _last_classifier(network, with_embedding)


@functools.lru_cache(maxsize=1)
def _last_classifier(network, with_embedding: bool) -> HubImageClassifier:
    layer = HubImageClassifier.of(network, with_embedding=with_embedding)
    layer.build(None)
    return layer


def loaded_encoder(encoder) -> "HubAudioEncoder":
    """Return the layer of an encoder, the same at every call and in every thread of a process."""
    with _LOADING:
        return _last_encoder(encoder)


@functools.lru_cache(maxsize=1)
def _last_encoder(encoder) -> "HubAudioEncoder":
    layer = HubAudioEncoder.of(encoder)
    layer.build(None)
    return layer


@keras.saving.register_keras_serializable(package="mmat")
class HubAudioEncoder(keras.layers.Layer):
    """A frozen audio network on waveforms.

    Input: waveforms, float32 (batch, samples, 1), 16 kHz mono in [-1, 1], of any length. Output: a
    dict, `embedding` float32 (batch, patches, embedding_size) and, where the network has them,
    `scores` float32 (batch, patches, n_labels). A waveform is padded with zeros at its end until
    the last patch is whole, so that every sample is heard: there are
    `1 + ceil(max(0, samples - window_samples) / hop_samples)` patches, one at least.

    The saved layer holds its handle and not the network, which is loaded again from there: open
    only model files whose sender may also choose what code runs. An exported SavedModel holds the
    network itself. Raises InputError when the network cannot be loaded or its outputs differ.

    >>> from mmat.pretrained.registry import yamnet
    >>> layer = HubAudioEncoder.of(yamnet)
    >>> layer.n_patches(160_000)
    20
    """

    def __init__(
        self,
        handle: str,
        embedding_size: int,
        hop_samples: int,
        window_samples: int,
        embedding_output: int | str | None = None,
        scores_output: int | str | None = None,
        n_labels: int = 0,
        **kwargs,
    ):
        # Frozen and in float32 under any precision policy: the weights are what they are.
        super().__init__(**{"dtype": "float32", **kwargs, "trainable": False})
        self.handle = handle
        self.embedding_size = embedding_size
        self.hop_samples = hop_samples
        self.window_samples = window_samples
        self.embedding_output = embedding_output
        self.scores_output = scores_output
        self.n_labels = n_labels
        self._network = None

    @classmethod
    def of(cls, encoder, **kwargs) -> "HubAudioEncoder":
        """Make the layer for an encoder's record."""
        return cls(
            handle=encoder.handle,
            embedding_size=encoder.embedding_size,
            hop_samples=encoder.hop_samples,
            window_samples=encoder.window_samples,
            embedding_output=encoder.embedding_output,
            scores_output=encoder.scores_output,
            n_labels=encoder.n_labels,
            **kwargs,
        )

    @property
    def record(self) -> AudioEncoder:
        """What `of` made the layer of, but for the encoder's name."""
        return AudioEncoder(
            name=self.handle,
            handle=self.handle,
            embedding_size=self.embedding_size,
            hop_seconds=self.hop_samples / SAMPLE_RATE_HZ,
            window_seconds=self.window_samples / SAMPLE_RATE_HZ,
            embedding_output=self.embedding_output,
            scores_output=self.scores_output,
            n_labels=self.n_labels,
        )

    def n_patches(self, n_samples: int) -> int:
        """Return the number of patches of a waveform of that length."""
        return count_patches(n_samples, self.window_samples, self.hop_samples)

    def build(self, input_shape):
        with tf.init_scope():
            self._network = load_hub_model(self.handle)
            self._try_network()

    def _try_network(self) -> None:
        """Check the network against its description, on silence of two patches."""
        silence = tf.zeros([self.window_samples + self.hop_samples])
        wanted = {name: (2, size) for name, size in self._sizes().items()}
        try:
            got = {name: tuple(x.shape) for name, x in self._run(silence).items()}
        except (ValueError, TypeError, LookupError, AttributeError, tf.errors.OpError) as error:
            got = one_line(error, 200)
        if got != wanted:
            raise InputError(
                f"model {self.handle}: no encoder as described: on {len(silence)} samples it gives "
                f"{got}, expected {wanted}; name another model, or describe it by an AudioEncoder"
            )

    def _sizes(self) -> dict[str, int]:
        scores = {"scores": self.n_labels} if self.n_labels else {}
        return {"embedding": self.embedding_size} | scores

    @property
    def _batched(self):
        """The network's function of many waveforms, which it pads; those of `embedded:` have it."""
        return getattr(self._network, "batched", None)

    def _run(self, waveform) -> dict:
        if self._batched is None:
            return self._named(self._network(waveform))
        # Not a second graph of the same weights: each takes its time to start, and memory.
        return {name: x[0] for name, x in self._named(self._batched(waveform[tf.newaxis])).items()}

    def _named(self, outputs) -> dict:
        places = {"embedding": self.embedding_output, "scores": self.scores_output}
        return {
            name: outputs if places[name] is None else outputs[places[name]]
            for name in self._sizes()
        }

    def call(self, waveforms):
        if self._batched is None:
            outputs = self._one_by_one(*self._padded(waveforms))
        else:
            outputs = self._named(self._batched(waveforms[:, :, 0]))
        # Nothing of it learns, so no gradient need be kept for the way back.
        return {name: tf.stop_gradient(x) for name, x in outputs.items()}

    def _padded(self, waveforms):
        """Return waveforms `(batch, samples)` of whole patches, and how many patches."""
        return whole_patches(waveforms[:, :, 0], self.window_samples, self.hop_samples)

    def _one_by_one(self, padded, n_patches) -> dict:
        def own(waveform):
            # YAMNet pads too, and by rounding sometimes a patch more, in which there is nothing.
            return {name: x[:n_patches] for name, x in self._run(waveform).items()}

        return tf.map_fn(
            own,
            padded,
            fn_output_signature={
                name: tf.TensorSpec((None, size), tf.float32)
                for name, size in self._sizes().items()
            },
        )

    def compute_output_spec(self, waveforms):
        if not self.built:
            self.build(waveforms.shape)
            self.built = True
        batch, n_samples, _ = waveforms.shape
        patches = n_samples if n_samples is None else self.n_patches(n_samples)
        return {
            name: keras.KerasTensor((batch, patches, size)) for name, size in self._sizes().items()
        }

    def get_config(self):
        return {
            **super().get_config(),
            "handle": self.handle,
            "embedding_size": self.embedding_size,
            "hop_samples": self.hop_samples,
            "window_samples": self.window_samples,
            "embedding_output": self.embedding_output,
            "scores_output": self.scores_output,
            "n_labels": self.n_labels,
        }
