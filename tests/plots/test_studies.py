"""Pictures of studies: means, spreads and seeds where they should be, one line for no systems."""

import io

import numpy as np
import pytest

from mmat.files import InputError
from mmat.plots.studies import plot_groups, plot_systems
from mmat.plots.style import BLUE, GREY
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


def test_a_path_is_written_whole_or_not_at_all(tmp_path):
    plot_systems(tmp_path / "systems.png", {"systems": {"audio": {"f1": 0.5}}})
    assert (tmp_path / "systems.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(KeyError):
        plot_systems(tmp_path / "broken.png", {"systems": {"audio": {}}})
    assert [path.name for path in tmp_path.iterdir()] == ["systems.png"]


def test_plots_leave_pyplot_alone_and_load_matplotlib_when_used():
    done = run_process(program("plotting"))
    assert done.returncode == 0, done.stderr
