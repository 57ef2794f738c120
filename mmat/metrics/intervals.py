"""Percentile bootstrap intervals of any figures, whatever the task: a loop over the draws.

Conventions
-----------
Clips, or whole groups of them such as speakers or videos, are drawn as `mmat.metrics.bootstrap`
says, with the same seed the same draws. `figures` is any function from arrays to figures by name,
such as `mmat.metrics.by_task.figures` of a task. A draw in which a figure is nan, such as the
correlation of equal values, is ignored; where all draws are, so are the ends.

Metrics
-------
- `figure_intervals`: each figure with its interval.
- `figure_differences`: how much more each figure of one system is than that of another on the same
  draws, with its interval and the share of draws in which it is more.

Reference
---------
B. Efron, R. Tibshirani, "An Introduction to the Bootstrap", 1993.
"""

import warnings
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from mmat.errors import InputError
from mmat.metrics.bootstrap import (
    LEVEL,
    RESAMPLES,
    Difference,
    Interval,
    check_level,
    difference_of,
    draw_counts,
    interval_of,
)

Figures = Callable[..., Mapping[str, float]]


def figure_intervals(
    figures: Figures,
    *arrays,
    groups: Sequence[str] | None = None,
    level: float = LEVEL,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> dict[str, Interval]:
    """Return `figures(*arrays)`, each with its interval over clips, or over groups of them.

    arrays: any number of arrays with the clips on the first axis. groups: a name a clip. Raises
    InputError where the arrays' lengths differ, and without clips.

    >>> figure_intervals(lambda x: {"mean": x.mean()}, np.ones(20))
    {'mean': Interval(estimate=1.0, low=1.0, high=1.0)}
    """
    arrays = _same_length(arrays)
    drawn = _drawn(lambda clips: figures(*(array[clips] for array in arrays)), len(arrays[0]),
                   groups, level, resamples, seed)  # fmt: skip
    once = figures(*arrays)
    return {name: interval_of(figure, drawn[name], level) for name, figure in once.items()}


def figure_differences(
    figures: Figures,
    truth,
    first: Sequence,
    second: Sequence,
    groups: Sequence[str] | None = None,
    level: float = LEVEL,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> dict[str, Difference]:
    """Return by how much each of the second system's figures is above the first's.

    first, second: what each system predicts of the same clips in the same order, the arrays that
    `figures` takes after the truth. Both are measured on the same draws. Of an error such as `mae`
    less is better, and a difference below 0 a gain.

    >>> truth, near, far = np.zeros(9), np.ones(9), np.full(9, 3.0)
    >>> def error(truth, values):
    ...     return {"mae": np.abs(truth - values).mean()}
    >>> figure_differences(error, truth, [far], [near])["mae"].estimate
    -2.0
    """
    truth, *both = _same_length([truth, *first, *second])
    sides = both[: len(first)], both[len(first) :]

    def gains(clips) -> dict[str, float]:
        one, other = (figures(truth[clips], *(x[clips] for x in side)) for side in sides)
        return {name: other[name] - one[name] for name in one}

    drawn = _drawn(gains, len(truth), groups, level, resamples, seed)
    return {
        name: difference_of(gain, drawn[name], level) for name, gain in gains(slice(None)).items()
    }


def _same_length(arrays: Sequence) -> list[np.ndarray]:
    arrays = [np.asarray(array) for array in arrays]
    lengths = sorted({len(array) for array in arrays})
    if len(lengths) != 1 or lengths[0] == 0:
        raise InputError(f"bootstrap: the arrays hold {lengths} clips; give at least one of each")
    return arrays


def _drawn(figures_of: Callable, n_clips: int, groups, level, resamples, seed) -> dict:
    """Return the figures of every draw by name, float64 `(draws,)`."""
    check_level(level)
    clips = np.arange(n_clips)
    with warnings.catch_warnings():
        # A draw may miss every labelled clip: then 0 is its figure, and no news.
        warnings.simplefilter("ignore", UserWarning)
        found = [
            figures_of(np.repeat(clips, times))
            for times in draw_counts(n_clips, groups, resamples, seed)
        ]
    return {name: np.array([each[name] for each in found], np.float64) for name in found[0]}
