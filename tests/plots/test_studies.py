"""The dots of a study: as many as there are seeds, and one line for no systems."""

import io

import matplotlib.image
import numpy as np
import pytest

from mmat.files import InputError
from mmat.plots import plot_groups
from mmat.plots.style import BLUE


def one(*seeds):
    return {"F1": {"mean": float(np.mean(seeds)), "sd": float(np.std(seeds)), "seeds": list(seeds)}}


def blue_columns(figures) -> np.ndarray:
    """Return where each row of the picture is blue, as the mean column of its pixels."""
    plot_groups(png := io.BytesIO(), figures, ["F1"])
    png.seek(0)
    image = np.round(matplotlib.image.imread(png, format="png")[..., :3] * 255)
    wanted = [int(BLUE[i : i + 2], 16) for i in (1, 3, 5)]
    rows, columns = np.nonzero((np.abs(image - wanted) <= 2).all(axis=-1))
    middle = (rows.min() + rows.max()) / 2
    return np.array([columns[rows < middle].mean(), columns[rows > middle].mean()])


def test_the_higher_mean_lies_to_the_right():
    low, high = blue_columns({"a": one(10, 12), "b": one(40, 44)})
    assert high - low > 60
    high, low = blue_columns({"a": one(40, 44), "b": one(10, 12)})
    assert high - low > 60


def test_a_name_with_a_dollar_is_drawn_as_it_is():
    plot_groups(io.BytesIO(), {"$\\x$": one(1.0)}, ["F1"])


@pytest.mark.parametrize(("figures", "shown"), [({}, ["F1"]), ({"a": one(1.0)}, [])])
def test_nothing_to_draw_is_said(figures, shown):
    with pytest.raises(InputError, match="no system or no figure"):
        plot_groups(io.BytesIO(), figures, shown)
