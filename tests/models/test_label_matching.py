import numpy as np
import pytest

from mmat.labels import LabelSet
from mmat.lists.read import named_label_set
from mmat.models.label_map import (
    asked_names,
    imagenet_hypernyms,
    matched_similarities,
    sound_label_names,
)
from mmat.models.pretrained.registry import imagenet_labels, yamnet
from mmat.models.pretrained.text import embedded_text_encoder

FLOOR = 0.7


def no_encoder():
    raise AssertionError("names that are the same need no encoder")


@pytest.fixture(scope="module")
def sound_names(models_cache):
    names = LabelSet.of(yamnet.labels())
    return [sound_label_names(names, index) for index in range(len(names))]


def outputs_of(names, labels, hypernyms=None, make_encoder=no_encoder):
    """The whole names of the outputs that each label is."""
    found = matched_similarities(names, labels, make_encoder, FLOOR, hypernyms)
    return [[names[row][0] for row in np.flatnonzero(column)] for column in found.T]


@pytest.mark.parametrize("written", [str, str.upper, str.lower])
def test_exact_names_are_their_own_outputs_and_no_others(sound_names, written):
    labels = LabelSet.of(written(name) for name in yamnet.labels())
    found = matched_similarities(sound_names, labels, no_encoder, FLOOR)
    np.testing.assert_array_equal(found, np.eye(521))


def test_the_names_of_dcase_2017_are_their_own_sounds(sound_names):
    labels = named_label_set("dcase2017")
    assert outputs_of(sound_names, labels) == [[name] for name in labels.names]


def test_parts_of_names_count(sound_names):
    labels = LabelSet.of(["wasp", "Bus, truck", "Siren (distant)"])
    assert outputs_of(sound_names, labels) == [["Bee, wasp, etc."], ["Truck", "Bus"], ["Siren"]]


def test_a_kind_of_thing_is_every_thing_of_that_kind(models_cache):
    images, hypernyms = imagenet_labels(), imagenet_hypernyms()
    assert len(hypernyms) == len(images) and all(hypernyms)
    dogs, birds = outputs_of(images, LabelSet.of(["Dog", "Bird"]), hypernyms)
    assert {"golden retriever", "Chihuahua"} <= set(dogs) and len(dogs) == 118
    assert {"hen", "magpie"} <= set(birds) and not set(dogs) & set(birds)


def test_a_shared_output_is_the_label_that_names_it_most_closely(models_cache):
    images, hypernyms = imagenet_labels(), imagenet_hypernyms()
    hen, bird, animal = outputs_of(images, LabelSet.of(["Hen", "Bird", "Animal"]), hypernyms)
    assert hen == ["hen"]
    assert "hen" not in bird and "magpie" in bird
    assert "magpie" not in animal and "golden retriever" in animal


def test_a_label_with_synonyms_is_what_they_say(models_cache):
    labels = LabelSet(("Dog",), synonyms=(("beagle", "pug"),))
    assert outputs_of(imagenet_labels(), labels, imagenet_hypernyms()) == [["beagle", "pug"]]


def test_the_rest_is_the_nearest_names_or_nothing(sound_names):
    labels = LabelSet.of(["Dog", "Car horn honking", "Quarterly tax return", "zzqx"])
    found = matched_similarities(sound_names, labels, embedded_text_encoder, FLOOR)
    assert found[yamnet.labels().index("Dog"), 0] == found[:, 0].sum() == 1
    nearest = found[:, 1].argmax()
    assert yamnet.labels()[nearest] == "Vehicle horn, car horn, honking"
    assert FLOOR <= found[nearest, 1] < 1
    assert not found[:, 2:].any()
    assert not ((found > 0) & (found < FLOOR)).any()


def test_brackets_are_left_off_but_never_everything():
    assert asked_names(LabelSet.of(["(music)"]), 0) == ("(music)",)
    assert asked_names(LabelSet.of(["Ambulance (siren)"]), 0)[-1] == "Ambulance"
