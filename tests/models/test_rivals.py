"""Labels that compete: which are rivals, what is left of a weaker one, and what yields to what."""

import numpy as np
import pytest

from mmat.models.kin import N_RIVALS, competition, kin_pairs, speech_and_other_acts
from mmat.models.name_maps import THRESHOLD
from mmat.models.rivals import Competing
from mmat.pretrained.registry import yamnet
from tests.models.layer_checks import check_layer


def test_layers():
    scores = np.random.default_rng(0).random((2, 4, 3)).astype(np.float32)
    check_layer(Competing, {"power": 0.5}, scores)
    check_layer(Competing, {"kin": [(0, 2)], "yields": ([0], [1, 2])}, scores)


def test_competing_leaves_the_highest_and_silence_as_they_are():
    scores = np.random.default_rng(0).random((2, 5, 4)).astype(np.float32)
    scores[0, 0] = 0
    answer = np.asarray(Competing()(scores))
    np.testing.assert_array_equal(answer.max(axis=-1), scores.max(axis=-1))
    assert (answer <= scores).all() and not answer[0, 0].any()
    np.testing.assert_array_equal(Competing()(scores[..., :1]), scores[..., :1])


def test_kin_are_no_rivals_and_others_are():
    scores = np.random.default_rng(0).random((2, 50, N_RIVALS)).astype(np.float32)
    kin = [(0, 1), (2, 5), (2, 6)]
    found = np.asarray(Competing(kin=kin)(scores))
    for label in range(N_RIVALS):
        own = {label} | {other for pair in kin if label in pair for other in pair}
        rival = np.delete(scores, list(own), axis=-1).max(axis=-1)
        expected = scores[..., label] * np.minimum(scores[..., label] / rival, 1)
        np.testing.assert_allclose(found[..., label], expected, rtol=1e-5)


def test_a_layer_of_an_older_model_has_no_kin():
    scores = np.random.default_rng(0).random((1, 3, 4)).astype(np.float32)
    older = Competing.from_config({"name": "frame", "dtype": "float32", "power": 1.0})
    expected = scores**2 / scores.max(axis=-1, keepdims=True)
    np.testing.assert_allclose(np.asarray(older(scores)), expected, rtol=1e-6)


@pytest.mark.parametrize("n_labels", [2, 34, 521])
def test_a_strong_label_fires_whatever_competes_with_it(n_labels):
    """Above the root of the threshold a label's own evidence is enough, however many compete."""
    scores = np.random.default_rng(0).random((1, 200, 30)).astype(np.float32)
    strong = scores >= np.sqrt(THRESHOLD)
    assert strong.any() and not strong.all()
    found = np.asarray(Competing(competition(n_labels))(scores))
    np.testing.assert_array_equal(found[strong] >= THRESHOLD, True)


def test_the_more_labels_the_harder_a_weak_one_has_it():
    scores = np.float32([[[0.4, 0.15]]])
    weak = [float(Competing(competition(n))(scores)[0, 0, 1]) for n in (2, 16, 34, 521)]
    assert weak[0] == weak[1] > weak[2] > weak[3] > 0


def test_speech_yields_to_a_laugh_that_is_heard_and_to_nothing_else():
    labels = ["Speech", "Laughter", "Dog"]
    yields = speech_and_other_acts(np.eye(3), labels)
    labelled = {"kin": [(0, 1)], "yields": yields}
    moments = np.float32([[[0.6, 0.1, 0.0], [0.6, 0.01, 0.0], [0.6, 0.0, 0.6], [0.99, 0.1, 0.0]]])
    before = np.asarray(Competing(kin=labelled["kin"])(moments))
    found = np.asarray(Competing(**labelled)(moments))
    assert found[0].argmax(axis=-1).tolist() == [labels.index("Laughter"), 0, 0, 0]
    np.testing.assert_array_equal(found[0, 1:], before[0, 1:])
    np.testing.assert_array_equal(found[..., 1:], before[..., 1:])
    assert found[0, 0, 0] >= THRESHOLD  # strong evidence fires all the same


def test_a_child_is_not_silenced_by_its_parent_among_521_names(models_cache):
    names = yamnet.labels()
    parent, child = names.index("Animal"), names.index("Bark")
    scores = np.zeros((1, 1, len(names)), np.float32)
    scores[..., parent], scores[..., child] = 0.9, 0.06
    kin = kin_pairs(np.eye(len(names), dtype=np.float32), names)
    found = np.asarray(Competing(competition(len(names)), kin)(scores))
    np.testing.assert_array_equal(found, scores)
