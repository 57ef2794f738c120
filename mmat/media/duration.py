"""How long a media file is, by its header."""

import math
import os


def file_seconds(path: str | os.PathLike) -> float:
    """Return the length in a file's header, in seconds; NaN if it does not say."""
    import av
    import soundfile

    try:
        return soundfile.info(path).duration
    except (soundfile.LibsndfileError, OSError):
        pass
    try:
        with av.open(os.fspath(path)) as container:
            return math.nan if container.duration is None else container.duration / av.time_base
    except (av.FFmpegError, OSError, ValueError):
        return math.nan
