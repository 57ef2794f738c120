import math
import unicodedata

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from mmat.files import InputError
from mmat.labels import (
    MULTI_CLASS,
    MULTI_LABEL,
    SENTIMENT,
    LabelSet,
    Task,
    clean_name,
    look_alikes,
    regression,
)
from mmat.lists.read import named_label_set


def test_many_names_are_looked_at_once():
    names = [f"label {i}" for i in range(50_000)]
    assert len(LabelSet.of(names)) == 50_000
    with pytest.raises(InputError, match="twice"):
        LabelSet.of([*names, "label 7"])


def test_index():
    labels = LabelSet.from_text("Dog;Cat")
    assert np.array_equal([labels.index(name) for name in labels.names], [0, 1])
    with pytest.raises(InputError, match="unknown label"):
        labels.index("Cow")


@pytest.mark.parametrize("task", [MULTI_LABEL, MULTI_CLASS, regression(-3, 3), regression(0.5, 9)])
def test_a_task_is_read_back_from_its_text(task):
    assert Task.from_text(str(task)) == task
    assert Task.from_text(f"  {str(task).replace(' ', '   ')} ") == task


@pytest.mark.parametrize(
    "text",
    ["both", "multi-class 3", "regression", "regression a b", "regression 1 2 3"],
)
def test_another_text_than_of_a_task_is_reported(text):
    with pytest.raises(InputError, match="unknown task"):
        Task.from_text(text)


@pytest.mark.parametrize("ends", ["3 -3", "1 1", "nan 1", "0 inf"])
def test_an_empty_range_is_reported(ends):
    with pytest.raises(InputError, match="regression: no values lie between"):
        Task.from_text(f"regression {ends}")


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=2, max_size=2))
def test_the_ends_of_a_scale_are_kept_to_the_last_digit(ends):
    assume(ends[0] != ends[1] and math.isfinite(ends[0] - ends[1]))
    task = regression(*sorted(ends))
    assert Task.from_text(str(task)) == task


def test_which_tasks_are_multi_class_and_which_are_regressions():
    tasks = MULTI_LABEL, MULTI_CLASS, SENTIMENT.task
    kinds = [(task.is_multi_class, task.is_regression) for task in tasks]
    assert kinds == [(False, False), (True, False), (False, True)]


@pytest.mark.parametrize("labels", [SENTIMENT, LabelSet(("calm", "angry"), task=MULTI_CLASS)])
def test_a_label_set_keeps_its_task_in_its_file(labels, tmp_path):
    labels.to_csv(tmp_path / "labels.csv")
    assert LabelSet.from_csv(tmp_path / "labels.csv") == labels


def test_the_file_of_a_multi_label_set_has_no_task(tmp_path):
    LabelSet.of(["Dog"]).to_csv(tmp_path / "labels.csv")
    assert (tmp_path / "labels.csv").read_text() == "index,mid,display_name,synonyms\n0,,Dog,\n"


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ("0,,calm,,often\n", ":2: unknown task 'often'"),
        ("0,,calm,,multi-class\n1,,angry,,\n", ":3: the task is multi-label, in the rows above"),
    ],
)
def test_an_unknown_or_another_task_is_reported_with_its_line(rows, reason, tmp_path):
    path = tmp_path / "labels.csv"
    path.write_text("index,mid,display_name,synonyms,task\n" + rows)
    with pytest.raises(InputError) as caught:
        LabelSet.from_csv(path)
    assert str(caught.value).startswith(f"{path}{reason}")


# --- names that look alike, and names that are the same

NFD = "Cafe\u0301"
CYRILLIC_DOG = "D\N{CYRILLIC SMALL LETTER O}g"


@pytest.mark.parametrize(
    ("written", "name"),
    [
        (NFD, "Caf\u00e9"),
        ("Dog\u200b", "Dog"),
        ("\ufeffDog", "Dog"),
        ("D\u200dog", "Dog"),
        ("D\u00adog\u2060", "Dog"),
        ("\u202aDog\u202c", "Dog"),
        ("Train\u00a0 horn", "Train horn"),
        ("\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645", None),  # Persian needs its joiner
        ("\u1112\u1161\u11ab", "\ud55c"),
    ],
)
def test_a_name_is_compared_as_it_is_seen(written, name):
    name = name or written
    assert clean_name(written) == name
    assert LabelSet.of([written]).names == (name,)
    assert LabelSet.from_text(f"{written};Cat").index(name) == 0


@given(st.text())
def test_a_clean_name_stays_as_it_is(text):
    name = clean_name(text)
    assert clean_name(name) == name and unicodedata.is_normalized("NFC", name)


def test_two_spellings_of_one_name_are_one_name_twice(tmp_path):
    path = tmp_path / "labels.csv"
    path.write_text(f"display_name\nCaf\u00e9\n{NFD}\n", encoding="utf-8")
    with pytest.raises(InputError, match="labels.csv: a label set names 'Caf\u00e9' twice"):
        LabelSet.from_csv(path)


def test_names_that_look_alike_are_said():
    (pair,) = look_alikes(["Cat", "Dog", CYRILLIC_DOG])
    assert pair == r"the labels 'Dog' and 'D\u043eg' look alike, but are two labels"
    assert len(look_alikes(["Dog", "DOG", "\uff24og"])) == 2
    (alone,) = look_alikes(["Cat", f"Hot {CYRILLIC_DOG}"])
    assert r"'Hot D\u043eg' mixes letters of CYRILLIC and LATIN in one word" in alone
    no_mixture = ["\u041a\u043e\u0442 dog", "\u03bcm", "Ähre", "犬", "Dog", "Dogs"]
    assert look_alikes(no_mixture) == []
    assert look_alikes(named_label_set("dcase2017").names) == []


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("mark", [",", ";", "\t"])
def test_a_label_set_that_a_spreadsheet_wrote(encoding, mark, tmp_path):
    path = tmp_path / "labels.csv"
    rows = ["index,mid,display_name,synonyms", '0,/m/0bt9lr,Dog,"hound;terrier"', "1,,Ähre,"]
    path.write_bytes("\r\n".join(rows).replace(",", mark).encode(encoding))
    labels = LabelSet.from_csv(path)
    assert labels.names == ("Dog", "Ähre") and labels.mids == ("/m/0bt9lr", "")
    assert labels.synonyms == (("hound", "terrier"), ())
    assert labels.names_by_mid() == {"/m/0bt9lr": "Dog"}
    names = tmp_path / "names.txt"
    names.write_bytes("Dog\r\nÄhre\r\n".encode(encoding))
    assert LabelSet.from_lines(names).names == ("Dog", "Ähre")


def test_places_of_many_names_take_no_search():
    """A search through the names would take 5 billion steps, hours; a look-up is milliseconds."""
    labels = LabelSet.of([f"label {i}" for i in range(100_000)])
    assert [labels.index(name) for name in labels.names] == list(range(100_000))
    assert labels == LabelSet.of(labels.names)
