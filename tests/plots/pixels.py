"""Plots as pixels, and which of them have a colour."""

import io

import matplotlib.image
import numpy as np


def pixels(plot, *arguments, **options) -> np.ndarray:
    """Return a plot's PNG as (height, width, 3) in 0 to 255."""
    plot(png := io.BytesIO(), *arguments, **options)
    png.seek(0)
    return np.round(matplotlib.image.imread(png, format="png")[..., :3] * 255).astype(int)


def coloured(image: np.ndarray, colour: str) -> np.ndarray:
    """Return where an image has a colour `#RRGGBB`: bool (height, width)."""
    wanted = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
    return (np.abs(image - wanted) <= 2).all(axis=-1)
