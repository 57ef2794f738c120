"""The audio encoders mmat knows: one small record each."""

import dataclasses

from mmat.data.media import SAMPLE_RATE_HZ
from mmat.models.pretrained.registry import EMBEDDED
from mmat.models.pretrained.yamnet import YAMNET_CLASSES, yamnet_labels


@dataclasses.dataclass(frozen=True)
class AudioEncoder:
    """What is to be known of an audio network in TF-Hub's form: waveform in, embeddings out.

    The network takes one waveform, float32 (samples,), mono at 16 kHz in [-1, 1]. Patch p of its
    answer is about `window_seconds` of sound from `p · hop_seconds` on.

    handle: a TF-Hub or other http address, the folder of a SavedModel, or `embedded:NAME` for one
    that mmat makes of fetched weights. embedding_output, scores_output: where in its answer they
    stand, a position or a name; None where the answer is the embeddings alone, and where there are
    no scores. n_labels: how many scores a patch has, 0 without.

    >>> yamnet.embedding_size, yamnet.window_samples
    (1024, 15600)
    """

    name: str
    handle: str
    embedding_size: int
    hop_seconds: float
    window_seconds: float
    embedding_output: int | str | None = None
    scores_output: int | str | None = None
    n_labels: int = 0

    @property
    def hop_samples(self) -> int:
        """Samples from the start of one patch to the next."""
        return round(self.hop_seconds * SAMPLE_RATE_HZ)

    @property
    def window_samples(self) -> int:
        """Samples that a patch is about."""
        return round(self.window_seconds * SAMPLE_RATE_HZ)

    def labels(self) -> tuple[str, ...]:
        """Return the names of the scores in YAMNet's order, and nothing for another network.

        Raises InputError when the names were not fetched.
        """
        return yamnet_labels() if self.n_labels == YAMNET_CLASSES else ()


# 96 frames of log-mel, 10 ms apart and each of 25 ms: 0.975 s in all.
yamnet = AudioEncoder(
    name="yamnet",
    handle=EMBEDDED + "yamnet",
    embedding_size=1024,
    hop_seconds=0.48,
    window_seconds=0.975,
    embedding_output=1,
    scores_output=0,
    n_labels=YAMNET_CLASSES,
)
yamnet_hub = dataclasses.replace(
    yamnet, name="yamnet_hub", handle="https://tfhub.dev/google/yamnet/1"
)
AUDIO_ENCODERS = {encoder.name: encoder for encoder in (yamnet, yamnet_hub)}


def audio_encoder(name_or_handle: str) -> AudioEncoder:
    """Return the record of a known encoder, or that of a network in YAMNet's form by its handle.

    A handle is an http address or a folder. For a network of another form make an `AudioEncoder`.

    >>> audio_encoder("yamnet").handle
    'embedded:yamnet'
    >>> audio_encoder("models/my_yamnet").embedding_size
    1024
    """
    if name_or_handle in AUDIO_ENCODERS:
        return AUDIO_ENCODERS[name_or_handle]
    return dataclasses.replace(yamnet, name=name_or_handle, handle=name_or_handle)
