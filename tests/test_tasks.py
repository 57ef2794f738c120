import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from mmat.files import InputError
from mmat.labels import MULTI_CLASS, MULTI_LABEL, SENTIMENT, LabelSet, Task, regression


@pytest.mark.parametrize("task", [MULTI_LABEL, MULTI_CLASS, regression(-3, 3), regression(0.5, 9)])
def test_a_task_is_read_back_from_its_text(task):
    assert Task.from_text(str(task)) == task
    assert Task.from_text(f"  {str(task).replace(' ', '   ')} ") == task


@pytest.mark.parametrize(
    "text",
    ["both", "multi-class 3", "regression", "regression a b", "regression 1 2 3"],
)
def test_a_text_that_is_no_task_is_told(text):
    with pytest.raises(InputError, match="unknown task"):
        Task.from_text(text)


@pytest.mark.parametrize("ends", ["3 -3", "1 1", "nan 1", "0 inf"])
def test_ends_that_are_none_are_told(ends):
    with pytest.raises(InputError, match="regression: no values lie between"):
        Task.from_text(f"regression {ends}")


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=2, max_size=2))
def test_the_ends_of_a_scale_are_kept_to_the_last_digit(ends):
    assume(ends[0] != ends[1] and math.isfinite(ends[0] - ends[1]))
    task = regression(*sorted(ends))
    assert Task.from_text(str(task)) == task


def test_which_tasks_are_exclusive_and_which_are_values():
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
def test_a_task_that_is_none_or_differs_is_told_with_its_line(rows, reason, tmp_path):
    path = tmp_path / "labels.csv"
    path.write_text("index,mid,display_name,synonyms,task\n" + rows)
    with pytest.raises(InputError) as caught:
        LabelSet.from_csv(path)
    assert str(caught.value).startswith(f"{path}{reason}")
