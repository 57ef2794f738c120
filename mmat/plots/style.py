"""What all pictures share: colours, text, panels measured in inches, and the way to a file."""

import os
from typing import BinaryIO

from mmat.files import atomic_path

DOTS_PER_INCH = 120
BLUE, ORANGE, GREY, INK = "#0072B2", "#D55E00", "#9A9A9A", "#222222"
# Up to three systems side by side; the last, which it is about, is blue.
SYSTEM_COLOURS = (ORANGE, GREY, BLUE)
LEFT, DRAWN, RIGHT = 2.0, 6.8, 1.6  # inches across a picture with a time axis
# Names come from outside: a `$` in them starts no formula.
PLAIN = {"parse_math": False, "color": INK}


def new_figure(width: float, height: float):
    """Return an empty matplotlib figure of that size in inches."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), dpi=DOTS_PER_INCH)


def add_panel(figure, left: float, bottom: float, width: float, height: float):
    """Return axes at that place of the figure, in inches from its lower left corner."""
    whole_width, whole_height = figure.get_size_inches()
    box = (left / whole_width, bottom / whole_height, width / whole_width, height / whole_height)
    return figure.add_axes(box)


def frameless(axes) -> None:
    """Take the box around the axes away, and the tick marks with it."""
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0, labelcolor=INK)


def grid_across(axes) -> None:
    """Draw faint lines at the ticks of the x axis behind everything, and no box."""
    axes.grid(axis="x", color="#DDDDDD", linewidth=0.8)
    axes.set_axisbelow(True)
    frameless(axes)


def save(figure, path: str | os.PathLike | BinaryIO, kind: str = "png") -> None:
    """Write the figure to an open binary file, or to a path, whole or not at all."""
    if hasattr(path, "write"):
        figure.savefig(path, format=kind)
        return
    with atomic_path(path) as part:
        figure.savefig(part, format=kind)
