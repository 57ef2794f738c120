"""Where mmat keeps what it downloads."""

import os
import pathlib

import platformdirs


def cache_folder() -> pathlib.Path:
    """Return the folder for downloaded weights and media: `$MMAT_CACHE`, else the user's cache.

    >>> isinstance(cache_folder(), pathlib.Path)
    True
    """
    return pathlib.Path(os.environ.get("MMAT_CACHE") or platformdirs.user_cache_dir("mmat"))
