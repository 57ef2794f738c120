"""A picture of the label map: which image labels lie nearest to which sound event."""

import os
import textwrap
from collections.abc import Sequence
from typing import BinaryIO

import numpy as np

from mmat.files import InputError
from mmat.plots.style import INK, PLAIN, add_panel, frameless, new_figure, save

CELL_WIDTH, CELL_HEIGHT = 0.46, 0.25  # inches


def plot_label_map(
    path_png: str | os.PathLike | BinaryIO,
    similarities,
    image_labels: Sequence[str],
    sound_labels: Sequence[str],
    per_class: int = 3,
) -> None:
    """Draw how near image labels are to sound events: each event's nearest ones, side by side.

    similarities: `(image labels, sound events)`, higher for nearer; per_class: how many image
    labels to name for each event. A figure stays readable up to some 30 events: give a part of
    them where there are more. Raises InputError where the shapes do not fit.

    >>> import io
    >>> plot_label_map(io.BytesIO(), np.eye(4, 2), ["dog", "cat", "car", "cup"], ["Dog", "Cat"], 1)
    """
    similarities = np.asarray(similarities, np.float64)
    if similarities.shape != (len(image_labels), len(sound_labels)) or not similarities.size:
        raise InputError(
            f"label map: similarities {similarities.shape} for {len(image_labels)} image labels "
            f"and {len(sound_labels)} sound events"
        )
    nearest = np.argsort(-similarities, axis=0, kind="stable")[:per_class]
    rows = list(dict.fromkeys(nearest.T.ravel().tolist()))
    width, height = CELL_WIDTH * len(sound_labels), CELL_HEIGHT * len(rows)
    left, bottom, top = 2.8, 0.25, 1.9
    figure = new_figure(left + width + 1.5, bottom + height + top)
    axes = add_panel(figure, left, bottom, width, height)
    image = axes.imshow(similarities[rows], aspect="auto", cmap="Blues", interpolation="nearest")
    _write_nearest(axes, similarities, nearest, rows, dark=np.quantile(image.get_clim(), 0.6))
    axes.set_xticks(np.arange(0.5, len(sound_labels) - 1), minor=True)
    axes.set_yticks(np.arange(0.5, len(rows) - 1), minor=True)
    axes.grid(which="minor", color="white", linewidth=1.5)

    names = [textwrap.shorten(str(image_labels[row]), 38, placeholder=" …") for row in rows]
    axes.set_yticks(range(len(rows)), names, size=9, **PLAIN)
    axes.xaxis.tick_top()
    slanted = {"rotation": 40, "ha": "left", "rotation_mode": "anchor"}
    events = [textwrap.shorten(str(label), 32, placeholder=" …") for label in sound_labels]
    axes.set_xticks(range(len(events)), events, size=9.5, **slanted, **PLAIN)
    axes.set_ylabel("image labels", size=10, color=INK)
    frameless(axes)
    axes.tick_params(which="minor", length=0)
    bar = add_panel(figure, left + width + 0.2, bottom, 0.13, min(height, 2.0))
    figure.colorbar(image, cax=bar).outline.set_visible(False)
    bar.tick_params(labelsize=8, labelcolor=INK)
    bar.set_ylabel("similarity to the sound event", size=9, color=INK)
    save(figure, path_png)


def _write_nearest(axes, similarities, nearest, rows: list[int], dark: float) -> None:
    """Write the similarity into the cells that are among their event's nearest."""
    for column, image_labels in enumerate(nearest.T):
        for image_label in image_labels:
            value = similarities[image_label, column]
            colour = "white" if value > dark else INK
            where = {"ha": "center", "va": "center", "size": 8}
            axes.text(column, rows.index(image_label), f"{value:.2f}", color=colour, **where)
