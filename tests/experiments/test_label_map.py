"""What docs/cmu_mosi.md says of the label map and sentiment, held against the real encoder."""

import numpy as np
import pytest

from experiments import label_map
from experiments.label_map import NAMES, POLES, SOUNDS, correlation, similarities_of_names

PEOPLE = {"ballplayer", "groom", "scuba diver"}  # the only ones among ImageNet's names


@pytest.fixture(scope="module")
def found(models_cache):
    return similarities_of_names()


def nearest(found, name, k=10):
    names, similarities = found
    order = np.argsort(-similarities[:, NAMES.index(name)], kind="stable")
    return [names[i] for i in order[:k]]


def test_nothing_that_can_be_seen_is_near_to_sentiment(found):
    _, similarities = found
    largest = dict(zip(NAMES, similarities.max(axis=0), strict=True))
    sounds = {name for pair in SOUNDS for name in pair}
    others = NAMES[: -len(sounds)]
    assert set(others).isdisjoint(sounds)
    assert all(largest[name] < 0.6 for name in others)
    assert all(largest[name] > 0.65 for name in sounds)


@pytest.mark.parametrize("name", ["sentiment", *POLES[0]])
def test_nearest_to_sentiment_are_no_people(found, name):
    assert set(found[0]) >= PEOPLE
    assert PEOPLE.isdisjoint(nearest(found, name))


def test_the_map_knows_a_dog_and_a_train_when_it_is_asked(found):
    assert {"dogsled", "Eskimo dog", "beagle", "pug"} <= set(nearest(found, "Dog"))
    assert {"bullet train", "steam locomotive"} <= set(nearest(found, "Train"))


def test_the_poles_of_sentiment_are_more_alike_than_a_train_and_a_bus(found):
    _, similarities = found
    poles = correlation(similarities, *POLES[0])
    assert poles > 0.8
    assert all(correlation(similarities, *pair) < poles for pair in SOUNDS)


def test_the_tables_name_all_that_was_asked(found, capsys):
    label_map.main(["sentiment"])
    table = capsys.readouterr().out
    assert all(f"| {name} " in table for name in NAMES)
    assert sum(line.startswith("| ") for line in table.splitlines()) == 2 + len(NAMES) + 5
