import numpy as np
import pytest

from mmat.labels import LabelSet
from mmat.lists.read import named_label_set
from mmat.models.label_map import (
    asked_names,
    imagenet_hypernyms,
    label_similarities,
    matched_similarities,
    nearest_labels,
    sound_label_names,
)
from mmat.pretrained.registry import imagenet_labels, yamnet
from mmat.pretrained.text import embedded_text_encoder

SOUNDS = LabelSet(
    ("Fire engine, fire truck (siren)", "Train", "Cattle, bovinae"),
    synonyms=((), (), ("cow", "ox")),
)
FLOOR = 0.7


@pytest.fixture(scope="module")
def encoder(models_cache):
    encoder = embedded_text_encoder()
    encoder(["its weights are read now, while the cache is where they are"])
    return encoder


@pytest.fixture
def empty_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MMAT_CACHE", str(tmp_path))
    return tmp_path


def test_similarities_are_the_best_over_pairs_of_names(encoder, empty_cache):
    images = [("fire engine", "fire truck"), ("banana",), ("ox",), ("tench", "Tinca tinca", "fish")]
    similarities = label_similarities(images, SOUNDS, encoder)
    assert similarities.shape == (4, 3) and similarities.dtype == np.float32
    for row, image_names in enumerate(images):
        for column in range(len(SOUNDS)):
            pairs = [
                float(np.dot(*encoder([image_name, sound_name])))
                for image_name in image_names
                for sound_name in sound_label_names(SOUNDS, column)
            ]
            assert similarities[row, column] == pytest.approx(max(pairs), abs=1e-5)
    assert similarities[0, 0] > 0.89
    assert similarities[1, 1] == pytest.approx(0.27, abs=0.01)
    assert similarities[2, 2] == pytest.approx(1, abs=1e-5)  # by a synonym


def test_similarities_are_computed_once(encoder, empty_cache):
    images = [("dog",), ("cat", "tabby")]
    label_similarities(images, SOUNDS, encoder)
    (kept,) = (empty_cache / "similarities").iterdir()
    np.save(kept, np.full((2, 3), 0.5, np.float32))
    assert (label_similarities(images, SOUNDS, encoder) == 0.5).all()
    assert (label_similarities([("dog",), ("cat",)], SOUNDS, encoder) != 0.5).any()
    assert len(list((empty_cache / "similarities").iterdir())) == 2


def test_imagenets_labels_lie_near_the_sounds_they_make(encoder, models_cache):
    labels = imagenet_labels()
    similarities = label_similarities(labels, SOUNDS, encoder)
    assert similarities.shape == (1000, 3)
    nearest = nearest_labels(similarities, labels, k=3)
    assert nearest[0][0][0] == "fire engine"
    assert "bullet train" in [name for name, _ in nearest[1]]
    assert nearest[2][0][0] == "ox"
    for column, rows in enumerate(nearest):
        values = [value for _, value in rows]
        assert values == sorted(values, reverse=True)
        assert values[0] == similarities[:, column].max()


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


def test_a_sound_is_heard_and_a_thing_is_seen_too(models_cache):
    images, hypernyms = imagenet_labels(), imagenet_hypernyms()
    labels = LabelSet.of(["ticking clock", "puppy", "Dog"])
    seen = matched_similarities(images, labels, None, 0.75, hypernyms)
    assert not seen[:, 0].any()  # a tick is an animal to ImageNet
    assert seen[:, 1].sum() == 118
    np.testing.assert_array_equal(seen[:, 1], seen[:, 2])


def test_underscores_are_spaces():
    assert asked_names(LabelSet.of(["crying_baby"]), 0) == ("crying baby",)
