"""A picture of a list: how many clips each class has, and of how many the media are there."""

import math
import os
import pathlib
import textwrap
from collections.abc import Mapping
from typing import BinaryIO

from mmat.files import InputError
from mmat.plots.style import BLUE, GREY, INK, PLAIN, add_panel, grid_across, new_figure, save

FORMATS = ("png", "pdf", "svg")
ROW_HEIGHT = 0.24  # inches
LOG_FROM = 100  # the largest count over the smallest, from which bars would vanish


def plot_list(
    path: str | os.PathLike | BinaryIO,
    labels: Mapping[str, int],
    found: Mapping[str, int] | None = None,
    title: str = "",
    most_rows: int = 600,
) -> None:
    """Draw the clips of each class as bars, the most frequent class first.

    labels: clips a class; found: of how many the media are there, drawn as a part of each bar.
    most_rows: of more classes the largest are drawn, for a picture of thousands is too tall.
    The axis is logarithmic where the counts span two orders. Writes a PNG, or by a path's suffix
    a PDF or SVG. Raises InputError where there is no class, and for another suffix.

    >>> import io
    >>> plot_list(io.BytesIO(), {"Dog": 30, "Cat": 20}, found={"Dog": 25, "Cat": 20})
    """
    if not labels:
        raise InputError("list plot: there is no class to draw")
    suffix = "png" if hasattr(path, "write") else plot_format(path)
    names = sorted(labels, key=lambda name: -labels[name])
    shown = names[:most_rows]
    height = ROW_HEIGHT * len(shown)
    figure = new_figure(8.4, height + 1.3)
    axes = add_panel(figure, 2.7, 0.65, 5.0, height)
    _draw_bars(axes, [labels[name] for name in shown], found and [found[n] for n in shown])
    texts = [textwrap.shorten(name, 38, placeholder=" …") for name in shown]
    axes.set_yticks(range(len(shown)), texts, size=9, **PLAIN)
    axes.set_ylim(len(shown) - 0.4, -0.6)
    scale = " (logarithmic)" if axes.get_xscale() == "log" else ""
    of_all = "" if len(shown) == len(names) else f" (the {len(shown)} largest classes)"
    axes.set_xlabel(f"clips{scale}{of_all}", size=10, color=INK)
    title = textwrap.shorten(title, 80, placeholder=" …")
    axes.set_title(title, loc="left", size=11, pad=24 if found else 8, **PLAIN)
    grid_across(axes)
    save(figure, path, suffix)


def plot_format(path: str | os.PathLike) -> str:
    """Return the format that a path's suffix names; raises InputError for another one."""
    suffix = pathlib.PurePath(path).suffix.lower().removeprefix(".")
    if suffix not in FORMATS:
        raise InputError(f"{path}: a plot ends in .png, .pdf or .svg")
    return suffix


def _draw_bars(axes, counts: list[int], found: list[int] | None) -> None:
    smallest = min((count for count in counts if count), default=1)
    logarithmic = max(counts) >= LOG_FROM * smallest
    left = 0.5 * 10 ** math.floor(math.log10(smallest)) if logarithmic else 0
    if logarithmic:
        axes.set_xscale("log")
    else:
        axes.xaxis.get_major_locator().set_params(integer=True)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axes.tick_params(labelsize=9)
    axes.minorticks_off()
    rows = range(len(counts))
    if found is None:
        _draw(axes, rows, counts, left, BLUE)
    else:
        _draw(axes, rows, counts, left, GREY, label="missing")
        _draw(axes, rows, found, left, BLUE, label="found")
        axes.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2, frameon=False, fontsize=9)
    for row, count in enumerate(counts):
        text = f"{count:,}" if found is None else f"{found[row]:,} of {count:,}"
        where = {"xytext": (5, 0), "textcoords": "offset points", "va": "center", "size": 8}
        axes.annotate(text, (max(count, left), row), color=INK, **where)
    room = (1.6 if found is None else 4.0) if logarithmic else (1.12 if found is None else 1.25)
    axes.set_xlim(left, max(max(counts), 1) * room)


def _draw(axes, rows, ends: list[int], left: float, colour: str, **options) -> None:
    widths = [max(end - left, 0) for end in ends]
    axes.barh(rows, widths, left=left, height=0.66, color=colour, **options)
