"""The label map: a row for each image label that is near to a sound event."""

import io

import numpy as np
import pytest

from mmat.files import InputError
from mmat.plots.label_map import CELL_HEIGHT, plot_label_map
from mmat.plots.style import DOTS_PER_INCH
from tests.plots.pixels import pixels


def test_the_label_map_has_a_row_for_each_near_image_label():
    similarities = np.array([[0.9, 0.1], [0.8, 0.2], [0.1, 0.7], [0.7, 0.6], [0.0, 0.0]])
    names = ["dog", "puppy", "cat", "wolf", "mug"]
    heights = []
    for per_class, n_rows in [(1, 2), (2, 4), (3, 4)]:
        image = pixels(plot_label_map, similarities, names, ["Dog", "Cat"], per_class)
        heights.append(image.shape[0] / DOTS_PER_INCH)
        assert heights[-1] - heights[0] == pytest.approx((n_rows - 2) * CELL_HEIGHT, abs=0.02)


def test_wrong_shapes_are_refused():
    with pytest.raises(InputError, match="label map"):
        plot_label_map(io.BytesIO(), np.zeros((2, 2)), ["a"], ["b", "c"])
