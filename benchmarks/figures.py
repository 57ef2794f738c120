"""Results as pictures: how many times better ours is, beside the aims; how near the floor."""

import pathlib
from collections.abc import Sequence

from benchmarks.tables import best_of_ours, digits
from mmat.plots.style import BLUE, GREY, INK, ORANGE, PLAIN, add_panel, frameless, new_figure, save

BAR_INCHES, TEXT_INCHES, DRAWN_INCHES, MARGIN_INCHES = 0.26, 5.2, 4.6, 0.55
# Jobs whose floor is what the network multiplies; of others it is far below all that is known.
COMPUTED = ("log-mel", "tagging", "a training step", "full training")


def draw(results: dict, folder: pathlib.Path) -> None:
    """Write `aims.png` and `floors.png` into a folder, each if there is something for it."""
    rows = results["results"]
    aims = best_of_ours([row for row in rows if row["aim"]])
    if aims:
        save(aims_figure(aims), folder / "aims.png")
    computed = [row for row in rows if row["floor_seconds"] and row["job"].startswith(COMPUTED)]
    if computed:
        save(floors_figure(computed), folder / "floors.png")


def aims_figure(rows: Sequence[dict]):
    """Return a bar for each aim: the ratio, on a logarithmic scale, and a mark at the aim."""
    texts = [f"{row['job']}, against {row['peer']}" for row in rows]
    ratios, marks = [row["ratio"] for row in rows], [row["aim"] for row in rows]
    figure, axes = _bars(texts, ratios, "times better than the peer", marks)
    for place, mark in enumerate(marks):
        axes.plot([mark] * 2, [place - 0.4, place + 0.4], color=ORANGE, linewidth=3)
    axes.axvline(1.0, color=GREY, linewidth=1, zorder=0)
    return figure


def floors_figure(rows: Sequence[dict]):
    """Return a bar for each way of ours: its share of what the machine can do at best."""
    ways = {(row["job"], row["ours"]): row for row in rows}
    shares = [100 * row["floor_seconds"] / row["ours_seconds"]["median"] for row in ways.values()]
    figure, axes = _bars([", ".join(way) for way in ways], shares, "per cent of the floor")
    axes.axvline(100.0, color=GREY, linewidth=1, zorder=0)
    return figure


def _bars(texts: list[str], values: list[float], axis: str, marks: Sequence[float] = ()):
    """Return a figure of bars with their values, which stand beyond what is marked as well."""
    height = BAR_INCHES * len(texts)
    figure = new_figure(TEXT_INCHES + DRAWN_INCHES + 1.0, height + 2 * MARGIN_INCHES)
    axes = add_panel(figure, TEXT_INCHES, MARGIN_INCHES, DRAWN_INCHES, height)
    places = range(len(texts))
    axes.barh(places, values, height=0.6, color=BLUE)
    axes.set_xscale("log")
    axes.set_ylim(len(texts) - 0.5, -0.5)
    axes.set_yticks(places, texts, fontsize=8, **PLAIN)
    axes.set_xlabel(axis, color=INK)
    axes.xaxis.set_major_formatter(lambda value, _: digits(value))
    for place, value in enumerate(values):
        axes.annotate(
            digits(value),
            (max([value, *marks[place : place + 1]]), place),
            (4, 0),
            textcoords="offset points",
            va="center",
            fontsize=8,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.5},
        )
    frameless(axes)
    return figure, axes
