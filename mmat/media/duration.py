"""How long a media file is."""

import math
import os
import pathlib

from mmat.media.survey import survey


def file_seconds(path: str | os.PathLike) -> float:
    """Return the length of what is in a media file, in seconds; NaN if it cannot be read."""
    try:
        return survey(pathlib.Path(path)).seconds
    except Exception:  # NotReadable, OSError, and whatever a codec library raises
        return math.nan
