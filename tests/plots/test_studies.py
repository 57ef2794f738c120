"""Pictures of studies: means, spreads and seeds where they should be, one line for no systems."""

import io

import numpy as np
import pytest

from mmat.files import InputError
from mmat.plots.studies import plot_curves, plot_groups, plot_systems
from mmat.plots.style import BLUE, GREY, ORANGE
from tests.plots.pixels import coloured, pixels
from tests.processes import program, run_process


def one(*seeds):
    return {"F1": {"mean": float(np.mean(seeds)), "sd": float(np.std(seeds)), "seeds": list(seeds)}}


def blue_columns(figures) -> np.ndarray:
    """Return where each row of the picture is blue, as the mean column of its pixels."""
    rows, columns = np.nonzero(coloured(pixels(plot_groups, figures, ["F1"]), BLUE))
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
def test_nothing_to_draw_is_refused(figures, shown):
    with pytest.raises(InputError, match="no system or no figure"):
        plot_groups(io.BytesIO(), figures, shown)
    with pytest.raises(InputError, match="no systems"):
        plot_systems(io.BytesIO(), {})


def test_bars_are_as_long_as_the_figures_say():
    systems = {
        "audio": {"f1": {"mean": 0.4}},
        "fused": {"f1": {"mean": 0.6}},
        "best_constant": {"f1": 0.2},
    }
    image = pixels(plot_systems, {"systems": systems})
    lengths = np.unique(coloured(image, BLUE).sum(axis=1))[1:]
    grey = coloured(image, GREY).sum(axis=1)
    grey = grey[grey > 100].min()  # rows of the bar that hold no soft edge of a letter
    assert lengths / grey == pytest.approx([2, 3], rel=0.02)


def test_spread_and_seeds_are_drawn():
    f1 = {"mean": 0.5, "sd": 0.03, "seeds": [0.47, 0.5, 0.53]}
    with_spread = pixels(plot_systems, {"systems": {"audio": {"f1": f1}}})
    single = pixels(plot_systems, {"systems": {"audio": {"f1": {"mean": 0.5}}}})
    assert not np.array_equal(with_spread, single)


def curve(*means, sd=0.0):
    return [None if mean is None else {"mean": mean, "sd": sd} for mean in means]


def curves(panels, points):
    return pixels(plot_curves, panels, points, "recordings a class")


def test_a_curve_that_rises_ends_higher_than_it_begins():
    lines = {"names": curve(40, 40, 40), "probe": curve(None, 10, 30), "ours": curve(40, 45, 60)}
    image = curves({"F1": lines}, ["0", "1", "all"])[40:]  # below the legend
    rows, columns = np.nonzero(coloured(image, BLUE))
    first, last = rows[columns < columns.min() + 6].mean(), rows[columns > columns.max() - 6].mean()
    assert first - last > 60
    assert np.ptp(np.nonzero(coloured(image, ORANGE))[0]) < 15


def test_a_system_without_a_first_point_begins_later():
    late, early = ({"names": curve(40, 40), "probe": curve(first, 10)} for first in (None, 30))
    inked = [coloured(curves({"F1": lines}, ["0", "1"]), GREY).sum() for lines in (late, early)]
    assert inked[1] > inked[0] + 200


def test_the_spread_of_a_curve_is_drawn():
    narrow, wide = ({"ours": curve(40, 45, 60, sd=sd)} for sd in (0.0, 5.0))
    images = [curves({"F1": lines}, ["0", "1", "2"]) for lines in (narrow, wide)]
    inked = [(image < 250).any(axis=-1).sum() for image in images]
    assert inked[1] > inked[0] + 2000


def test_two_panels_stand_side_by_side_and_a_third_below():
    lines = {"ours": curve(1, 2)}
    one, two, three = (
        curves({f"panel {i}": lines for i in range(n)}, ["0", "1"]).shape for n in (1, 2, 3)
    )
    assert two[0] == one[0] and two[1] > 1.7 * one[1]
    assert three[1] == two[1] and three[0] > 1.7 * two[0]


@pytest.mark.parametrize(("panels", "points"), [({}, ["0"]), ({"F1": {}}, [])])
def test_no_panel_or_no_point_is_refused(panels, points):
    with pytest.raises(InputError, match="no panel or no point"):
        plot_curves(io.BytesIO(), panels, points, "recordings")


def test_a_path_is_written_whole_or_not_at_all(tmp_path):
    plot_systems(tmp_path / "systems.png", {"systems": {"audio": {"f1": 0.5}}})
    assert (tmp_path / "systems.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(KeyError):
        plot_systems(tmp_path / "broken.png", {"systems": {"audio": {}}})
    assert [path.name for path in tmp_path.iterdir()] == ["systems.png"]


def test_plots_leave_pyplot_alone_and_load_matplotlib_when_used():
    done = run_process(program("plotting"))
    assert done.returncode == 0, done.stderr
