"""A strip of pictures above a time axis, each with a line to the time at which it was seen."""

import textwrap
from collections.abc import Sequence

import numpy as np

from mmat.plots.style import DRAWN, INK, PLAIN, frameless

TALLEST, CAPTION, POINTER = 1.1, 0.2, 0.16  # inches
_INCH_A_LETTER = 0.075


def strip_height(pictures: Sequence[tuple]) -> float:
    """Return the inches that a strip of `(seconds, image, caption)` is high, 0 without any."""
    return _sizes(pictures)[1] + CAPTION + POINTER if pictures else 0.0


def draw_strip(axes, pictures: Sequence[tuple], seconds: float) -> None:
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
