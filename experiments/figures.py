"""Figures as scripts print them: means of trainings with their spread, gains with intervals."""

import statistics
from collections.abc import Iterable, Mapping, Sequence

import tabulate

from mmat.evaluation.page import shown
from mmat.metrics.bootstrap import Difference, mean_difference
from mmat.metrics.tagging import NO_SHARES


def mean_and_spread(values: Iterable[float]) -> dict:
    """Mean, standard deviation (0 of one value) and the values, one a seed.

    >>> mean_and_spread([40.0, 44.0])["mean"]
    42.0
    """
    values = list(map(float, values))
    spread = statistics.stdev(values) if len(values) > 1 else 0.0
    return {"mean": statistics.fmean(values), "sd": spread, "seeds": values}


def mean_cell(figure: Mapping, scale: float = 1.0) -> str:
    """A mean with its spread, for a table; scale: 100 for fractions in per cent.

    >>> mean_cell({"mean": 0.4204, "sd": 0.0283}, scale=100)
    '42.0 ± 2.8'
    """
    return f"{scale * figure['mean']:.1f} ± {scale * figure['sd']:.1f}"


def between(ends: Sequence[float], sign: str = "") -> str:
    """The two ends of an interval in per cent.

    >>> between([0.125, 0.25]), between([-0.125, 0.25], "+")
    ('12.5 to 25.0', '-12.5 to +25.0')
    """
    return " to ".join(f"{100 * end:{sign}.1f}" for end in ends)


def figures_table(systems: Mapping[str, Mapping], columns: Sequence[str]) -> str:
    """A row a system of figures, with intervals over clips where there are.

    All is in per cent, but for a mean absolute error and a correlation.
    """
    rows = [
        [name, *(_figure_cell(of, column) for column in columns)] for name, of in systems.items()
    ]
    if set(columns).isdisjoint(NO_SHARES):
        return tabulate.tabulate(rows, ["%", *columns], disable_numparse=True)
    head = [column + ("" if column in NO_SHARES else ", %") for column in columns]
    return tabulate.tabulate(rows, ["", *head], disable_numparse=True)


def _figure_cell(of: Mapping, column: str) -> str:
    if of.get(column) is None:
        return ""
    ends = of.get("intervals", {}).get("clips", {}).get(column)
    interval = (
        " [{}, {}]".format(*(shown(column, ends[x]) for x in ("low", "high"))) if ends else ""
    )
    return f"{shown(column, of[column])}{interval}"


def mean_gains(
    truth, firsts: Sequence[tuple], seconds: Sequence[tuple], groups: Sequence[str]
) -> dict[str, dict[str, Difference]]:
    """How much the mean of the second system is above the first's, drawn by clip and by group.

    firsts, seconds: `(fired, scores)` of each training. Returns the differences by what is drawn,
    then by figure, as `mmat.metrics.bootstrap.mean_difference` names them.
    """
    return {by: mean_difference(truth, firsts, seconds, of) for by, of in draws(groups).items()}


def draws(groups: Sequence[str]) -> dict[str, Sequence[str] | None]:
    """What intervals are drawn by: each clip alone, and whole source groups."""
    return {"clip": None, "group": groups}


def gain_line(
    gains: Mapping[str, Mapping], figure: str = "f1", name: str = "fused over audio", by: str = ""
) -> str:
    """One figure's gain in words; gains: `Difference`s as dicts, by figure; by: what was drawn.

    >>> gain = {"estimate": 0.05, "low": -0.01, "high": 0.1, "share_above_zero": 0.975}
    >>> gain_line({"f1": gain}, by="clip")
    'fused over audio: +5.0 points of F1, 95 % interval -1.0 to +10.0, above 0 in 97.5 % of draws by clip'
    """  # noqa: E501 - the line as it is printed
    gain, of_scale, title = gains[figure], figure in NO_SHARES, figure.upper()
    scale, decimals, unit = (1, 3, title) if of_scale else (100, 1, f"points of {title}")
    estimate, low, high = (f"{scale * gain[x]:+.{decimals}f}" for x in ("estimate", "low", "high"))
    above = gain["share_above_zero"]
    # Of an error less is better.
    side, share = ("below", 1 - above) if figure == "mae" else ("above", above)
    return (
        f"{name}: {estimate} {unit}, 95 % interval {low} to {high}, {side} 0 in "
        f"{100 * share:.1f} % of draws{f' by {by}' if by else ''}"
    )
