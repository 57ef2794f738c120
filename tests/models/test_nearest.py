import pytest

from mmat.labels import LabelSet
from mmat.models.names import IMAGE_FLOOR, SOUND_FLOOR, zero_shot_bundle
from mmat.models.nearest import EAR, EYE, SURE, guessed_names, nearest_names
from mmat.models.video import LabelMap


def test_a_name_is_itself_and_a_word_is_what_it_means(models_cache):
    assert [(x.name, x.cosine) for x in nearest_names("siren") if x.sense == EAR] == [("Siren", 1)]
    assert [(x.name, x.sense) for x in nearest_names("Woof")] == [("Bark", EAR)]
    assert {x.sense for x in nearest_names("puppy")} == {EAR, EYE}


def test_other_labels_have_names_at_distances(models_cache):
    near = nearest_names("Tractor engine on a field", 4)
    for sense, floor in ((EAR, SOUND_FLOOR), (EYE, IMAGE_FLOOR)):
        own = [x for x in near if x.sense == sense]
        cosines = [x.cosine for x in own]
        assert len(own) == 4 and cosines == sorted(cosines, reverse=True)
        assert cosines[-1] > 0 and cosines[0] < 1
        assert [x.is_meant for x in own] == [cosine >= floor for cosine in cosines]


def test_nonsense_means_nothing(models_cache):
    near = nearest_names("Quarterly tax return")
    assert near and not any(x.is_meant or x.is_guess for x in near)


def test_guesses_are_what_the_tagger_makes_of_labels(models_cache):
    labels = LabelSet.of(["Dog", "Washing machine", "Woof", "Quarterly tax return", "bike bell"])
    guessed = guessed_names(labels)
    assert set(guessed) == {"Washing machine"}
    (near,) = guessed["Washing machine"]
    assert (near.name, near.sense) == ("Sewing machine", EAR)
    assert SOUND_FLOOR <= near.cosine < SURE
    maps = [x for x in zero_shot_bundle(labels).model.layers if isinstance(x, LabelMap)]
    largest = [float(x.map[:, 1].numpy().max()) for x in maps]
    assert near.cosine == pytest.approx(min(largest))
