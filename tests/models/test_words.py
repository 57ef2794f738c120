import csv
import pathlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmat.labels import LabelSet
from mmat.models.label_map import asked_names, imagenet_hypernyms, matched_similarities
from mmat.models.name_maps import sound_similarities
from mmat.models.words import everyday_sound, everyday_sounds, stems
from mmat.pretrained.registry import imagenet_labels, yamnet

FACTS = pathlib.Path(__file__).parents[2] / "experiments" / "label_names.csv"


@pytest.mark.parametrize(
    "forms",
    [
        ("bark", "barks", "barking", "a bark", "The BARKING sound"),
        ("crying baby", "a baby cries", "baby_cry", "the cry of a baby", "baby's crying"),
        ("sneeze", "sneezes", "sneezing"),
        ("hum", "hums", "humming"),
        ("purr", "purrs", "purring"),
    ],
)
def test_forms_of_a_phrase_share_their_stems(forms):
    assert len({stems(form) for form in forms}) == 1


@pytest.mark.parametrize(
    ("one", "other"),
    [("ring", "r"), ("sing", "song"), ("bus", "bu"), ("glass", "glas s"), ("", "x")],
)
def test_other_words_have_other_stems(one, other):
    assert stems(one) != stems(other)


@given(st.text())
def test_only_a_text_without_words_has_no_stems(text):
    assert bool(stems(text)) == any(map(str.isalnum, text.casefold()))


def test_the_list_means_audiosets_names_and_each_entry_finds_a_row(models_cache):
    known = set(yamnet.labels())
    for row in everyday_sounds():
        assert row.words or row.verbs and row.things
        assert set(row.names) <= known, row
    assert len({w for row in everyday_sounds() for w in row.words}) == sum(
        len(row.words) for row in everyday_sounds()
    ), "a word that means two sounds alone"


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


@pytest.mark.parametrize("label", ["play", "fall", "start", "tax return", "the", "", "dog train"])
def test_what_says_little_alone_is_no_sound(label):
    assert everyday_sound(label) is None


def test_a_sound_is_heard_and_a_thing_is_seen_too(models_cache):
    images, hypernyms = imagenet_labels(), imagenet_hypernyms()
    labels = LabelSet.of(["ticking clock", "puppy", "Dog"])
    seen = matched_similarities(images, labels, None, 0.75, hypernyms)
    assert not seen[:, 0].any()  # a tick is an animal to ImageNet
    assert seen[:, 1].sum() == 118
    np.testing.assert_array_equal(seen[:, 1], seen[:, 2])


def test_underscores_are_spaces():
    assert asked_names(LabelSet.of(["crying_baby"]), 0) == ("crying baby",)


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
