"""Pictures class by class: marks where the numbers say, and refusals in a sentence."""

import io

import numpy as np
import pytest

from mmat.files import InputError
from mmat.plots import evaluation, style
from tests.plots.pixels import coloured, pixels


def count(image, colour: str) -> int:
    return int(coloured(image, colour).sum())


def test_bars_are_as_long_as_the_figures_and_the_last_system_is_blue():
    figures = {"Dog": {"audio": 0.2, "fused": 0.4}, "Costs $4": {"audio": 0.2, "fused": 0.4}}
    image = pixels(evaluation.plot_class_bars, figures)
    areas = [count(image, colour) for colour in (style.BLUE, style.GREY)]
    assert areas[0] / areas[1] == pytest.approx(2, rel=0.08)  # the key adds as much to both
    alone = pixels(evaluation.plot_class_bars, {"Dog": {"": 0.5}})
    assert count(alone, style.BLUE) > 50 * count(alone, style.GREY)  # letters have soft edges


def test_outcomes_have_the_area_of_their_counts():
    image = pixels(evaluation.plot_outcomes, {"Dog": (40, 20, 20), "Cat": (20, 0, 10)})
    found, missed, made_up = (
        count(image, colour) for colour in (evaluation.FOUND, evaluation.MISSED, evaluation.MADE_UP)
    )
    assert found / missed == pytest.approx(3, rel=0.15)
    assert found / made_up == pytest.approx(2, rel=0.15)


def test_confusion_is_darkest_where_most_clips_are():
    image = pixels(evaluation.plot_confusion, np.array([[0, 9], [1, 0]]), ["Dog", "Cat"])
    dark = np.argwhere(image.sum(axis=-1) < 200)
    assert len(dark)
    many = pixels(evaluation.plot_confusion, np.zeros((40, 40), int), ["x"] * 40)
    assert many.shape[1] < 1300


def test_curves_have_a_panel_a_class_and_a_colour_a_system():
    curve = np.array([1.0, 0.5]), np.array([0.5, 1.0])
    one = pixels(evaluation.plot_precision_recall, {"Dog": {"audio": curve, "fused": curve[::-1]}})
    assert count(one, style.BLUE) and count(one, style.GREY)
    five = {f"class {c}": {"audio": curve} for c in range(5)}
    assert pixels(evaluation.plot_precision_recall, five).shape[0] > one.shape[0]
    empty = np.zeros(0), np.zeros(0)
    pixels(evaluation.plot_precision_recall, {"Dog": {"audio": empty}})


def test_reliability_has_a_colour_a_system_and_bars_as_long_as_the_intervals():
    scores = [0.25, 0.75]
    sure = scores, scores, [0.2, 0.7], [0.3, 0.8]
    unsure = scores, scores, [0.05, 0.55], [0.45, 0.95]
    short, long = (pixels(evaluation.plot_reliability, {"": curve}) for curve in (sure, unsure))
    assert count(long, style.BLUE) > count(short, style.BLUE) > 0
    both = pixels(evaluation.plot_reliability, {"the other": unsure, "this": sure})
    assert count(both, style.BLUE) > count(short, style.BLUE)  # the key
    assert count(both, style.GREY) > 4 * count(short, style.GREY)


def test_values_are_points_and_right_ones_lie_on_the_line():
    truth = np.linspace(-3, 3, 12)[:, None]
    on, off = (pixels(evaluation.plot_values, truth, x, ["mood"], -3, 3) for x in (truth, -truth))
    assert count(on, style.GREY) < count(off, style.GREY)  # points hide the line that they lie on
    four = pixels(evaluation.plot_values, *[np.tile(truth, 4)] * 2, list("abcd"), -3, 3)
    assert four.shape[0] > on.shape[0] and four.shape[1] > 2 * on.shape[1]


def test_nothing_to_draw_is_refused():
    for plot, arguments in [
        (evaluation.plot_class_bars, [{}]),
        (evaluation.plot_outcomes, [{}]),
        (evaluation.plot_precision_recall, [{}]),
        (evaluation.plot_reliability, [{}]),
        (evaluation.plot_reliability, [{"": ([], [], [], [])}]),
        (evaluation.plot_confusion, [np.zeros((0, 0)), []]),
        (evaluation.plot_confusion, [np.zeros((2, 3)), ["a", "b"]]),
        (evaluation.plot_values, [np.zeros((2, 0)), np.zeros((2, 0)), [], -3, 3]),
        (evaluation.plot_values, [np.zeros((2, 1)), np.zeros((3, 1)), ["a"], -3, 3]),
    ]:
        with pytest.raises(InputError):
            plot(io.BytesIO(), *arguments)
