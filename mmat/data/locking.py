"""A folder that one process at a time writes in."""

import contextlib
import fcntl
import os
import pathlib
from collections.abc import Iterator

from mmat.errors import InputError

LOCK_FILE = ".lock"


@contextlib.contextmanager
def writing_alone(folder: pathlib.Path) -> Iterator[None]:
    """Hold a folder, which is made if it is not there, for this process.

    The end of the process ends it too, whichever way it comes. A folder that was made and that
    nothing was put in is removed. Raises InputError while another process holds it.
    """
    is_new = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    lock = _locked(folder / LOCK_FILE)
    try:
        yield
    finally:
        os.unlink(folder / LOCK_FILE)
        os.close(lock)
        if is_new and not any(folder.iterdir()):
            folder.rmdir()


def _locked(path: pathlib.Path) -> int:
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(os.fstat(handle), os.stat(path)):
                return handle
        except BlockingIOError:
            os.close(handle)
            raise InputError(
                f"{path.parent}: another mmat prepare is writing there; wait until it has ended"
            ) from None
        except FileNotFoundError:
            pass  # whoever held it has removed it in between
        os.close(handle)
