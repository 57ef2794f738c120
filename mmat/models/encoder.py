"""The beginning of an audio branch on a frozen audio network, in place of the log-mel."""

from collections.abc import Sequence

import keras
from keras import layers, ops

from mmat.models.features import BandNormalization
from mmat.models.pretrained.audio_hub import HubAudioEncoder
from mmat.models.pretrained.audio_registry import AudioEncoder
from mmat.models.ragged import mask_padding


def encoder_trunk(
    encoder: AudioEncoder, frame_samples: int, augmentation: Sequence[layers.Layer], ragged: bool
):
    """Begin an audio branch: its inputs by name, and the normalised embeddings of an encoder.

    The embeddings are float32 `(batch, frames, embedding_size, 1)`, brought to frames of
    `frame_samples` by `PatchesToFrames`, each of their values normalised as a mel band is. In the
    place of a mel and its bands, so what fits and asks audio branches need not know which it has.
    """
    inputs = {"waveform": keras.Input((None, 1), name="waveform")}
    if ragged:
        inputs["n_samples"] = keras.Input((), dtype="int32", name="n_samples")
    n_samples = inputs.get("n_samples")
    # The padding is silence, as that which the encoder adds to a clip's end by itself.
    heard = mask_padding(inputs["waveform"], n_samples, samples_per_step=1)
    patches = HubAudioEncoder.of(encoder, name="encoder")(heard)["embedding"]
    to_frames = PatchesToFrames(encoder.hop_samples, encoder.window_samples, frame_samples)
    x = to_frames([patches, *inputs.values()])  # (batch, frames, embedding_size)
    x = layers.Reshape((-1, encoder.embedding_size, 1))(x)
    x = BandNormalization(name="band_normalization")(x)
    for layer in augmentation:
        x = layer(x)
    return inputs, mask_padding(x, n_samples, frame_samples)


@keras.saving.register_keras_serializable(package="mmat")
class PatchesToFrames(layers.Layer):
    """Bring an encoder's patches to shorter frames, linearly between the patches' centres.

    Inputs: `[patches (batch, patches, size), waveform (batch, samples, 1)]`, and where clips are
    padded their own lengths `n_samples (batch,)`. Output: float32 `(batch,
    ceil(samples / hop_samples), size)`. Frame i is about the samples from `i · hop_samples` on;
    before the first patch's centre and behind the last's that patch holds.

    hop_samples: of a frame; patch_hop_samples, patch_window_samples: of a patch.

    >>> layer = PatchesToFrames(patch_hop_samples=4, patch_window_samples=4, hop_samples=2)
    >>> layer([ops.array([[[0.0], [1.0]]]), ops.zeros((1, 8, 1))]).numpy().ravel().tolist()
    [0.0, 0.25, 0.75, 1.0]
    """

    def __init__(
        self, patch_hop_samples: int, patch_window_samples: int, hop_samples: int, **kwargs
    ):
        super().__init__(**kwargs | {"dtype": "float32"})
        self.patch_hop_samples = patch_hop_samples
        self.patch_window_samples = patch_window_samples
        self.hop_samples = hop_samples

    def call(self, inputs):
        patches, waveform, *n_samples = inputs
        n_patches = ops.shape(patches)[1]
        last = ops.reshape(n_patches - 1, (1, 1))
        if n_samples:  # what lies behind a clip's own last patch is of no account
            beyond = ops.cast(n_samples[0], "int32")[:, None] - self.patch_window_samples
            last = -(-ops.maximum(beyond, 0) // self.patch_hop_samples)
        n_frames = -(-ops.shape(waveform)[1] // self.hop_samples)
        frames = ops.cast(ops.arange(n_frames, dtype="int32"), "float32")
        centres = (frames + 0.5) * self.hop_samples
        places = (centres - self.patch_window_samples / 2) / self.patch_hop_samples
        # (batch or 1, frames)
        places = ops.minimum(ops.maximum(places[None], 0.0), ops.cast(last, "float32"))
        others = ops.cast(ops.arange(n_patches, dtype="int32"), "float32")
        shares = ops.maximum(1.0 - ops.abs(places[:, :, None] - others), 0.0)
        return ops.matmul(shares, patches)

    def compute_output_shape(self, input_shapes):
        (batch, _, size), (_, samples, _), *_ = input_shapes
        return (batch, samples and -(-samples // self.hop_samples), size)

    def get_config(self):
        return super().get_config() | {
            "patch_hop_samples": self.patch_hop_samples,
            "patch_window_samples": self.patch_window_samples,
            "hop_samples": self.hop_samples,
        }
