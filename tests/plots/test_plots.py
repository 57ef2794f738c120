"""Pictures: real PNGs whose marks stand where the numbers say, made without global state."""

import io

import matplotlib.image
import numpy as np
import pytest

from mmat import plots
from mmat.files import InputError
from mmat.labels import MULTI_CLASS, regression
from mmat.plots import label_map, style, tagging
from tests.processes import program, run_process

LABELS = ["Dog", "Fire engine, fire truck (siren)", "Costs $4 and $5"]


def pixels(png: io.BytesIO) -> np.ndarray:
    """Return a PNG as (height, width, 3) in 0 to 255."""
    png.seek(0)
    return np.round(matplotlib.image.imread(png, format="png")[..., :3] * 255).astype(int)


def where_coloured(image, colour: str) -> np.ndarray:
    wanted = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
    return (np.abs(image - wanted) <= 2).all(axis=-1)


def clip(seconds=10.0):
    """Give log-mel, frame scores and thresholds; the first class sounds from 2 to 4 s."""
    frame_scores = np.full((round(seconds * 10), 3), 0.05, np.float32)
    frame_scores[20:40, 0] = 0.9
    return (
        np.random.default_rng(0).normal(-40, 9, (round(seconds * 40), 64)),
        frame_scores,
        [0.5] * 3,
    )


def test_what_was_detected_is_underlined_at_its_time():
    log_mel, frame_scores, thresholds = clip()
    plots.plot_tagging(png := io.BytesIO(), log_mel, frame_scores, LABELS, thresholds)
    orange = where_coloured(pixels(png), style.ORANGE)
    lines = np.flatnonzero(orange.sum(axis=1) > 100)  # the key's sample is shorter than that
    columns = np.flatnonzero(orange[lines[len(lines) // 2]])
    seconds = (columns[[0, -1]] / style.DOTS_PER_INCH - style.LEFT) / style.DRAWN * 10
    assert seconds == pytest.approx([2, 4], abs=0.05)


def test_the_best_class_is_underlined_whatever_the_thresholds():
    log_mel, frame_scores, _ = clip()
    frame_scores[:] = [0.5, 0.3, 0.2]
    frame_scores[60:] = [0.1, 0.7, 0.2]
    given = log_mel, frame_scores, LABELS, [1.0] * 3
    plots.plot_tagging(png := io.BytesIO(), *given, task=MULTI_CLASS)
    orange = where_coloured(pixels(png), style.ORANGE)
    lines = np.flatnonzero(orange.sum(axis=1) > 100)
    spans = []
    for line in lines[[0, -1]]:
        columns = np.flatnonzero(orange[line])[[0, -1]]
        spans.append((columns / style.DOTS_PER_INCH - style.LEFT) / style.DRAWN * 10)
    assert spans[0] == pytest.approx([6, 10], abs=0.05)  # the better one of the clip stands above
    assert spans[1] == pytest.approx([0, 6], abs=0.05)


def test_a_value_is_a_line_as_high_as_it_is():
    rows, heights = {}, []
    for n_labels in (1, 2):
        for value in (-3.0, 0.5, 3.0):
            values = np.full((100, n_labels), value)
            given = np.zeros((400, 64)), values, LABELS[:n_labels], [0.5] * n_labels
            plots.plot_tagging(
                png := io.BytesIO(), *given, clip_scores=[-1.0] * n_labels, task=regression(-3, 3)
            )
            picture = pixels(png)
            blue = where_coloured(picture, style.BLUE).sum(axis=1)
            rows[n_labels, value] = np.flatnonzero(blue > 0.9 * style.DRAWN * style.DOTS_PER_INCH)
        heights.append(picture.shape[0] / style.DOTS_PER_INCH)
    inch = style.DOTS_PER_INCH * tagging.VALUE_HEIGHT / 1.08  # of the scale, with its margins
    one = [rows[1, value].mean() for value in (-3.0, 0.5, 3.0)]
    assert one[0] - one[2] == pytest.approx(inch, abs=1.5)
    assert one[0] - one[1] == pytest.approx(inch * 3.5 / 6, abs=1.5)
    assert np.ptp(rows[2, 0.5]) > 100  # of the other panel
    assert heights[1] - heights[0] == pytest.approx(tagging.VALUE_HEIGHT + 0.12, abs=0.02)


def test_pictures_truth_and_title_make_a_taller_picture():
    log_mel, frame_scores, thresholds = clip()
    plots.plot_tagging(plain := io.BytesIO(), log_mel, frame_scores, LABELS, thresholds)
    red = np.zeros((48, 64, 3), np.uint8)
    red[..., 0] = 255
    seen = [(0.2, red, "a $dog$"), (7.0, red, "a cat, and a name that is far too long for it")]
    more = {"pictures": seen, "true_events": [(0, 2.0, 4.0)], "title": "a $clip$.mp4"}
    plots.plot_tagging(full := io.BytesIO(), log_mel, frame_scores, LABELS, thresholds, **more)
    picture, plain_picture = pixels(full), pixels(plain)
    assert picture.shape[0] > plain_picture.shape[0]
    assert picture.shape[1] == plain_picture.shape[1]
    shown = where_coloured(picture, "#FF0000")
    height = tagging.TALLEST
    area = shown.sum() / style.DOTS_PER_INCH**2
    assert area == pytest.approx(2 * height * height * 64 / 48 * 0.96, rel=0.03)
    columns = np.flatnonzero(shown.any(axis=0)) / style.DOTS_PER_INCH - style.LEFT
    # The first is pushed to the edge, the second stands at its time.
    assert columns[0] == pytest.approx(0, abs=0.05)
    second = columns[columns > style.DRAWN / 2]
    assert second.mean() / style.DRAWN * 10 == pytest.approx(7.0, abs=0.05)


@pytest.mark.parametrize("seconds", [0.1, 1.0, 60.0])
def test_clips_of_any_length_are_drawn(seconds):
    log_mel, frame_scores, thresholds = clip(seconds)
    plots.plot_tagging(png := io.BytesIO(), log_mel, frame_scores, LABELS, thresholds)
    assert pixels(png).shape[1] == 1248


def test_the_clip_scores_decide_which_of_many_classes_are_shown():
    clip = np.zeros((40, 64)), np.full((10, 50), 0.1), [f"class {c}" for c in range(50)]
    heights = []
    for n_fired in (0, 5, 12):
        clip_scores = np.where(np.arange(50) < n_fired, 0.9, 0.2)
        png = io.BytesIO()
        plots.plot_tagging(png, *clip, np.full(50, 0.5), clip_scores=clip_scores)
        heights.append(pixels(png).shape[0] / style.DOTS_PER_INCH)
    assert heights[0] == heights[1]
    assert heights[2] - heights[1] == pytest.approx(7 * tagging.ROW_HEIGHT, abs=0.02)


def test_the_label_map_has_a_row_for_each_near_image_label():
    similarities = np.array([[0.9, 0.1], [0.8, 0.2], [0.1, 0.7], [0.7, 0.6], [0.0, 0.0]])
    names = ["dog", "puppy", "cat", "wolf", "mug"]
    heights = []
    for per_class, n_rows in [(1, 2), (2, 4), (3, 4)]:
        plots.plot_label_map(png := io.BytesIO(), similarities, names, ["Dog", "Cat"], per_class)
        heights.append(pixels(png).shape[0] / style.DOTS_PER_INCH)
        assert heights[-1] - heights[0] == pytest.approx(
            (n_rows - 2) * label_map.CELL_HEIGHT, abs=0.02
        )


def test_bars_are_as_long_as_the_figures_say():
    systems = {
        "audio": {"f1": {"mean": 0.4}},
        "fused": {"f1": {"mean": 0.6}},
        "best_constant": {"f1": 0.2},
    }
    plots.plot_systems(png := io.BytesIO(), {"systems": systems})
    image = pixels(png)
    lengths = np.unique(where_coloured(image, style.BLUE).sum(axis=1))[1:]
    grey = where_coloured(image, style.GREY).sum(axis=1)
    grey = grey[grey > 100].min()  # rows of the bar that hold no soft edge of a letter
    assert lengths / grey == pytest.approx([2, 3], rel=0.02)


def test_spread_and_seeds_are_drawn():
    f1 = {"mean": 0.5, "sd": 0.03, "seeds": [0.47, 0.5, 0.53]}
    plots.plot_systems(with_spread := io.BytesIO(), {"systems": {"audio": {"f1": f1}}})
    plots.plot_systems(single := io.BytesIO(), {"systems": {"audio": {"f1": {"mean": 0.5}}}})
    assert not np.array_equal(pixels(with_spread), pixels(single))


def test_a_path_is_written_whole_or_not_at_all(tmp_path):
    plots.plot_systems(tmp_path / "systems.png", {"systems": {"audio": {"f1": 0.5}}})
    assert (tmp_path / "systems.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(KeyError):
        plots.plot_systems(tmp_path / "broken.png", {"systems": {"audio": {}}})
    assert [path.name for path in tmp_path.iterdir()] == ["systems.png"]


def test_wrong_shapes_are_refused():
    log_mel, frame_scores, thresholds = clip()
    for arguments, reason in [
        ((log_mel[0], frame_scores, LABELS, thresholds), "log-mel"),
        ((log_mel, frame_scores, LABELS[:2], thresholds), "2 labels"),
        ((log_mel, frame_scores, LABELS, [0.5] * 2), "thresholds"),
        ((log_mel, frame_scores[:0], LABELS, thresholds), "frame scores"),
    ]:
        with pytest.raises(InputError, match=reason):
            plots.plot_tagging(io.BytesIO(), *arguments)
    with pytest.raises(InputError, match="label map"):
        plots.plot_label_map(io.BytesIO(), np.zeros((2, 2)), ["a"], ["b", "c"])
    with pytest.raises(InputError, match="no systems"):
        plots.plot_systems(io.BytesIO(), {})


def test_plots_leave_pyplot_alone_and_load_matplotlib_when_used():
    done = run_process(program("plotting"))
    assert done.returncode == 0, done.stderr
