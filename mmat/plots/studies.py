"""Pictures of a study, with the mean, its spread and every seed of each system.

`plot_groups` has a panel a figure and a row a system, `plot_systems` a bar for the F1 of each,
`plot_curves` a line a system over how much was learnt from.
"""

import os
import textwrap
from collections.abc import Mapping, Sequence
from typing import BinaryIO

from mmat.files import InputError
from mmat.plots.style import (
    BLUE,
    GREY,
    INK,
    PLAIN,
    SYSTEM_COLOURS,
    add_panel,
    frameless,
    grid_across,
    new_figure,
    save,
)

LEFT, PANEL, GAP, ROW, BAR_ROW = 1.9, 1.75, 0.3, 0.4, 0.48  # inches
CURVE_WIDTH, CURVE_HEIGHT, CURVE_GAP, CURVE_EDGE = 3.5, 2.4, 0.7, 0.35  # inches
MARKERS = "so^"
BASELINES = ("best_constant",)


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
        axes.margins(x=0.15)
        grid_across(axes)
    save(figure, path_png)


def _draw(axes, row: int, figure: Mapping) -> None:
    axes.plot(
        figure["seeds"], [row] * len(figure["seeds"]), "o", ms=4, mfc="none", mec=INK, mew=0.6
    )
    axes.errorbar(figure["mean"], row, xerr=figure["sd"], fmt="o", ms=7, color=BLUE, capsize=4)


def plot_systems(path_png: str | os.PathLike | BinaryIO, report: dict) -> None:
    """Draw the F1 of each system of a report as bars, with its spread and the single seeds.

    report: `{"systems": {name: {"f1": {"mean": …, "sd": …, "seeds": […]}}}}` with fractions in
    [0, 1]; `sd` and `seeds` may be missing, and a plain number may stand for a mean. Raises
    InputError where it holds no system.

    >>> import io
    >>> plot_systems(io.BytesIO(), {"systems": {"audio": {"f1": {"mean": 0.5, "sd": 0.02}}}})
    """
    systems = report.get("systems") or {}
    if not systems:
        raise InputError("report: it holds no systems to draw")
    height = BAR_ROW * len(systems)
    figure = new_figure(7.4, height + 0.85)
    axes = add_panel(figure, 2.0, 0.65, 5.0, height)
    ends = [_draw_system(axes, row, name, systems[name]) for row, name in enumerate(systems)]
    names = [textwrap.fill(name.replace("_", " "), 28) for name in systems]
    axes.set_yticks(range(len(names)), names, size=10, **PLAIN)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_xlim(0, 1.16 * max(ends) + 4)
    axes.set_xlabel("micro F1 on test, %", size=10, color=INK)
    grid_across(axes)
    save(figure, path_png)


def _draw_system(axes, row: int, name: str, system: dict) -> float:
    """Draw one bar and its figures; return where it ends, in per cent."""
    f1 = system["f1"] if isinstance(system["f1"], dict) else {"mean": system["f1"]}
    mean, spread = 100 * f1["mean"], 100 * (f1.get("sd") or 0)
    seeds = [100 * seed for seed in f1.get("seeds") or []]
    axes.barh(row, mean, height=0.62, color=GREY if name in BASELINES else BLUE)
    if spread:
        axes.errorbar(mean, row, xerr=spread, color=INK, capsize=5, linewidth=1.4)
        axes.plot(seeds, [row + 0.2] * len(seeds), "o", ms=4, mfc="white", mec=INK, mew=0.8)
    end = max([mean + spread, *seeds])
    text = f"{mean:.1f} ± {spread:.1f}" if spread else f"{mean:.1f}"
    axes.annotate(text, (end, row), (8, 0), textcoords="offset points", va="center", color=INK)
    return end


def plot_curves(
    path_png: str | os.PathLike | BinaryIO,
    panels: Mapping[str, Mapping[str, Sequence[Mapping | None]]],
    points: Sequence[str],
    across: str,
    unit: str = "%",
) -> None:
    """Draw the mean of up to three systems at each point as a line in its spread.

    panels: `{title: {system: [{"mean": …, "sd": …}, …]}}`, a figure a point, None where a system
    has none; two panels stand in a row. points, across: names of the points, and what they count.
    Raises InputError without a panel or a point.

    >>> import io
    >>> line = [None, {"mean": 40.0, "sd": 2.0}, {"mean": 50.0, "sd": 1.0}]
    >>> plot_curves(io.BytesIO(), {"F1": {"probe": line}}, ["0", "1", "2"], "recordings")
    """
    if not panels or not points:
        raise InputError("curves: there is no panel or no point to draw")
    columns, rows = min(2, len(panels)), -(-len(panels) // 2)
    width, height = CURVE_WIDTH + CURVE_GAP, CURVE_HEIGHT + CURVE_GAP + CURVE_EDGE
    figure = new_figure(columns * width + CURVE_EDGE, rows * height + CURVE_EDGE)
    for place, (title, systems) in enumerate(panels.items()):
        row, column = divmod(place, 2)
        left, bottom = CURVE_GAP + column * width, CURVE_GAP + (rows - 1 - row) * height
        axes = add_panel(figure, left, bottom, CURVE_WIDTH, CURVE_HEIGHT)
        for colour, marker, name in zip(SYSTEM_COLOURS, MARKERS, systems, strict=False):
            _draw_curve(axes, systems[name], name, colour, marker)
        axes.set_title(title, size=11, **PLAIN)
        axes.set_xticks(range(len(points)), points, **PLAIN)
        axes.set_xlabel(across, size=10, color=INK)
        axes.set_ylabel(unit, size=10, color=INK)
        axes.grid(color="#DDDDDD", linewidth=0.8)
        frameless(axes)
    handles, names = axes.get_legend_handles_labels()
    style = {"frameon": False, "fontsize": 9, "handlelength": 1.6, "columnspacing": 1.2}
    figure.legend(handles, names, loc="upper center", ncols=len(names), **style)
    save(figure, path_png)


def _draw_curve(axes, line: Sequence[Mapping | None], name: str, colour: str, marker: str) -> None:
    places = [place for place, figure in enumerate(line) if figure is not None]
    means, spreads = ([line[place][key] for place in places] for key in ("mean", "sd"))
    axes.plot(places, means, marker=marker, ms=5, lw=1.8, color=colour, label=name)
    ends = [
        [mean + side * spread for mean, spread in zip(means, spreads, strict=True)]
        for side in (-1, 1)
    ]
    axes.fill_between(places, *ends, color=colour, alpha=0.15, linewidth=0)
