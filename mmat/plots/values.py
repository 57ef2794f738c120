"""Values that a model gives to clips against the true ones, a panel a quantity."""

import os
from collections.abc import Sequence
from typing import BinaryIO

import numpy as np

from mmat.errors import InputError
from mmat.plots.style import BLUE, GREY, INK, PLAIN, add_panel, new_figure, save

COLUMNS, SIDE, GAP, TOP = 3, 3.2, 0.75, 0.95  # inches


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
    n_columns, n_rows = min(COLUMNS, len(labels)), -(-len(labels) // COLUMNS)
    height = n_rows * (SIDE + TOP)
    figure = new_figure(n_columns * (SIDE + GAP) + 0.2, height)
    room = 0.03 * (high - low)
    for c, name in enumerate(labels):
        row, column = divmod(c, COLUMNS)
        bottom = height - (row + 1) * (SIDE + TOP) + 0.55
        axes = add_panel(figure, GAP + column * (SIDE + GAP), bottom, SIDE, SIDE)
        axes.plot([low, high], [low, high], color=GREY, linewidth=1)
        axes.plot(truth[:, c], values[:, c], "o", ms=4, color=BLUE, mec="none", alpha=0.5)
        axes.set(xlim=(low - room, high + room), ylim=(low - room, high + room))
        axes.set_title(name, size=10, **PLAIN)
        axes.set_xlabel("truth", size=9, color=INK)
        axes.set_ylabel("value", size=9, color=INK)
        axes.tick_params(labelsize=8, labelcolor=INK, length=2)
        axes.grid(color="#E4E4E4", linewidth=0.7)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
    save(figure, path_png)
