"""Values on a scale: how near the values that a model predicts of clips are to the true ones.

Conventions
-----------
Truth and values are finite numbers `(clips,)` of one quantity, such as sentiment from -3 (strongly
negative) to 3 (strongly positive). Malformed input raises InputError. What is not defined is nan:
any figure without a clip, a correlation with what is constant, a binary figure without a clip that
counts. Shares are fractions in [0, 1].

Metrics
-------
- `mean_absolute_error`: in units of the scale.
- `pearson_correlation`: in [-1, 1], blind to the values' scale and offset.
- `negative_or_not`: the older binary convention, negative (< 0) against non-negative (>= 0), over
  all clips (Zadeh et al. 2017).
- `negative_or_positive`: the later one, over clips whose truth is not 0, negative against positive
  (> 0); a value of exactly 0 then counts as negative (Tsai et al. 2019).
- `rounded_accuracy`: values and truth clipped to the scale and rounded to whole numbers, the share
  that agrees: accuracy over seven classes for -3 to 3. Rounded by `numpy.round`, which takes halves
  to the even neighbour: 0.5 is 0, 1.5 and 2.5 are 2.

Both conventions have an accuracy and an F1, and papers since Hazarika et al. (2020) report both.
Their F1 is the mean of the two classes' F1, weighted by how many clips of each class the truth has
(`average="weighted"` of scikit-learn). The code published by Tsai et al., which others took over,
gives scikit-learn the values in the place of the truth, so its weights are how often each class was
predicted; that moves the figure a little, accuracies not at all.

References
----------
A. Zadeh, M. Chen, S. Poria, E. Cambria, L.-P. Morency, "Tensor Fusion Network for Multimodal
Sentiment Analysis", EMNLP 2017.
Y.-H. H. Tsai et al., "Multimodal Transformer for Unaligned Multimodal Language Sequences", ACL 2019
(MulT), and its `src/eval_metrics.py`, which clips to the scale and then rounds by `numpy.round`.
D. Hazarika, R. Zimmermann, S. Poria, "MISA: Modality-Invariant and -Specific Representations for
Multimodal Sentiment Analysis", ACM Multimedia 2020.
"""

from typing import NamedTuple

import numpy as np

from mmat.files import InputError
from mmat.metrics import checks


class Binary(NamedTuple):
    """Accuracy, and F1 weighted by the classes' shares in the truth."""

    accuracy: float
    f1: float


class RegressionFigures(NamedTuple):
    """Every figure of this module; of the binary ones the name says the convention."""

    mae: float
    pearson: float
    accuracy_negative_or_not: float
    f1_negative_or_not: float
    accuracy_negative_or_positive: float
    f1_negative_or_positive: float
    accuracy_rounded: float


def regression_figures(truth, values, low: float = -3.0, high: float = 3.0) -> RegressionFigures:
    """Return every figure of a quantity. low, high: the ends of its scale, for the rounded classes.

    truth, values: finite numbers `(clips,)`. Raises InputError if malformed.

    >>> regression_figures([-2.0, 0.0, 1.0], [-1.0, -0.25, 2.0]).mae
    0.75
    """
    return RegressionFigures(
        mean_absolute_error(truth, values),
        pearson_correlation(truth, values),
        *negative_or_not(truth, values),
        *negative_or_positive(truth, values),
        rounded_accuracy(truth, values, low, high),
    )


def mean_absolute_error(truth, values) -> float:
    """Return by how much the values miss the truth, on average, in units of the scale.

    >>> mean_absolute_error([-2.0, 1.0], [-1.0, 1.5])
    0.75
    """
    truth, values = _validated(truth, values)
    return _mean(np.abs(truth - values))


def pearson_correlation(truth, values) -> float:
    """Return Pearson's correlation, in [-1, 1]; nan where truth or values are constant.

    >>> round(pearson_correlation([-2.0, 0.0, 2.0], [1.0, 1.5, 2.0]), 6)
    1.0
    >>> pearson_correlation([-2.0, 0.0, 2.0], [1.0, 1.0, 1.0])
    nan
    """
    parts = []
    for numbers in _validated(truth, values):
        # By the ends: rounding keeps the mean of equal numbers from being exactly that number.
        if not len(numbers) or numbers.min() == numbers.max():
            return float("nan")
        off = numbers - numbers.mean()
        off /= np.abs(off).max()  # squares of tiny numbers would be 0
        parts.append(off / np.linalg.norm(off))
    return float(np.clip(parts[0] @ parts[1], -1.0, 1.0))


def negative_or_not(truth, values) -> Binary:
    """Return accuracy and weighted F1 of negative (< 0) against non-negative (>= 0), all clips.

    >>> negative_or_not([-2.0, 0.0, 1.0, 2.0], [-1.0, -0.5, 1.0, 2.0]).accuracy
    0.75
    """
    truth, values = _validated(truth, values)
    return _binary(truth >= 0, values >= 0)


def negative_or_positive(truth, values) -> Binary:
    """Return accuracy and weighted F1 of positive (> 0) against not, of clips whose truth is not 0.

    >>> negative_or_positive([-2.0, 0.0, 1.0, 2.0], [-1.0, -0.5, 1.0, 2.0]).accuracy
    1.0
    """
    truth, values = _validated(truth, values)
    counts = truth != 0
    return _binary(truth[counts] > 0, values[counts] > 0)


def rounded_accuracy(truth, values, low: float = -3.0, high: float = 3.0) -> float:
    """Return the share of clips whose value and truth are the same whole number.

    low, high: both are clipped to these ends first, by default those of accuracy over seven.
    Halves go to the even neighbour. Raises InputError for ends that are none.

    >>> rounded_accuracy([-2.0, 0.0, 2.75], [-1.75, 0.5, 4.0])
    1.0
    """
    if not low < high:
        raise InputError(f"accuracy of rounded values: no scale goes from {low:g} to {high:g}")
    truth, values = (np.round(np.clip(x, low, high)) for x in _validated(truth, values))
    return _mean(truth == values)


def _binary(truth: np.ndarray, decided: np.ndarray) -> Binary:
    weighted_f1 = 0.0
    for true, found in ((truth, decided), (~truth, ~decided)):
        n_either = true.sum() + found.sum()
        weighted_f1 += true.sum() * 2 * (true & found).sum() / max(1, n_either)
    f1 = float(weighted_f1 / len(truth)) if len(truth) else float("nan")
    return Binary(_mean(truth == decided), f1)


def _mean(of_clips: np.ndarray) -> float:
    return float(of_clips.mean()) if len(of_clips) else float("nan")


def _validated(truth, values) -> tuple[np.ndarray, np.ndarray]:
    truth = np.asarray(truth)
    if truth.ndim != 1:
        raise InputError(f"truth: {truth.ndim} axes, where the values of one quantity have one")
    truth = checks.as_scores(truth, "truth", truth.shape)
    values = checks.as_scores(values, "values", truth.shape)
    return truth.astype(np.float64), values.astype(np.float64)
