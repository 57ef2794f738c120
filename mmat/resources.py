"""Where the lists in `data_lists/` lie: in the installed package, or beside it in a checkout."""

import importlib.resources
import pathlib

from mmat.errors import InputError


def data_list(*parts: str) -> pathlib.Path:
    """Return the path of a file or folder under `data_lists/`.

    Raises InputError where it is in neither place.

    >>> data_list("models", "requirements.txt").name
    'requirements.txt'
    """
    installed = pathlib.Path(str(importlib.resources.files("mmat"))) / "data_lists"
    checkout = pathlib.Path(__file__).resolve().parent.parent / "data_lists"
    for folder in (installed, checkout):
        path = folder.joinpath(*parts)
        if path.exists():
            return path
    raise InputError(f"data list {'/'.join(parts)}: not in this installation; reinstall mmat")
