"""A picture of a study: a panel a figure, a row a system, the mean, its spread and every seed."""

import os
from collections.abc import Mapping, Sequence
from typing import BinaryIO

from mmat.errors import InputError
from mmat.plots.style import BLUE, INK, PLAIN, add_panel, frameless, new_figure, save

LEFT, PANEL, GAP, ROW = 1.9, 1.75, 0.3, 0.4  # inches


def plot_groups(
    path_png: str | os.PathLike | BinaryIO,
    figures: Mapping[str, Mapping[str, Mapping]],
    shown: Sequence[str],
    unit: str = "%",
) -> None:
    """Draw figures of several systems side by side, each with its spread and single seeds.

    figures: `{system: {figure: {"mean": …, "sd": …, "seeds": […]}}}`; shown: the figures that get
    a panel, from left to right. Raises InputError without a system or a figure to show.

    >>> import io
    >>> one = {"F1": {"mean": 40.0, "sd": 2.0, "seeds": [38.0, 42.0]}}
    >>> plot_groups(io.BytesIO(), {"audio": one}, ["F1"])
    """
    if not figures or not shown:
        raise InputError("study: there is no system or no figure to draw")
    height = ROW * len(figures)
    figure = new_figure(LEFT + len(shown) * (PANEL + GAP), height + 1.0)
    for column, name in enumerate(shown):
        axes = add_panel(figure, LEFT + column * (PANEL + GAP), 0.55, PANEL, height)
        for row, own in enumerate(figures.values()):
            _draw(axes, row, own[name])
        names = list(figures) if column == 0 else [""] * len(figures)
        axes.set_yticks(range(len(figures)), names, size=10, **PLAIN)
        axes.set_ylim(len(figures) - 0.5, -0.5)
        axes.set_title(name, size=10, color=INK)
        axes.set_xlabel(unit, size=9, color=INK)
        axes.grid(axis="x", color="#DDDDDD", linewidth=0.8)
        axes.set_axisbelow(True)
        axes.margins(x=0.15)
        frameless(axes)
    save(figure, path_png)


def _draw(axes, row: int, figure: Mapping) -> None:
    axes.plot(
        figure["seeds"], [row] * len(figure["seeds"]), "o", ms=4, mfc="none", mec=INK, mew=0.6
    )
    axes.errorbar(figure["mean"], row, xerr=figure["sd"], fmt="o", ms=7, color=BLUE, capsize=4)
