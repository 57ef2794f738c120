"""Pictures of an evaluation, class by class.

Figures of systems as bars; labels found, missed and falsely fired; precision over recall; rates
over scores; the predicted values of a regression against the true ones.
"""

import os
import textwrap
from collections.abc import Mapping, Sequence
from typing import BinaryIO

import numpy as np

from mmat.files import InputError
from mmat.plots.style import (
    BLUE,
    GREY,
    INK,
    ORANGE,
    PLAIN,
    SYSTEM_COLOURS,
    add_panel,
    frameless,
    grid_across,
    new_figure,
    save,
)

LEFT, DRAWN, RIGHT = 2.3, 5.6, 0.6  # inches across, as all sizes here
BAR = 0.15
CURVES_COLUMNS, VALUES_COLUMNS = 4, 3
FOUND, MISSED, MADE_UP = "#3A7D44", "#BBBBBB", ORANGE


def plot_class_bars(
    path_png: str | os.PathLike | BinaryIO,
    figures: Mapping[str, Mapping[str, float]],
    what: str = "average precision, %",
) -> None:
    """Draw a figure of each class as bars, one a system, the last system in blue.

    figures: `{class: {system: fraction in [0, 1]}}`, the same systems, at most three, in each
    class; what: the axis's title. Raises InputError without a class.

    >>> import io
    >>> plot_class_bars(io.BytesIO(), {"Dog": {"audio": 0.4, "fused": 0.6}})
    """
    systems = list(next(iter(figures.values()), {}))
    if not systems:
        raise InputError("class bars: there is no class to draw")
    row = BAR * len(systems) + 0.16
    axes = _rows(figures, row, what)
    colours = SYSTEM_COLOURS[-len(systems) :]
    for i, system in enumerate(systems):
        values = [100 * of_class[system] for of_class in figures.values()]
        offset = (i - (len(systems) - 1) / 2) * BAR / row
        at = np.arange(len(values)) + offset
        axes.barh(at, values, height=0.9 * BAR / row, color=colours[i], label=system)
        for y, value in zip(at, values, strict=True):
            _note(axes, value, y, f"{value:.0f}", size=7.5)
    axes.set_xlim(0, 100)
    if len(systems) > 1:
        _legend(axes, len(systems))
    save(axes.figure, path_png)


def plot_outcomes(
    path_png: str | os.PathLike | BinaryIO, outcomes: Mapping[str, Sequence[int]]
) -> None:
    """Draw how many labels of each class were found, missed (left of it) and falsely fired.

    outcomes: `{class: (hits, missed, false_alarms)}`. Raises InputError without a class.

    >>> import io
    >>> plot_outcomes(io.BytesIO(), {"Dog": (3, 1, 2)})
    """
    if not outcomes:
        raise InputError("outcomes: there is no class to draw")
    hits, missed, false_alarms = np.array(list(outcomes.values()), float).T
    axes = _rows(outcomes, 0.32, "clips")
    rows = np.arange(len(hits))
    axes.barh(rows, hits, height=0.66, color=FOUND, label="found")
    axes.barh(rows, -missed, height=0.66, color=MISSED, label="missed")
    axes.barh(rows, false_alarms, left=hits, height=0.66, color=MADE_UP, label="falsely fired")
    for y in rows:
        _note(axes, hits[y] + false_alarms[y], y, f"{hits[y]:.0f} + {false_alarms[y]:.0f}")
        _note(axes, -missed[y], y, f"{missed[y]:.0f}", side=-1)
    axes.margins(x=0.14)
    axes.axvline(0, color=INK, linewidth=0.8)
    axes.xaxis.set_major_formatter(lambda value, _: f"{abs(value):.0f}")
    _legend(axes, 3)
    save(axes.figure, path_png)


def plot_confusion(
    path_png: str | os.PathLike | BinaryIO,
    counts: np.ndarray,
    labels: Sequence[str],
    rows: str = "missed",
    columns: str = "falsely fired in the same clip",
) -> None:
    """Draw in how many clips a class was missed (row) while another fired falsely (column).

    counts: whole numbers `(classes, classes)`; rows, columns: what else they count, as the axes'
    titles. Raises InputError for another shape.

    >>> import io
    >>> plot_confusion(io.BytesIO(), np.eye(2, dtype=int), ["Dog", "Cat"])
    """
    counts = np.asarray(counts)
    if not len(labels) or counts.shape != (len(labels), len(labels)):
        raise InputError(f"confusion: counts {counts.shape} for {len(labels)} labels")
    cell = min(0.42, 7.0 / len(labels))
    side = cell * len(labels)
    figure = new_figure(LEFT + side + 0.4, side + 2.1)
    axes = add_panel(figure, LEFT, 1.75, side, side)
    top = max(counts.max(), 1)
    axes.imshow(counts, cmap="Blues", vmin=0, vmax=top, aspect="auto")
    for row, column in zip(*np.nonzero(counts), strict=True):
        colour = "white" if counts[row, column] > 0.6 * top else INK
        text = str(counts[row, column])
        axes.text(column, row, text, ha="center", va="center", size=20 * cell, color=colour)
    names = [textwrap.shorten(name, 30, placeholder=" …") for name in labels]
    axes.set_yticks(range(len(names)), names, size=9, **PLAIN)
    axes.set_xticks(range(len(names)), names, size=9, rotation=60, ha="right", **PLAIN)
    axes.set_ylabel(rows, size=10, color=INK)
    axes.set_xlabel(columns, size=10, color=INK)
    frameless(axes)
    save(figure, path_png)


def plot_precision_recall(
    path_png: str | os.PathLike | BinaryIO, curves: Mapping[str, Mapping[str, tuple]]
) -> None:
    """Draw precision over recall, a panel a class and a line a system.

    curves: `{class: {system: (precision, recall)}}`, arrays of equal length in [0, 1], at most
    three systems; a class without a curve has an empty panel. Raises InputError without a class.

    >>> import io
    >>> plot_precision_recall(io.BytesIO(), {"Dog": {"audio": ([1.0, 0.5], [0.5, 1.0])}})
    """
    if not curves:
        raise InputError("precision over recall: there is no class to draw")
    figure, panels = _grid(
        len(curves), CURVES_COLUMNS, side=1.85, gaps=(0.62, 0.62), edges=(0.75, 0.62)
    )
    systems: dict[str, object] = {}
    for i, (axes, (name, of_class)) in enumerate(zip(panels, curves.items(), strict=True)):
        colours = SYSTEM_COLOURS[-len(of_class) :]
        for colour, (system, (precision, recall)) in zip(colours, of_class.items(), strict=True):
            systems[system] = _draw(axes, np.asarray(precision), np.asarray(recall), colour)
        axes.set_title("\n".join(textwrap.wrap(textwrap.shorten(name, 50), 26)), size=9, **PLAIN)
        axes.set(xlim=(0, 1.02), ylim=(0, 1.05), xticks=[0, 0.5, 1], yticks=[0, 0.5, 1])
        if i % CURVES_COLUMNS == 0:
            axes.set_ylabel("precision", size=8.5, color=INK)
        if i + CURVES_COLUMNS >= len(curves):
            axes.set_xlabel("recall", size=8.5, color=INK)
    if len(systems) > 1:
        place = {"loc": "lower right", "ncols": len(systems), "frameon": False, "fontsize": 9}
        figure.legend(systems.values(), systems.keys(), **place)
    save(figure, path_png)


def plot_reliability(
    path_png: str | os.PathLike | BinaryIO, curves: Mapping[str, Sequence[Sequence[float]]]
) -> None:
    """Draw how often scores come true over what they say: where they mean it, on the diagonal.

    curves: `{system: (mean_score, rate, low, high)}`, of each bin of scores in [0, 1], low and high
    the ends of the rate's interval; at most three systems, the last in blue. Raises InputError
    without a bin.

    >>> import io
    >>> plot_reliability(io.BytesIO(), {"fused": ([0.2, 0.7], [0.1, 0.8], [0, 0.6], [0.3, 0.9])})
    """
    if not any(len(curve[0]) for curve in curves.values()):
        raise InputError("reliability: there is no bin to draw")
    figure, (axes,) = _grid(1, 1, side=3.6, gaps=(0.75, 0), edges=(0.6, 0.4))
    axes.plot([0, 1], [0, 1], color=INK, linewidth=0.8, linestyle=(0, (4, 3)))
    colours = SYSTEM_COLOURS[-len(curves) :]
    for colour, (system, curve) in zip(colours, curves.items(), strict=True):
        score, rate, low, high = map(np.asarray, curve)
        bars = {"yerr": (rate - low, high - rate), "elinewidth": 1.5, "capsize": 2}
        style = {"color": colour, "linewidth": 1.5, "marker": "o", "ms": 4.5, "mec": "none"}
        axes.errorbar(score, rate, label=system, **bars, **style)
    axes.set(xlim=(0, 1), ylim=(-0.02, 1.02))
    axes.set_xlabel("mean score", size=9, color=INK)
    axes.set_ylabel("rate of those that are true", size=9, color=INK)
    if len(curves) > 1:
        _legend(axes, len(curves))
    save(figure, path_png)


def plot_values(
    path_png: str | os.PathLike | BinaryIO,
    truth: np.ndarray,
    values: np.ndarray,
    labels: Sequence[str],
    low: float,
    high: float,
) -> None:
    """Draw each clip as a point, its value over the truth; right values lie on the line.

    truth, values: `(clips, quantities)`, of which labels are the names; low, high: the ends of the
    scale. Raises InputError for other shapes.

    >>> import io
    >>> plot_values(io.BytesIO(), [[-1.0], [2.0]], [[-0.5], [1.5]], ["valence"], -3, 3)
    """
    truth, values = np.asarray(truth), np.asarray(values)
    if not len(labels) or not truth.shape == values.shape == (len(truth), len(labels)):
        raise InputError(
            f"values: truth {truth.shape} and values {values.shape} for {len(labels)} labels"
        )
    n_columns, room = min(VALUES_COLUMNS, len(labels)), 0.03 * (high - low)
    figure, panels = _grid(len(labels), n_columns, side=3.2, gaps=(0.75, 0.95), edges=(0.55, 0.4))
    for c, (axes, name) in enumerate(zip(panels, labels, strict=True)):
        axes.plot([low, high], [low, high], color=GREY, linewidth=1)
        axes.plot(truth[:, c], values[:, c], "o", ms=4, color=BLUE, mec="none", alpha=0.5)
        axes.set(xlim=(low - room, high + room), ylim=(low - room, high + room))
        axes.set_title(name, size=10, **PLAIN)
        axes.set_xlabel("truth", size=9, color=INK)
        axes.set_ylabel("value", size=9, color=INK)
    save(figure, path_png)


def _rows(classes: Mapping, row_height: float, what: str):
    """Return axes with a row for each class, the first on top."""
    height = row_height * len(classes)
    figure = new_figure(LEFT + DRAWN + RIGHT, height + 1.05)
    axes = add_panel(figure, LEFT, 0.6, DRAWN, height)
    names = [textwrap.fill(textwrap.shorten(name, 60, placeholder=" …"), 32) for name in classes]
    axes.set_yticks(range(len(names)), names, size=9, **PLAIN)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_xlabel(what, size=9.5, color=INK)
    grid_across(axes)
    return axes


def _note(axes, x: float, y: float, text: str, side: int = 1, size: float = 8) -> None:
    at = {"textcoords": "offset points", "va": "center", "size": size, "color": INK}
    axes.annotate(text, (x, y), (4 * side, 0), ha="left" if side > 0 else "right", **at)


def _legend(axes, n_columns: int) -> None:
    place = {"loc": "lower right", "bbox_to_anchor": (1, 1), "ncols": n_columns}
    axes.legend(frameon=False, fontsize=9, **place)


def _grid(n: int, n_columns: int, side: float, gaps: tuple, edges: tuple):
    """Return a figure and its n square panels, row by row.

    gaps: between columns and between rows; edges: below the last row and above the first.
    """
    column_step, row_step = side + gaps[0], side + gaps[1]
    n_rows = -(-n // n_columns)
    height = edges[0] + (n_rows - 1) * row_step + side + edges[1]
    figure, panels = new_figure(n_columns * column_step + 0.2, height), []
    for i in range(n):
        row, column = divmod(i, n_columns)
        place = gaps[0] + column * column_step, edges[0] + (n_rows - 1 - row) * row_step
        axes = add_panel(figure, *place, side, side)
        axes.tick_params(labelsize=8, labelcolor=INK, length=2)
        axes.grid(color="#E4E4E4", linewidth=0.7)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
        panels.append(axes)
    return figure, panels


def _draw(axes, precision: np.ndarray, recall: np.ndarray, colour: str):
    """Draw one curve as the steps that it is, from recall 0; return its line."""
    if not len(recall):
        return axes.plot([], [], color=colour)[0]
    xs, ys = np.append(0, recall), np.append(precision[0], precision)
    return axes.plot(xs, ys, color=colour, linewidth=1.5, drawstyle="steps-pre")[0]
