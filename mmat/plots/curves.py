"""Precision over recall of every class and system, as small panels side by side."""

import os
import textwrap
from collections.abc import Mapping
from typing import BinaryIO

import numpy as np

from mmat.errors import InputError
from mmat.plots.style import INK, PLAIN, SYSTEM_COLOURS, add_panel, new_figure, save

COLUMNS, SIDE, GAP, TOP = 4, 1.85, 0.62, 0.62  # inches


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
    n_rows = -(-len(curves) // COLUMNS)
    height = n_rows * (SIDE + TOP) + 0.75
    figure = new_figure(COLUMNS * (SIDE + GAP) + 0.2, height)
    systems: dict[str, object] = {}
    for i, (name, of_class) in enumerate(curves.items()):
        row, column = divmod(i, COLUMNS)
        bottom = height - (row + 1) * (SIDE + TOP)
        axes = add_panel(figure, GAP + column * (SIDE + GAP), bottom, SIDE, SIDE)
        colours = SYSTEM_COLOURS[-len(of_class) :]
        for colour, (system, (precision, recall)) in zip(colours, of_class.items(), strict=True):
            systems[system] = _draw(axes, np.asarray(precision), np.asarray(recall), colour)
        axes.set_title("\n".join(textwrap.wrap(textwrap.shorten(name, 50), 26)), size=9, **PLAIN)
        axes.set(xlim=(0, 1.02), ylim=(0, 1.05), xticks=[0, 0.5, 1], yticks=[0, 0.5, 1])
        axes.tick_params(labelsize=8, labelcolor=INK, length=2)
        axes.grid(color="#E4E4E4", linewidth=0.7)
        axes.spines[["top", "right"]].set_visible(False)
        if column == 0:
            axes.set_ylabel("precision", size=8.5, color=INK)
        if i + COLUMNS >= len(curves):
            axes.set_xlabel("recall", size=8.5, color=INK)
    if len(systems) > 1:
        place = {"loc": "lower right", "ncols": len(systems), "frameon": False, "fontsize": 9}
        figure.legend(systems.values(), systems.keys(), **place)
    save(figure, path_png)


def _draw(axes, precision: np.ndarray, recall: np.ndarray, colour: str):
    """Draw one curve as the steps that it is, from recall 0; return its line."""
    if not len(recall):
        return axes.plot([], [], color=colour)[0]
    xs, ys = np.append(0, recall), np.append(precision[0], precision)
    return axes.plot(xs, ys, color=colour, linewidth=1.5, drawstyle="steps-pre")[0]
