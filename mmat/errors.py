"""The error for what a user can put right, and files that are never left half-written."""

import contextlib
import os
import pathlib
import shutil
import tempfile
from collections.abc import Iterator


class InputError(ValueError):
    """Bad input from outside: one line with what, which file or line, why, and what to do."""


@contextlib.contextmanager
def atomic_path(path: str | os.PathLike) -> Iterator[pathlib.Path]:
    """Give a temporary path beside `path`, and move what was written there into place on success.

    Works for a file and for a folder; an existing target is replaced. On an error the target
    stays as it was and the temporary part is removed.

    >>> import tempfile
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> with atomic_path(folder / "a.txt") as part:
    ...     _ = part.write_text("whole")
    >>> [p.name for p in folder.iterdir()]
    ['a.txt']
    """
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    workplace = pathlib.Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    part = workplace / path.name
    try:
        yield part
        if path.is_dir():
            os.replace(path, workplace / f"{path.name}.old")
        os.replace(part, path)
    finally:
        shutil.rmtree(workplace, ignore_errors=True)
