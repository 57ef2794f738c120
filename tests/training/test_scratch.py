"""A network that learns from clips alone: a few epochs on synthesized sounds."""

import numpy as np
import pytest

import mmat
from mmat.files import InputError
from mmat.labels import LabelSet
from mmat.lists.clip import Clip
from mmat.models.bundle import load_bundle
from mmat.models.predict import predict
from mmat.shards.corpus import open_corpus
from mmat.training.scratch import BATCH_SIZE, train_crnn
from tests.training.made_sounds import NOISE, NOTHING, TONE, write_sounds


def prepared(tmp_path, n_seeds, clip_seconds=1.0):
    """Return a corpus of short clips, of which the last seed's are for validation."""
    media = write_sounds(tmp_path / "sounds", range(n_seeds), 1.0)
    clips = [
        Clip(
            f"{label} {i}",
            f"{label}/{i}.wav",
            () if label == NOTHING else (label,),
            split="validation" if i == n_seeds - 1 else "train",
        )
        for label in (TONE, NOISE, NOTHING)
        for i in range(n_seeds)
    ]
    labels, shards = LabelSet.of([TONE, NOISE]), tmp_path / "shards"
    options = {"clip_seconds": clip_seconds, "workers": 0, "progress": False}
    mmat.prepare(clips, media, shards, labels, **options)
    return open_corpus(shards)


def test_it_learns_and_is_saved_without_its_augmentation(tmp_path):
    corpus = prepared(tmp_path, 7)
    model = train_crnn(corpus, epochs=40)
    train = corpus.arrays("train")
    scores, truth = predict(model, train)["clip"], train["weak_labels"] > 0
    assert scores[truth].mean() > scores[~truth].mean() + 0.2
    bundle = mmat.save(model, tmp_path / "model", corpus)
    assert bundle.figures["validation_f1"] is not None
    saved = load_bundle(tmp_path / "model").model
    np.testing.assert_allclose(predict(saved, train)["clip"], scores, atol=1e-6)
    assert not any("augment" in layer.name for layer in saved.layers)


def test_it_learns_the_same_again(tmp_path):
    corpus = prepared(tmp_path, 7)
    first, second = (train_crnn(corpus, epochs=1).get_weights() for _ in range(2))
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one, other)


def test_too_few_clips(tmp_path):
    corpus = prepared(tmp_path, 3)
    assert corpus.splits["train"] < BATCH_SIZE
    with pytest.raises(InputError, match="6 training clips with sound; it takes 16 at least"):
        train_crnn(corpus)
