"""Values over time: a panel a label, with a line of the frames and a line at the clip's value."""

import textwrap
from collections.abc import Sequence

import numpy as np

from mmat.plots.style import BLUE, GREY, INK, ORANGE, PLAIN, add_panel
from mmat.tasks import Task

VALUE_HEIGHT = 1.1  # inches of a panel


def draw_values(
    panels: Sequence, frame_values, clip_values, labels: Sequence[str], task: Task
) -> None:
    """Draw the values of a clip into axes of its seconds, one a label, the lowest one last.

    frame_values: `(time, labels)`, clip_values: `(labels,)`, between the ends of the task.
    """
    margin = 0.04 * (task.high - task.low)
    middle = 0.0 if task.low < 0 < task.high else (task.low + task.high) / 2
    ticks = [task.low, middle, task.high]
    for axes, frames, value, label in zip(
        panels, np.transpose(frame_values), clip_values, labels, strict=True
    ):
        seconds = axes.get_xlim()[1]
        axes.axhline(middle, color=GREY, lw=0.8)
        axes.stairs(
            frames, np.linspace(0, seconds, len(frames) + 1), baseline=None, color=BLUE, lw=1.8
        )
        axes.axhline(value, color=ORANGE, lw=1.6, ls=(0, (5, 2)))
        axes.set_ylim(task.low - margin, task.high + margin)
        axes.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
        beside = {"textcoords": "offset points", "va": "center", "annotation_clip": False}
        name = textwrap.fill(textwrap.shorten(label, 44, placeholder=" …"), 20)
        of_axes = {"xycoords": axes.transAxes, "ha": "right", "size": 9.5}
        axes.annotate(name, (0, 0.5), (-32, 0), weight="bold", **of_axes, **beside, **PLAIN)
        axes.annotate(
            f"{value:.2f}", (seconds, value), (8, 0), weight="bold", size=9.5, color=INK, **beside
        )
        axes.tick_params(axis="x", labelbottom=axes is panels[-1])
    panels[-1].set_xlabel("seconds", size=9, color=INK)


def draw_values_key(figure, left: float) -> None:
    """Draw under the time axis which line is which."""
    from matplotlib.lines import Line2D

    place = add_panel(figure, left, 0.3, 1.6, 0.24)
    place.set_axis_off()
    lines = [
        Line2D([], [], color=BLUE, lw=1.8, label="value over time"),
        Line2D([], [], color=ORANGE, lw=1.6, ls=(0, (5, 2)), label="value of the clip"),
    ]
    place.legend(handles=lines, fontsize=8.5, loc="center left", ncols=2, frameon=False)
