import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmat.models.words import everyday_sound, everyday_sounds, stems
from mmat.pretrained.registry import yamnet


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


@pytest.mark.parametrize("label", ["play", "fall", "start", "tax return", "the", "", "dog train"])
def test_what_says_little_alone_is_no_sound(label):
    assert everyday_sound(label) is None
