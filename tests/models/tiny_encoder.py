"""A small audio network in TF-Hub's form: fixed random projections of short stretches of sound.

For every test that names this module in `pytest_plugins`.
"""

import numpy as np
import pytest
import tensorflow as tf

from mmat.pretrained.registry import AudioEncoder

SIZE, N_LABELS, HOP, WINDOW = 5, 3, 800, 1200


def project(waveform: np.ndarray, n_patches: int) -> np.ndarray:
    """What the network says of a waveform `(samples,)`: its own patches, by a plain loop."""
    weights = np.random.default_rng(2).normal(0, 1, (WINDOW, SIZE)).astype(np.float32)
    padded = np.pad(waveform, (0, WINDOW + n_patches * HOP))
    return np.tanh([padded[i * HOP : i * HOP + WINDOW] @ weights for i in range(n_patches)])


@pytest.fixture(scope="session")
def encoder_folder(tmp_path_factory):
    """The network as a SavedModel that answers by name."""
    weights = tf.Variable(np.random.default_rng(2).normal(0, 1, (WINDOW, SIZE)), dtype=tf.float32)
    module = tf.Module()
    module.weights = weights

    @tf.function(input_signature=[tf.TensorSpec((None,), tf.float32)])
    def encode(waveform):
        patches = tf.signal.frame(waveform, WINDOW, HOP)
        embedding = tf.tanh(patches @ weights)
        return {"embedding": embedding, "scores": tf.sigmoid(embedding[:, :N_LABELS])}

    module.__call__ = encode
    folder = tmp_path_factory.mktemp("encoder")
    tf.saved_model.save(module, str(folder))
    return folder


@pytest.fixture(scope="session")
def tiny_encoder(encoder_folder) -> AudioEncoder:
    return AudioEncoder(
        name="tiny",
        handle=str(encoder_folder),
        embedding_size=SIZE,
        hop_seconds=HOP / 16_000,
        window_seconds=WINDOW / 16_000,
        embedding_output="embedding",
        scores_output="scores",
        n_labels=N_LABELS,
    )
