"""The linear probe: scikit-learn's own minimum, a choice over sources, and classes that lack."""

import numpy as np
import pytest
import threadpoolctl
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from experiments.linear_probe import DEFAULT_C, GRID, choose_c, fit_probe
from mmat.labels import MULTI_CLASS, MULTI_LABEL

SIZE = 300  # more than there are clips, as embeddings have


@pytest.fixture(autouse=True)
def one_thread():
    """Products this small take their threads longer to share than to compute."""
    with threadpoolctl.threadpool_limits(1, "blas"):
        yield


def made(n_clips: int, noise: float, seed: int = 0):
    """Embeddings, one-hot truth of three classes and a group for every two clips."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n_clips) % 3
    centers = np.random.default_rng(9).normal(0, 1, (3, SIZE))
    embeddings = 5 + centers[labels] + noise * rng.normal(0, 1, (n_clips, SIZE))
    return embeddings, np.eye(3, dtype=bool)[labels], [(f"{i // 6}",) for i in range(n_clips)]


def test_scores_are_those_of_scikit_learn_on_standardised_embeddings():
    embeddings, truth, groups = made(30, 3.0)
    others = made(12, 3.0, seed=1)[0]
    probe = fit_probe(embeddings, truth, groups, MULTI_CLASS)
    scaler = StandardScaler().fit(embeddings)
    options = {"C": probe.c, "max_iter": 100_000, "tol": 1e-9}
    plain = LogisticRegression(**options).fit(scaler.transform(embeddings), truth.argmax(axis=1))
    expected = plain.predict_proba(scaler.transform(others))
    assert np.abs(probe.scores(others) - expected).max() < 2e-3


def test_labels_that_may_be_true_together_each_have_a_regression():
    embeddings, truth, groups = made(30, 3.0)
    truth[:, 2] |= truth[:, 0]
    probe = fit_probe(embeddings, truth, groups, MULTI_LABEL)
    scaler = StandardScaler().fit(embeddings)
    options = {"C": probe.c, "max_iter": 100_000, "tol": 1e-9}
    for label in range(3):
        plain = LogisticRegression(**options).fit(scaler.transform(embeddings), truth[:, label])
        expected = plain.predict_proba(scaler.transform(embeddings))[:, 1]
        assert np.abs(probe.scores(embeddings)[:, label] - expected).max() < 2e-3


def test_weights_are_held_more_strongly_where_sources_disagree():
    embeddings, truth, groups = made(60, 1.0)
    mixed = truth[np.random.default_rng(0).permutation(60)]
    clear, noise = (fit_probe(embeddings, own, groups, MULTI_CLASS).c for own in (truth, mixed))
    assert clear > 100 * noise


def test_one_source_alone_leaves_the_default():
    embeddings, truth, _ = made(12, 1.0)
    assert choose_c(embeddings, truth, [("one",)] * 12, MULTI_CLASS, SIZE) == DEFAULT_C
    assert DEFAULT_C in GRID


def test_a_class_that_no_other_source_has_cannot_be_judged():
    embeddings, truth, _ = made(3, 1.0)
    assert choose_c(embeddings, truth, [("a",), ("b",), ("c",)], MULTI_CLASS, SIZE) == DEFAULT_C


@pytest.mark.parametrize("task", [MULTI_CLASS, MULTI_LABEL], ids=str)
def test_a_class_without_a_clip_keeps_its_share(task):
    embeddings, truth, groups = made(30, 1.0)
    kept = truth[:, 2] == 0
    groups = [own for own, yes in zip(groups, kept, strict=True) if yes]
    probe = fit_probe(embeddings[kept], truth[kept], groups, task)
    scores = probe.scores(embeddings)
    assert (scores[:, 2] == 0).all()
    assert (scores[kept, :2].argmax(axis=1) == truth[kept, :2].argmax(axis=1)).all()


def test_a_label_that_is_always_true_scores_1():
    embeddings, truth, groups = made(12, 1.0)
    truth[:, 0] = True
    assert (fit_probe(embeddings, truth, groups, MULTI_LABEL).scores(embeddings)[:, 0] == 1).all()


def test_a_missing_part_is_as_in_the_mean_clip():
    embeddings, truth, groups = made(30, 1.0)
    lacking = embeddings.copy()
    lacking[0, SIZE // 2 :] = np.nan
    probe = fit_probe(lacking, truth, groups, MULTI_CLASS)
    filled = lacking.copy()
    filled[0, SIZE // 2 :] = np.nanmean(lacking[:, SIZE // 2 :], axis=0)
    assert probe.scores(lacking) == pytest.approx(probe.scores(filled), abs=1e-9)


def test_what_hardly_moved_in_training_does_not_outweigh_all_else():
    embeddings, truth, groups = made(30, 1.0)
    embeddings[:, 0] = 1e-20 * np.arange(30)
    others, other_truth, _ = made(12, 1.0, seed=1)
    others[:, 0] = 1.0
    scores = fit_probe(embeddings, truth, groups, MULTI_CLASS).scores(others)
    assert (scores.argmax(axis=1) == other_truth.argmax(axis=1)).all()
