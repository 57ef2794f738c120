"""Figures of mutually exclusive classes: scikit-learn's, the sums by hand, and their borders."""

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings
from sklearn import metrics as sklearn_metrics

from mmat.files import InputError
from mmat.metrics import multi_class

CLASSES = st.integers(2, 5)
ANSWERS = CLASSES.flatmap(
    lambda n: st.tuples(
        st.just(n),
        st.lists(st.tuples(st.integers(0, n - 1), st.integers(0, n - 1)), min_size=1, max_size=40),
    )
)
EVERY = multi_class.unweighted_average_recall, multi_class.accuracy, multi_class.macro_f1


def one_hot(classes, n_classes):
    return np.eye(n_classes, dtype=bool)[list(classes)]


@pytest.mark.filterwarnings("ignore:y_pred contains classes not in y_true", "ignore:A single label")
@settings(max_examples=40, deadline=None)
@given(ANSWERS)
def test_they_are_those_of_scikit_learn(answers):
    n_classes, pairs = answers
    true, said = map(list, zip(*pairs, strict=True))
    sides = one_hot(true, n_classes), one_hot(said, n_classes)
    counts = multi_class.confusion_matrix(*sides)
    expected = sklearn_metrics.confusion_matrix(true, said, labels=range(n_classes))
    np.testing.assert_array_equal(counts, expected)
    uar, accuracy, f1 = (figure(*sides) for figure in EVERY)
    assert uar == pytest.approx(sklearn_metrics.balanced_accuracy_score(true, said))
    assert accuracy == pytest.approx(sklearn_metrics.accuracy_score(true, said))
    assert f1 == pytest.approx(sklearn_metrics.f1_score(true, said, average="macro"))


@settings(deadline=None)
@given(ANSWERS, st.randoms(use_true_random=False))
def test_the_order_of_clips_and_the_names_of_classes_change_nothing(answers, random):
    n_classes, pairs = answers
    clips, names = list(pairs), list(range(n_classes))
    random.shuffle(clips)
    random.shuffle(names)
    before = [one_hot(side, n_classes) for side in zip(*pairs, strict=True)]
    after = [one_hot([names[c] for c in x], n_classes) for x in zip(*clips, strict=True)]
    for figure in EVERY:
        assert figure(*before) == pytest.approx(figure(*after))


def test_a_rare_class_weighs_as_much_as_a_common_one_in_the_average_recall():
    truth, common = one_hot([0] * 9 + [1], 2), one_hot([0] * 10, 2)
    assert multi_class.accuracy(truth, common) == 0.9
    assert multi_class.unweighted_average_recall(truth, common) == 0.5
    assert multi_class.macro_f1(truth, common) == pytest.approx((18 / 19 + 0) / 2)


def test_a_class_without_truth_has_no_recall_but_costs_f1_where_it_is_decided():
    truth, said = one_hot([0, 0, 1, 1], 4), one_hot([0, 0, 1, 2], 4)
    assert multi_class.unweighted_average_recall(truth, said) == 0.75
    assert multi_class.macro_f1(truth, said) == pytest.approx((1 + 2 / 3 + 0) / 3)


def test_a_clip_without_a_decision_is_wrong_and_no_class_is_blamed():
    truth, said = one_hot([0, 0, 1, 1], 2), one_hot([0, 0, 1, 1], 2)
    said[3] = False
    assert multi_class.accuracy(truth, said) == 0.75
    assert multi_class.unweighted_average_recall(truth, said) == 0.75
    assert multi_class.macro_f1(truth, said) == pytest.approx((1 + 2 / 3) / 2)
    assert multi_class.confusion_matrix(truth, said).tolist() == [[2, 0], [0, 1]]


@pytest.mark.parametrize("figure", EVERY)
def test_no_clips_warn_and_answer_0(figure):
    nothing = np.zeros((0, 3), bool)
    with pytest.warns(UserWarning, match="holds no clips"):
        assert figure(nothing, nothing) == 0


@pytest.mark.parametrize("figure", EVERY)
@pytest.mark.parametrize(
    ("truth", "decided", "reason"),
    [
        ([[1, 1]], [[1, 0]], "truth: clip 0 has 2 labels"),
        ([[1, 0], [0, 0]], [[1, 0], [1, 0]], "truth: clip 1 has 0 labels"),
        ([[1, 0], [0, 1]], [[1, 0], [1, 1]], "decisions: clip 1 has 2 labels"),
        ([[1, 0]], [[1, 0, 0]], "shape"),
        ([1, 0], [1, 0], "1 axes"),
        ([[0.5, 0.5]], [[1, 0]], "only yes and no"),
    ],
)
def test_labels_that_do_not_exclude_each_other_are_refused_in_a_sentence(
    figure, truth, decided, reason
):
    with pytest.raises(InputError, match=reason) as caught:
        figure(truth, decided)
    assert "\n" not in str(caught.value)
