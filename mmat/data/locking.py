"""A folder that one process at a time writes in."""

import contextlib
import os
import pathlib
from collections.abc import Iterator

from mmat.errors import InputError

LOCK_FILE = ".lock"


@contextlib.contextmanager
def exclusive_lock(folder: pathlib.Path) -> Iterator[None]:
    """Hold a folder, which is made if it is not there, for this process.

    The end of the process ends it too, whichever way it comes. A folder that was made and that
    nothing was put in is removed. Raises InputError while another process holds it.
    """
    import filelock  # here: who reads shards or errors alone does without it

    is_new = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    try:
        lock = filelock.FileLock(folder / LOCK_FILE).acquire(timeout=0)
    except filelock.Timeout:
        raise InputError(
            f"{folder}: another mmat prepare is writing there; wait until it has ended"
        ) from None
    with lock:
        try:
            yield
        finally:
            os.unlink(folder / LOCK_FILE)
            if is_new and not any(folder.iterdir()):
                folder.rmdir()
