"""A picture of one clip on one time axis: its pictures, its mel spectrogram, how sure its tags are.

How sure they are, in the clip and frame by frame, is on the one scale of
`mmat.metrics.decisions.confidence`. Each picture has a line to the time at which it was seen. Of a
regression there is, in the place of scores, a panel a label, with a line of the frames and a line
at the clip's value.
"""

import os
import textwrap
from collections.abc import Sequence
from typing import BinaryIO

import numpy as np

from mmat.files import InputError
from mmat.labels import MULTI_LABEL, Task
from mmat.metrics.decisions import (
    confidence,
    decide,
    percent_sure,
    pool_windows,
    to_events,
)
from mmat.metrics.events import Event
from mmat.plots.style import (
    BLUE,
    DRAWN,
    GREY,
    INK,
    LEFT,
    ORANGE,
    PLAIN,
    RIGHT,
    add_panel,
    frameless,
    new_figure,
    save,
)

TALLEST, CAPTION, POINTER = 1.1, 0.2, 0.16  # inches, of the pictures
ROW_HEIGHT, MEL_HEIGHT, VALUE_HEIGHT = 0.34, 1.9, 1.1  # inches, of a class, the mel, a value
MEL_MAX_HZ = 8000.0
_INCH_A_LETTER = 0.075


def plot_tagging(
    path_png: str | os.PathLike | BinaryIO,
    log_mel,
    frame_scores,
    labels: Sequence[str],
    thresholds,
    hop_seconds: float = 0.1,
    pictures: Sequence[tuple] = (),
    events: Sequence[Event] | None = None,
    true_events: Sequence[tuple] = (),
    clip_scores=None,
    title: str = "",
    n_rows: int = 5,
    task: Task = MULTI_LABEL,
) -> None:
    """Draw a clip: pictures of it, its log-mel spectrogram and how sure its frames are, over time.

    log_mel: decibel `(mel_time, bands)`, 0 to 8000 Hz on Slaney's scale; frame_scores:
    probabilities `(time, classes)`, one every `hop_seconds`, over the same stretch of time as
    log_mel; thresholds: `(classes,)`; pictures: `(seconds, uint8 (height, width, 3), caption)` in
    order of time; events: what was detected (default: the frames that reach the threshold);
    true_events: `(label_index, onset_seconds, offset_seconds)`; clip_scores: `(classes,)`, what
    the decision stands on (default: each class's highest frame). Shown are the classes that fire
    or have an event, and the best of the rest up to `n_rows`. Raises InputError for other shapes.

    task: of classes that exclude each other the best one is underlined, and thresholds are ignored.
    Of a regression the first `n_rows` labels' values are lines between the task's ends, in the
    place of scores, events are ignored, and clip_scores are by default the mean of the frames.

    >>> import io
    >>> png = io.BytesIO()
    >>> plot_tagging(png, np.zeros((40, 64)), np.full((10, 2), 0.7), ["Dog", "Cat"], [0.5, 0.8])
    >>> png.getvalue()[1:4]
    b'PNG'
    """
    log_mel, frame_scores, thresholds = _checked(log_mel, frame_scores, labels, thresholds)
    if clip_scores is None:
        clip_scores = pool_windows(task, frame_scores, np.ones(len(frame_scores)))
    clip_scores = np.asarray(clip_scores, np.float32)
    if events is None:
        every = np.ones(len(labels), bool)
        events = to_events(task, frame_scores, thresholds, every, hop_seconds)
    fired = decide(task, clip_scores, thresholds)
    if task.is_regression:
        rows = list(range(len(labels)))[:n_rows]
        heights = [VALUE_HEIGHT] * len(rows)
    else:
        sure = confidence(task, clip_scores, thresholds)
        rows = _rows_to_show(sure, fired, [*events, *true_events], n_rows)
        heights = [ROW_HEIGHT * len(rows)]

    seconds, names = len(frame_scores) * hop_seconds, [labels[c] for c in rows]
    seen, mel, *scores = _panels([_strip_height(pictures), MEL_HEIGHT, *heights], seconds, title)
    if seen:
        _draw_strip(seen, pictures, seconds)
    _draw_mel(mel, log_mel, seconds)
    if task.is_regression:
        _draw_values(scores, frame_scores[:, rows], clip_scores[rows], names, task)
        _draw_values_key(mel.figure, LEFT)
    else:
        frames = confidence(task, frame_scores[:, rows], thresholds[rows])
        image = _draw_frames(scores[0], frames, seconds)
        _draw_events(scores[0], rows, events, true_events)
        _write_rows(
            scores[0],
            names,
            sure[rows],
            fired[rows],
            "sure" if task.is_multi_class else "sure, fires\nfrom 50 on",
        )
        _draw_key(mel.figure, image, task, bool(true_events))
    save(mel.figure, path_png)


def _checked(log_mel, frame_scores, labels, thresholds):
    log_mel, frame_scores = np.asarray(log_mel), np.asarray(frame_scores, np.float32)
    if log_mel.ndim != 2 or not log_mel.size:
        raise InputError(f"plot: the log-mel is {log_mel.shape}, where (time, bands) has two axes")
    if frame_scores.ndim != 2 or not frame_scores.size or frame_scores.shape[1] != len(labels):
        raise InputError(f"plot: frame scores {frame_scores.shape} for {len(labels)} labels")
    thresholds = np.asarray(thresholds, np.float32)
    if thresholds.shape != (len(labels),):
        raise InputError(f"plot: thresholds {thresholds.shape} for {len(labels)} labels")
    return log_mel, frame_scores, thresholds


def _rows_to_show(sure, fired, events, n_rows: int) -> list[int]:
    """Return the classes to draw, the surest first."""
    in_order = np.argsort(-sure, kind="stable")
    wanted = set(np.flatnonzero(fired)) | {event[0] for event in events}
    wanted |= set([c for c in in_order if c not in wanted][: max(0, n_rows - len(wanted))])
    return [int(c) for c in in_order if c in wanted]


def _panels(heights: Sequence[float], seconds: float, title: str) -> list:
    """Return axes of these heights, from above, on one time axis; None for a height of 0."""
    bottom, gap, top = 1.05, 0.12, 0.5 if title else 0.2
    gaps = (len(heights) - 1) * gap
    figure = new_figure(LEFT + DRAWN + RIGHT, bottom + sum(heights) + gaps + top)
    panels, y = [], bottom
    for height in reversed(heights):
        panels.append(add_panel(figure, LEFT, y, DRAWN, height) if height else None)
        y += height + (gap if height else 0)
    for panel in filter(None, panels):
        panel.set_xlim(0, seconds)
        panel.tick_params(labelcolor=INK, labelsize=9)
    if title:
        highest = panels[-1] or panels[-2]
        highest.set_title(title, loc="left", size=12, weight="bold", pad=8, **PLAIN)
    return panels[::-1]


def _draw_mel(axes, log_mel, seconds: float) -> None:
    bands = log_mel.shape[1]
    extent = (0, seconds, 0, bands)
    axes.imshow(log_mel.T, origin="lower", aspect="auto", cmap="magma", extent=extent)
    hertz = np.array([500, 1000, 2000, 4000])
    axes.set_yticks(_mel(hertz) / _mel(MEL_MAX_HZ) * bands, ["0.5", "1", "2", "4"])
    axes.set_ylabel("kHz", size=9, color=INK)
    axes.tick_params(axis="x", labelbottom=False, length=0)


def _mel(hertz):
    """Slaney's scale: linear up to 1000 Hz, 27 steps to the next factor 6.4 above it."""
    above = 15 + 27 * np.log(np.maximum(hertz, 1000) / 1000) / np.log(6.4)
    return np.where(np.asarray(hertz) < 1000, np.asarray(hertz) * 15 / 1000, above)


def _draw_frames(axes, frames, seconds: float):
    extent = (0, seconds, frames.shape[1] - 0.5, -0.5)
    image = axes.imshow(frames.T, aspect="auto", cmap="Blues", vmin=0, vmax=1, extent=extent)
    image.set_interpolation("nearest")
    for row in range(1, frames.shape[1]):
        axes.axhline(row - 0.5, color="white", linewidth=3)
    axes.set_xlabel("seconds", size=9, color=INK)
    return image


def _draw_events(axes, rows: list[int], events, true_events) -> None:
    """Underline what was detected, and put a box around what truly sounds."""
    from matplotlib.patches import Rectangle

    for label_index, onset, offset, *_ in events:
        row = rows.index(label_index)
        axes.plot([onset, offset], [row + 0.36] * 2, color=ORANGE, lw=3.5, solid_capstyle="butt")
    for label_index, onset, offset, *_ in true_events:
        corner = (onset, rows.index(label_index) - 0.4)
        axes.add_patch(Rectangle(corner, offset - onset, 0.8, fill=False, ec=INK, lw=1.3))


def _write_rows(axes, labels, sure, fired, heading: str) -> None:
    """Write names and how sure each is beside the rows, bold where it fired."""
    names = ["\n".join(textwrap.wrap(x, 23, max_lines=2, placeholder=" …")) for x in labels]
    axes.set_yticks(range(len(names)), names, size=9.5, **PLAIN)
    axes.tick_params(axis="y", length=0)
    right = {"textcoords": "offset points", "annotation_clip": False, "color": INK}
    edge = axes.get_xlim()[1]
    for row, name in enumerate(axes.get_yticklabels()):
        weight = "bold" if fired[row] else "normal"
        text = str(percent_sure(sure[row]))
        axes.annotate(text, (edge, row), (8, 0), weight=weight, size=9.5, va="center", **right)
        name.set_weight(weight)
    axes.annotate(heading, (edge, -0.5), (8, 4), size=8, va="bottom", **right)


def _draw_key(figure, image, task: Task, with_truth: bool) -> None:
    """Draw under the time axis what colours and lines mean."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    bar = add_panel(figure, LEFT, 0.42, 1.6, 0.12)
    figure.colorbar(image, cax=bar, orientation="horizontal", ticks=[0, 0.5, 1])
    bar.set_xticklabels(["0", "50", "100"])
    bar.tick_params(labelsize=8, length=0, labelcolor=INK)
    bar.set_title("sure, frame by frame", size=8.5, color=INK, pad=3)
    name = "best class" if task.is_multi_class else "detected"
    key = [Line2D([], [], color=ORANGE, lw=3.5, label=name)]
    if with_truth:
        key.append(Patch(fill=False, ec=INK, lw=1.3, label="truly sounds"))
    where = {"loc": "center left", "bbox_to_anchor": (1.15, 0.5), "ncols": 2, "frameon": False}
    bar.legend(handles=key, fontsize=8.5, **where)


def _strip_height(pictures: Sequence[tuple]) -> float:
    """Return the inches that a strip of `(seconds, image, caption)` is high, 0 without any."""
    return _sizes(pictures)[1] + CAPTION + POINTER if pictures else 0.0


def _draw_strip(axes, pictures: Sequence[tuple], seconds: float) -> None:
    """Draw pictures as near to their times as there is room, in axes of that many seconds."""
    width, height = _sizes(pictures)
    times = [time for time, *_ in pictures]
    whole = height + CAPTION + POINTER
    for centre, (time, image, caption) in zip(
        centres(np.array(times) / seconds * DRAWN, width, DRAWN), pictures, strict=True
    ):
        left, right = ((centre + side * width * 0.48) / DRAWN * seconds for side in (-1, 1))
        bottom, top = POINTER / whole, (POINTER + height) / whole
        axes.imshow(image, extent=(left, right, bottom, top), aspect="auto")
        middle = centre / DRAWN * seconds
        axes.plot([middle, time], [bottom, 0], color=INK, lw=0.8)
        short = textwrap.shorten(caption, max(6, int(width / _INCH_A_LETTER)), placeholder=" …")
        axes.text(middle, top + 0.05 / whole, short, ha="center", size=8, **PLAIN)
    axes.set(xlim=(0, seconds), ylim=(0, 1), xticks=[], yticks=[])
    frameless(axes)


def centres(wished: np.ndarray, width: float, room: float) -> np.ndarray:
    """Return where pictures of one width stand in a row, in order, near to where they should.

    >>> centres(np.array([0.0, 0.5, 9.9]), width=1.0, room=10.0).tolist()
    [0.5, 1.5, 9.5]
    """
    places, n = [], len(wished)
    for i, wish in enumerate(wished):
        least = places[-1] + width if places else width / 2
        places.append(min(max(wish, least), room - width / 2 - (n - 1 - i) * width))
    return np.array(places)


def _sizes(pictures: Sequence[tuple]) -> tuple[float, float]:
    """Return the width and height in inches that all pictures have."""
    height_px, width_px = np.shape(pictures[0][1])[:2]
    width = min(TALLEST * width_px / height_px, DRAWN / len(pictures))
    return width, width * height_px / width_px


def _draw_values(
    panels: Sequence, frame_values, clip_values, labels: Sequence[str], task: Task
) -> None:
    """Draw the values of a clip into axes of its seconds, one a label, the lowest one last.

    frame_values: `(time, labels)`, clip_values: `(labels,)`, between the ends of the task.
    """
    margin = 0.04 * (task.high - task.low)
    middle = 0.0 if task.low < 0 < task.high else (task.low + task.high) / 2
    ticks = [task.low, middle, task.high]
    for axes, frames, value, label in zip(
        panels, np.transpose(frame_values), clip_values, labels, strict=True
    ):
        seconds = axes.get_xlim()[1]
        axes.axhline(middle, color=GREY, lw=0.8)
        axes.stairs(
            frames, np.linspace(0, seconds, len(frames) + 1), baseline=None, color=BLUE, lw=1.8
        )
        axes.axhline(value, color=ORANGE, lw=1.6, ls=(0, (5, 2)))
        axes.set_ylim(task.low - margin, task.high + margin)
        axes.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
        beside = {"textcoords": "offset points", "va": "center", "annotation_clip": False}
        name = textwrap.fill(textwrap.shorten(label, 44, placeholder=" …"), 20)
        of_axes = {"xycoords": axes.transAxes, "ha": "right", "size": 9.5}
        axes.annotate(name, (0, 0.5), (-32, 0), weight="bold", **of_axes, **beside, **PLAIN)
        axes.annotate(
            f"{value:.2f}", (seconds, value), (8, 0), weight="bold", size=9.5, color=INK, **beside
        )
        axes.tick_params(axis="x", labelbottom=axes is panels[-1])
    panels[-1].set_xlabel("seconds", size=9, color=INK)


def _draw_values_key(figure, left: float) -> None:
    """Draw under the time axis which line is which."""
    from matplotlib.lines import Line2D

    place = add_panel(figure, left, 0.3, 1.6, 0.24)
    place.set_axis_off()
    lines = [
        Line2D([], [], color=BLUE, lw=1.8, label="value over time"),
        Line2D([], [], color=ORANGE, lw=1.6, ls=(0, (5, 2)), label="value of the clip"),
    ]
    place.legend(handles=lines, fontsize=8.5, loc="center left", ncols=2, frameon=False)
