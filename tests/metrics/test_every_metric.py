"""Every metric of clips, through input that is perfect, empty, without labels, and malformed."""

from typing import NamedTuple

import numpy as np
import pytest

from mmat.files import InputError
from mmat.metrics import bootstrap, ranking, tagging, thresholds


class Case(NamedTuple):
    """A metric of truth and scores `(clips, classes)`, and what it says of perfect and nothing."""

    metric: object
    perfect: float
    nothing: float
    says: str = "the truth holds no clips|no clip of the truth has a label"


def fired(scores):
    return np.asarray(scores) > 0.5


def first_class(metric):
    return lambda truth, scores: metric(np.asarray(truth)[..., 0], np.asarray(scores)[..., 0])


NO_ROC = "no class has both|has no ROC curve"
METRICS = {
    "precision": Case(lambda t, s: tagging.precision_recall_f1(t, fired(s)).precision, 1, 0),
    "recall": Case(lambda t, s: tagging.precision_recall_f1(t, fired(s)).recall, 1, 0),
    "f1": Case(lambda t, s: tagging.precision_recall_f1(t, fired(s)).f1, 1, 0),
    "per_class": Case(lambda t, s: tagging.per_class(t, fired(s))[0].f1, 1, 0),
    "macro": Case(lambda t, s: tagging.macro(t, fired(s)).f1, 1, 0),
    "average_precision": Case(first_class(tagging.average_precision), 1, 0),
    "mean_average_precision": Case(tagging.mean_average_precision, 1, 0),
    "roc_auc": Case(first_class(ranking.roc_auc), 1, 0.5, NO_ROC),
    "mean_roc_auc": Case(ranking.mean_roc_auc, 1, 0.5, NO_ROC),
    "d_prime": Case(lambda t, s: ranking.d_prime(ranking.mean_roc_auc(t, s)), np.inf, 0, NO_ROC),
    "precision_recall_curve": Case(
        first_class(lambda t, s: ranking.precision_recall_curve(t, s).precision[:1].sum()), 1, 0
    ),
    "best_constant": Case(lambda t, s: tagging.best_constant(t, fired(s)).validation.f1, 0.5, 0),
    "tuned": Case(
        lambda t, s: (
            tagging.precision_recall_f1(t, thresholds.fire(s, thresholds.tune_thresholds(t, s))).f1
        ),
        1,
        0,
    ),
    "single": Case(
        lambda t, s: (
            tagging.precision_recall_f1(
                t, thresholds.fire(s, thresholds.best_single_threshold(t, s))
            ).f1
        ),
        1,
        0,
    ),
    "interval": Case(
        lambda t, s: bootstrap.headline_intervals(t, fired(s), s, resamples=9)["f1"].estimate, 1, 0
    ),
}
OF_EACH = pytest.mark.parametrize("case", METRICS.values(), ids=METRICS)


@OF_EACH
def test_perfect(case):
    truth = np.eye(3, dtype=bool)
    assert case.metric(truth, truth.astype(float)) == pytest.approx(case.perfect)


@OF_EACH
@pytest.mark.parametrize("n_clips", [0, 2])
def test_empty_input_warns_and_has_an_answer(case, n_clips):
    nothing = np.zeros((n_clips, 3), bool), np.zeros((n_clips, 3))
    with pytest.warns(UserWarning, match=case.says):
        if case is METRICS["interval"] and not n_clips:  # there is nothing to draw from
            with pytest.raises(InputError, match="no clips"):
                case.metric(*nothing)
        else:
            assert case.metric(*nothing) == case.nothing


@OF_EACH
@pytest.mark.parametrize(
    ("truth", "scores", "reason"),
    [
        (np.eye(3) > 0, np.ones((4, 2)), "shape"),
        (np.eye(3)[0] > 0, np.ones(3), "ax[ei]s|shape"),
        (np.eye(3) / 2, np.ones((3, 3)), "yes and no"),
        (np.array([["Dog"] * 3] * 3), np.ones((3, 3)), "yes and no"),
    ],
    ids=["shape", "axes", "halves", "text"],
)
def test_malformed_input_is_refused_in_a_sentence(case, truth, scores, reason):
    if case is METRICS["best_constant"] and scores.shape == (4, 2):
        reason = "shape"
    if np.ndim(truth) == 1 and case.metric.__qualname__.startswith("first_class"):
        truth, scores = truth[:0], scores  # one class alone may have one axis
        truth, scores, reason = np.zeros((2, 1), bool), np.ones((3, 1)), "shape"
    with pytest.raises(InputError, match=reason) as caught:
        case.metric(truth, scores)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "metric",
    [
        tagging.mean_average_precision,
        ranking.mean_roc_auc,
        first_class(ranking.roc_auc),
        first_class(ranking.precision_recall_curve),
        thresholds.tune_thresholds,
        lambda t, s: bootstrap.headline_intervals(t, t, s),
    ],
)
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_scores_that_are_no_numbers_are_refused(metric, value):
    truth = np.eye(2, dtype=bool)
    with pytest.raises(InputError, match="finite numbers"):
        metric(truth, np.where(truth, value, 0.5))
