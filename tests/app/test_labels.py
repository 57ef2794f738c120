"""Labels as they are typed, and which tagger answers to them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmat.app.labels import EXAMPLE, AnyLabels, OneTagger, parse_labels
from mmat.errors import InputError

pytest_plugins = ["tests.serving.tiny"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "there are none; type some"),
        (" ; ;", "there are none; type some"),
        (";".join(map(str, range(51))), "51 of them; ask for 50 at most"),
        ("x" * 101, "x… has 101 letters, 100 are the most"),
    ],
)
def test_what_cannot_be_looked_for_is_refused(text, words):
    with pytest.raises(InputError, match=words):
        parse_labels(text)


@given(st.text(alphabet="ab;, \n", max_size=40))
def test_each_label_comes_once_and_in_order(text):
    try:
        labels = parse_labels(text)
    except InputError:
        assert not text.strip("; \n\t")
        return
    assert labels == tuple(dict.fromkeys(labels)) == parse_labels(";".join(labels))
    assert all(label and ";" not in label and label == label.strip() for label in labels)


def test_any_labels_have_their_tagger_and_no_name_is_read_as_a_file(models_cache, tmp_path):
    taggers = AnyLabels()
    first = taggers.get(EXAMPLE)
    assert first.labels == parse_labels(EXAMPLE) and taggers.get(f" {EXAMPLE};;") is first
    path = tmp_path / "labels.csv"
    path.write_text("index,mid,display_name\n0,,Dog\n")
    assert taggers.get(str(path)).labels == (str(path),)


def test_an_export_answers_whatever_is_typed(exports, tmp_path):
    taggers = OneTagger(exports["audio"])
    assert taggers.get("") is taggers.get("Frog") and len(taggers.get("").labels) == 3
    with pytest.raises(InputError, match="no such folder"):
        OneTagger(tmp_path / "none")
