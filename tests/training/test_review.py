"""Figures by label out of fold, and the labels that are doubted."""

import csv

import numpy as np
import pytest

from mmat.labels import MULTI_CLASS, MULTI_LABEL
from mmat.metrics.tagging import average_precision
from mmat.training.review import (
    NOT_HEARD,
    NOT_LABELLED,
    NOT_MEASURED,
    UNSURE,
    Doubt,
    doubted,
    gain,
    label_figures,
    moment,
    write_review,
)

N_CLIPS = 60
NAMES = ("Dog", "Cat", "Owl")


@pytest.fixture
def clips():
    """Truth, two systems of which the second is better, and a source group a clip."""
    rng = np.random.default_rng(0)
    truth = np.eye(3, dtype=bool)[np.arange(N_CLIPS) % 3]
    noise = rng.uniform(0, 1, truth.shape)
    untrained, learnt = ((noise + share * truth) / (1 + share) for share in (0.2, 0.9))
    groups = [(f"{i // 3}",) for i in range(N_CLIPS)]
    return truth, untrained.astype(np.float32), learnt.astype(np.float32), groups


def test_a_label_has_its_average_precision_out_of_fold(clips):
    truth, untrained, learnt, _ = clips
    for c, found in enumerate(label_figures(NAMES, *clips)):
        assert (found.label, found.clips, found.groups) == (NAMES[c], 20, 20)
        assert found.untrained == average_precision(truth[:, c], untrained[:, c])
        assert found.learnt == average_precision(truth[:, c], learnt[:, c]) > found.untrained
        assert found.trust == ""


def test_what_cannot_be_held_out_is_not_measured(clips):
    truth, untrained, learnt, groups = clips
    learnt[:, 1] = np.nan
    learnt[truth[:, 2], 2] = np.nan
    _, cat, owl = label_figures(NAMES, truth, untrained, learnt, groups)
    for found in (cat, owl):
        assert (found.clips, found.learnt, found.trust) == (20, None, NOT_MEASURED)


def test_few_groups_are_marked(clips):
    truth, untrained, learnt, _ = clips
    groups = [(f"{i % 4}",) for i in range(N_CLIPS)]
    assert {found.trust for found in label_figures(NAMES, truth, untrained, learnt, groups)} == {
        UNSURE
    }
    one = [("park",)] * N_CLIPS
    assert {found.trust for found in label_figures(NAMES, truth, untrained, learnt, one)} == {
        NOT_MEASURED
    }


def test_the_gain_is_the_difference_of_the_means(clips):
    found = gain(*clips)
    assert found["estimate"] == pytest.approx(found["learnt"] - found["untrained"])
    assert 0 < found["low"] < found["estimate"] < found["high"]
    means = np.mean([each[3:5] for each in label_figures(NAMES, *clips)], axis=0)
    assert [found["untrained"], found["learnt"]] == pytest.approx(means)


def test_there_is_no_gain_where_most_clips_were_not_held_out(clips):
    truth, untrained, learnt, groups = clips
    learnt[: N_CLIPS // 2 + 1] = np.nan
    assert gain(truth, untrained, learnt, groups) is None


def test_the_clip_with_another_label_is_doubted_first():
    truth = np.eye(3, dtype=bool)[np.arange(N_CLIPS) % 3]
    scores = np.where(truth, 0.9, 0.05).astype(np.float32)
    truth[7] = [True, False, False]  # it is a cat
    found = doubted(MULTI_LABEL, truth, scores, [0.5] * 3)
    assert found == [(7, 0), (7, 1)]
    assert doubted(MULTI_CLASS, truth, scores, [0.0] * 3) == [(7, 0)]


def test_a_label_is_doubted_where_one_that_the_clip_lacks_is_likelier():
    truth = np.array([[True, False]] * 3)
    scores = np.float32([[0.2, 0.3], [0.3, 0.2], [0.8, 0.9]])
    assert doubted(MULTI_LABEL, truth, scores, [0.1, 0.1]) == [(2, 1), (0, 0)]


def test_silence_is_no_doubt_and_neither_is_what_was_not_held_out():
    truth = np.eye(2, dtype=bool)
    scores = np.float32([[0.01, 0.02], [np.nan, np.nan]])
    assert doubted(MULTI_LABEL, truth, scores, [0.5, 0.5]) == []


@pytest.mark.parametrize(("n_clips", "most"), [(60, 10), (1000, 50)])
def test_doubts_are_few_and_the_worst(n_clips, most):
    rng = np.random.default_rng(0)
    truth = rng.random((n_clips, 4)) < 0.5
    scores = rng.random((n_clips, 4)).astype(np.float32)
    found = doubted(MULTI_LABEL, truth, scores, [0.5] * 4)
    assert len(found) == len(set(found)) == most
    losses = [-np.log(scores[x] if truth[x] else 1 - scores[x]) for x in found]
    assert losses == sorted(losses, reverse=True)


def test_a_moment_is_around_the_highest_score():
    scores = np.zeros(100, np.float32)
    scores[[3, 4]], scores[40:52] = 0.5, 0.8
    assert moment(scores) == (4.0, 5.2)
    assert moment(np.ones(7, np.float32)) == (0.0, 0.7)


def test_the_files_of_a_review(tmp_path):
    doubts = [
        Doubt("Dog/a.wav", "Dog", NOT_HEARD, 0.125, 1.5, 2.5, "park;home"),
        Doubt("Dog/a.wav", "Cat, kitten", NOT_LABELLED, 0.875, 3.0, 4.0, "park"),
        Doubt("b.wav", "Dog", NOT_HEARD, 0.25, 0.0, 0.5, "b.wav"),
    ]
    write_review(tmp_path, doubts)
    with open(tmp_path / "review.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["label"] for row in rows] == ["Dog", "Cat, kitten", "Dog"]
    assert rows[0] == {
        "file": "Dog/a.wav",
        "label": "Dog",
        "doubt": NOT_HEARD,
        "score": "0.125",
        "start_seconds": "1.5",
        "end_seconds": "2.5",
        "source_group": "park;home",
    }
    track = (tmp_path / "review" / "Dog" / "a.wav.txt").read_text()
    assert track == (
        f"1.500000\t2.500000\tDog ({NOT_HEARD})\n3.000000\t4.000000\tCat, kitten ({NOT_LABELLED})\n"
    )
    assert (tmp_path / "review" / "b.wav.txt").is_file()
