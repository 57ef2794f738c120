"""A frozen audio network in TF-Hub's form as a Keras layer."""

import keras
import tensorflow as tf

from mmat.errors import InputError
from mmat.models.pretrained.audio_registry import AudioEncoder
from mmat.models.pretrained.hub import load_hub_model


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
    network itself. Raises InputError when the network cannot be loaded or answers otherwise.

    >>> from mmat.models.pretrained.audio_registry import yamnet
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
    def of(cls, encoder: AudioEncoder, **kwargs) -> "HubAudioEncoder":
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

    def n_patches(self, n_samples: int) -> int:
        """Return the number of patches of a waveform of that length."""
        return 1 + -(-max(n_samples - self.window_samples, 0) // self.hop_samples)

    def build(self, input_shape):
        with tf.init_scope():
            self._network = load_hub_model(self.handle)
            self._try_network()

    def _try_network(self) -> None:
        """Hold the network to what the layer was told of it, on silence of two patches."""
        silence = tf.zeros([self.window_samples + self.hop_samples])
        wanted = {name: (2, size) for name, size in self._sizes().items()}
        try:
            got = {name: tuple(x.shape) for name, x in self._answer(silence).items()}
        except (ValueError, TypeError, LookupError, AttributeError, tf.errors.OpError) as error:
            got = " ".join(str(error).split())[:200]
        if got != wanted:
            raise InputError(
                f"model {self.handle}: no encoder as described: on {len(silence)} samples it gives "
                f"{got}, expected {wanted}; name another model, or describe it by an AudioEncoder"
            )

    def _sizes(self) -> dict[str, int]:
        scores = {"scores": self.n_labels} if self.n_labels else {}
        return {"embedding": self.embedding_size} | scores

    def _answer(self, waveform) -> dict:
        answer = self._network(waveform)
        places = {"embedding": self.embedding_output, "scores": self.scores_output}
        return {
            name: answer if places[name] is None else answer[places[name]] for name in self._sizes()
        }

    def call(self, waveforms):
        n_samples = tf.shape(waveforms)[1]
        beyond = tf.maximum(n_samples - self.window_samples, 0)
        n_patches = 1 + -(-beyond // self.hop_samples)
        whole = self.window_samples + (n_patches - 1) * self.hop_samples
        padded = tf.pad(waveforms[:, :, 0], [[0, 0], [0, whole - n_samples]])

        def own(waveform):
            # YAMNet pads too, and by rounding sometimes a patch more, in which there is nothing.
            return {name: x[:n_patches] for name, x in self._answer(waveform).items()}

        # One waveform after the other, as the network takes them: as fast here as all in one.
        answer = tf.map_fn(
            own,
            padded,
            fn_output_signature={
                name: tf.TensorSpec((None, size), tf.float32)
                for name, size in self._sizes().items()
            },
        )
        # Nothing of it learns, so no gradient need be kept for the way back.
        return {name: tf.stop_gradient(x) for name, x in answer.items()}

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
