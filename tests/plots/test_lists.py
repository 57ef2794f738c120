"""The bars of a list: as long as the counts say, in the format that the suffix names."""

import pathlib

import numpy as np
import pytest

from mmat.files import InputError
from mmat.plots.lists import plot_list
from mmat.plots.style import BLUE, GREY
from tests.plots.pixels import coloured, pixels


def bars(colour: str, labels: dict, found: dict | None = None, **options) -> list[int]:
    """Return the pixels of each bar in a colour, from the top down."""
    lengths = coloured(pixels(plot_list, labels, found, **options), colour)
    lengths = lengths[60 if found else 0 :].sum(axis=1)  # below the key
    starts = np.flatnonzero((lengths[1:] > 20) & (lengths[:-1] <= 20)) + 1
    return [int(lengths[start + 3]) for start in starts]


def test_bars_are_as_long_as_the_counts_the_longest_first():
    short, long = bars(BLUE, {"Cat": 20, "Nothing": 0, "Costs $4 and $5": 50})[::-1]
    assert long / short == pytest.approx(2.5, rel=0.02)


def test_the_axis_is_logarithmic_where_counts_span_much():
    lengths = bars(BLUE, {"Car": 10000, "Bus": 1000, "Horn": 100})
    steps = -np.diff(lengths)
    assert len(lengths) == 3 and steps[0] == pytest.approx(steps[1], abs=2)


def test_what_is_found_is_a_part_of_each_bar():
    labels, found = {"Car": 40, "Bus": 40, "Dog": 20}, {"Car": 30, "Bus": 0, "Dog": 20}
    (whole,) = {length for length in bars(BLUE, {"Car": 40, "Bus": 40}, {"Car": 40, "Bus": 40})}
    assert bars(BLUE, labels, found) == pytest.approx([0.75 * whole, 0.5 * whole], abs=3)
    assert bars(GREY, labels, found) == pytest.approx([0.25 * whole, whole], abs=3)


def test_of_too_many_classes_the_largest_are_drawn():
    labels = {f"class {i}" + " with a long name" * 9: i for i in range(50)}
    assert bars(BLUE, labels, most_rows=4) == bars(BLUE, dict(list(labels.items())[-4:]))


@pytest.mark.parametrize(
    ("name", "start"), [("a.png", b"\x89PNG"), ("a.PDF", b"%PDF"), ("a.svg", b"<?xml")]
)
def test_the_suffix_gives_the_format(tmp_path, name, start):
    plot_list(tmp_path / name, {"Dog": 1}, title="my $list$.csv")
    assert (tmp_path / name).read_bytes().startswith(start)


@pytest.mark.parametrize("name", ["a.jpg", "a", "png"])
def test_another_suffix_is_refused(tmp_path, name):
    with pytest.raises(InputError, match="ends in .png, .pdf or .svg"):
        plot_list(tmp_path / name, {"Dog": 1})
    assert not list(tmp_path.iterdir())
    with pytest.raises(InputError, match="no class"):
        plot_list(pathlib.Path("a.png"), {})
