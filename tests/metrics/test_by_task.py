"""Each task has its own figures, and they are those of the modules that define them."""

import numpy as np
import pytest

from mmat.files import InputError
from mmat.labels import MULTI_CLASS, MULTI_LABEL
from mmat.labels import regression as regression_task
from mmat.metrics import multi_class, regression, tagging
from mmat.metrics.tagging import figures

RNG = np.random.default_rng(0)


def test_tags_have_micro_figures_and_the_mean_average_precision():
    truth, scores = RNG.random((9, 3)) < 0.4, RNG.random((9, 3))
    found = figures(MULTI_LABEL, truth, scores >= 0.5, scores)
    ranked = found.pop("mean_average_precision")
    assert found == tagging.precision_recall_f1(truth, scores >= 0.5)._asdict()
    assert ranked == tagging.mean_average_precision(truth, scores)


def test_classes_have_average_recall_accuracy_and_macro_f1():
    truth, decided = (np.eye(3, dtype=bool)[RNG.integers(0, 3, 20)] for _ in range(2))
    assert figures(MULTI_CLASS, truth, decided, decided * 0.5) == {
        "uar": multi_class.unweighted_average_recall(truth, decided),
        "accuracy": multi_class.accuracy(truth, decided),
        "macro_f1": multi_class.macro_f1(truth, decided),
    }


def test_values_have_theirs_the_mean_over_quantities():
    truth, values = RNG.uniform(-3, 3, (12, 2)), RNG.uniform(-3, 3, (12, 2))
    found = figures(regression_task(-3, 3), truth, None, values)
    each = [regression.regression_figures(truth[:, c], values[:, c]) for c in range(2)]
    assert found == pytest.approx(dict(zip(each[0]._fields, np.mean(each, axis=0), strict=True)))
    one = figures(regression_task(-3, 3), truth[:, :1], None, values[:, :1])
    assert one == pytest.approx(each[0]._asdict())


def test_a_scale_without_a_zero_in_it_has_no_figures_of_the_sign():
    truth, values = RNG.uniform(1, 5, (12, 1)), RNG.uniform(1, 5, (12, 1))
    found = figures(regression_task(1, 5), truth, None, values)
    assert list(found) == ["mae", "pearson", "accuracy_rounded"]
    rounded = regression.rounded_accuracy(truth[:, 0], values[:, 0], 1, 5)
    assert found["accuracy_rounded"] == rounded


@pytest.mark.parametrize("shape", [(4,), (4, 0), (4, 1, 1)])
def test_values_of_another_shape_are_refused(shape):
    with pytest.raises(InputError, match="shape"):
        figures(regression_task(-3, 3), np.zeros(shape), None, np.zeros(shape))
