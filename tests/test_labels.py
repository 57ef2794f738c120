import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from mmat.files import InputError
from mmat.labels import MULTI_CLASS, MULTI_LABEL, SENTIMENT, LabelSet, Task, regression
from mmat.lists.read import parse_label_set


def test_names_as_a_user_types_them():
    text = " Dog;Train ;Fire engine,  fire truck (siren); "
    assert parse_label_set(text).names == ("Dog", "Train", "Fire engine, fire truck (siren)")
    assert parse_label_set("Dog").names == ("Dog",)
    assert parse_label_set("Car/Truck;").names == ("Car/Truck",)
    assert parse_label_set("Bee, wasp, etc.").names == ("Bee, wasp, etc.",)
    assert len(parse_label_set("dcase2017")) == 17


def test_label_files(tmp_path, monkeypatch):
    labels = LabelSet(("Dog", "Cat, kitten"), synonyms=(("hound",), ()))
    labels.to_csv(tmp_path / "labels.csv")
    assert parse_label_set(str(tmp_path / "labels.csv")) == labels
    (tmp_path / "names.txt").write_text("\ufeffDog\n\n  Cat,  kitten \n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert parse_label_set("names.txt").names == ("Dog", "Cat, kitten")
    assert parse_label_set("./names.txt") == LabelSet.from_lines("names.txt")


@pytest.mark.parametrize("text", ["missing.csv", "labels.TXT", "no/such/file", "./x"])
def test_a_path_that_is_not_there_is_reported(text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="no such file") as caught:
        parse_label_set(text)
    assert text in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["", " ; ;", "Dog;Cat;Dog"])
def test_missing_and_repeated_names_are_reported(text):
    with pytest.raises(InputError) as caught:
        parse_label_set(text)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"\n \n", b"Dog\nDog\n", b"\xff\xfe\x00"])
def test_a_label_file_that_is_wrong_is_reported_with_its_name(content, tmp_path):
    path = tmp_path / "names.txt"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"names\.txt") as caught:
        parse_label_set(str(path))
    assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match="cannot read"):
        LabelSet.from_lines(tmp_path)


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
