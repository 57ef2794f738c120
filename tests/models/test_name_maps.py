"""Labels mapped to the names of pretrained networks: which they find, and what finds none."""

import csv
import pathlib

import numpy as np
import pytest

from mmat.labels import MULTI_CLASS, MULTI_LABEL, LabelSet
from mmat.metrics.thresholds import NEVER_FIRES
from mmat.models.name_maps import IMAGE_FLOOR, SOUND_FLOOR, name_maps, sound_similarities
from mmat.pretrained.registry import efficientnet_lite0, yamnet

pytest_plugins = ["tests.models.tiny_encoder"]

FACTS = pathlib.Path(__file__).parents[2] / "experiments" / "label_names.csv"


def test_each_network_knows_what_it_has_names_for(models_cache):
    """By both, by the ear alone, by the eye alone, by the ear by likeness, and by neither."""
    names = ("Dog", "Screaming", "Banana", "Car horn honking", "Quarterly tax return")
    maps = name_maps(LabelSet(names, task=MULTI_CLASS), yamnet, efficientnet_lite0, threshold=0.25)
    assert maps.labels == LabelSet(names, task=MULTI_LABEL)
    for similarities, n_names, floor, known in (
        (maps.hears, 521, SOUND_FLOOR, [True, True, False, True, False]),
        (maps.sees, 1000, IMAGE_FLOOR, [True, False, True, False, False]),
    ):
        assert similarities.shape == (n_names, 5) and similarities.dtype == np.float32
        assert similarities.any(axis=0).tolist() == known
        assert ((similarities == 0) | (similarities >= floor)).all() and similarities.max() <= 1
    assert maps.thresholds.tolist() == [0.25] * 4 + [NEVER_FIRES]


def test_a_network_without_names_has_no_rows(tiny_encoder):
    assert sound_similarities(LabelSet.of(["Dog", "Cat"]), tiny_encoder).shape == (0, 2)


@pytest.mark.parametrize(
    ("label", "name"),
    [
        ("Woof", "Bark"),
        ("barking dog", "Bark"),
        ("meowing cat", "Meow"),
        ("a cow mooing", "Moo"),
        ("mooing", "Moo"),
        ("oinking pig", "Oink"),
        ("the neigh of a horse", "Neigh, whinny"),
        ("ducks quacking", "Quack"),
        ("siren wailing", "Siren"),
        ("hen", "Chicken, rooster"),
        ("wailing baby", "Baby cry, infant cry"),
    ],
)
def test_verbs_and_common_sounds_are_their_names(label, name, models_cache):
    similarities = sound_similarities(LabelSet.of([label]))[:, 0]
    assert [yamnet.labels()[i] for i in np.flatnonzero(similarities)] == [name]


@pytest.mark.parametrize(
    ("data_set", "least"), [("ESC-50", 49), ("UrbanSound8K", 10), ("FSD50K", 195)]
)
def test_label_names_of_data_sets_find_audiosets(data_set, least, models_cache):
    with FACTS.open(encoding="utf-8", newline="") as file:
        facts = [fact for fact in csv.DictReader(file) if fact["set"] == data_set]
    found = sound_similarities(LabelSet.of(fact["label"] for fact in facts))
    right = 0
    for column, fact in zip(found.T, facts, strict=True):
        names = {
            yamnet.labels()[i] for i in np.flatnonzero((column > 0) & (column == column.max()))
        }
        wanted = {name for name in fact["right"].split(";") if name}
        assert wanted <= set(yamnet.labels())
        right += names <= wanted and bool(names) == bool(wanted)
    assert right >= least
