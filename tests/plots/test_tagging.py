"""The picture of a clip: a PNG whose marks stand where the numbers say."""

import io

import numpy as np
import pytest

from mmat.files import InputError
from mmat.labels import MULTI_CLASS, regression
from mmat.plots import style, tagging
from mmat.plots.tagging import plot_tagging
from tests.plots.pixels import coloured, pixels

LABELS = ["Dog", "Fire engine, fire truck (siren)", "Costs $4 and $5"]


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
    image = pixels(plot_tagging, log_mel, frame_scores, LABELS, thresholds)
    orange = coloured(image, style.ORANGE)
    lines = np.flatnonzero(orange.sum(axis=1) > 100)  # the key's sample is shorter than that
    columns = np.flatnonzero(orange[lines[len(lines) // 2]])
    seconds = (columns[[0, -1]] / style.DOTS_PER_INCH - style.LEFT) / style.DRAWN * 10
    assert seconds == pytest.approx([2, 4], abs=0.05)


def test_the_best_class_is_underlined_whatever_the_thresholds():
    log_mel, frame_scores, _ = clip()
    frame_scores[:] = [0.5, 0.3, 0.2]
    frame_scores[60:] = [0.1, 0.7, 0.2]
    given = log_mel, frame_scores, LABELS, [1.0] * 3
    image = pixels(plot_tagging, *given, task=MULTI_CLASS)
    orange = coloured(image, style.ORANGE)
    lines = np.flatnonzero(orange.sum(axis=1) > 100)
    spans = []
    for line in lines[[0, -1]]:
        columns = np.flatnonzero(orange[line])[[0, -1]]
        spans.append((columns / style.DOTS_PER_INCH - style.LEFT) / style.DRAWN * 10)
    assert spans[0] == pytest.approx([6, 10], abs=0.05)  # the better one of the clip stands above
    assert spans[1] == pytest.approx([0, 6], abs=0.05)


def test_what_is_as_sure_looks_the_same_whatever_its_threshold():
    log_mel, frame_scores, _ = clip()
    pictures = []
    # odds of 1 : 4 against 1 : 19, the same ratio again, and another one
    for score, threshold in ((0.2, 1 / 20), (0.5, 4 / 23), (0.5, 0.5)):
        frame_scores[:] = 0
        frame_scores[20:40, 0] = score
        given = log_mel, frame_scores, LABELS, [threshold] * 3
        pictures.append(pixels(plot_tagging, *given))
    np.testing.assert_allclose(pictures[0], pictures[1], atol=2)
    assert not np.allclose(pictures[1], pictures[2], atol=2)


def test_a_value_is_a_line_as_high_as_it_is():
    rows, heights = {}, []
    for n_labels in (1, 2):
        for value in (-3.0, 0.5, 3.0):
            values = np.full((100, n_labels), value)
            given = np.zeros((400, 64)), values, LABELS[:n_labels], [0.5] * n_labels
            options = {"clip_scores": [-1.0] * n_labels, "task": regression(-3, 3)}
            picture = pixels(plot_tagging, *given, **options)
            blue = coloured(picture, style.BLUE).sum(axis=1)
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
    plain_picture = pixels(plot_tagging, log_mel, frame_scores, LABELS, thresholds)
    red = np.zeros((48, 64, 3), np.uint8)
    red[..., 0] = 255
    seen = [(0.2, red, "a $dog$"), (7.0, red, "a cat, and a name that is far too long for it")]
    more = {"pictures": seen, "true_events": [(0, 2.0, 4.0)], "title": "a $clip$.mp4"}
    picture = pixels(plot_tagging, log_mel, frame_scores, LABELS, thresholds, **more)
    assert picture.shape[0] > plain_picture.shape[0]
    assert picture.shape[1] == plain_picture.shape[1]
    shown = coloured(picture, "#FF0000")
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
    image = pixels(plot_tagging, log_mel, frame_scores, LABELS, thresholds)
    assert image.shape[1] == 1248


def test_the_clip_scores_decide_which_of_many_classes_are_shown():
    clip = np.zeros((40, 64)), np.full((10, 50), 0.1), [f"class {c}" for c in range(50)]
    heights = []
    for n_fired in (0, 5, 12):
        clip_scores = np.where(np.arange(50) < n_fired, 0.9, 0.2)
        image = pixels(plot_tagging, *clip, np.full(50, 0.5), clip_scores=clip_scores)
        heights.append(image.shape[0] / style.DOTS_PER_INCH)
    assert heights[0] == heights[1]
    assert heights[2] - heights[1] == pytest.approx(7 * tagging.ROW_HEIGHT, abs=0.02)


def test_wrong_shapes_are_refused():
    log_mel, frame_scores, thresholds = clip()
    for arguments, reason in [
        ((log_mel[0], frame_scores, LABELS, thresholds), "log-mel"),
        ((log_mel, frame_scores, LABELS[:2], thresholds), "2 labels"),
        ((log_mel, frame_scores, LABELS, [0.5] * 2), "thresholds"),
        ((log_mel, frame_scores[:0], LABELS, thresholds), "frame scores"),
    ]:
        with pytest.raises(InputError, match=reason):
            plot_tagging(io.BytesIO(), *arguments)
