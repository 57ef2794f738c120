"""Where the task's public lists lie, which the project does not hold, and the tests that need them.

They are looked for in `MMAT_REFERENCE`, or beside the repository in `shared/reference`.
"""

import os
import pathlib

import pytest

BESIDE = pathlib.Path(__file__).parents[2] / "shared" / "reference"


@pytest.fixture(scope="session")
def task4() -> pathlib.Path:
    """The folder of the lists of DCASE 2017 task 4, with its `predictions`."""
    folder = pathlib.Path(os.environ.get("MMAT_REFERENCE") or BESIDE) / "dcase2017_task4"
    if not folder.is_dir():
        pytest.skip(f"the lists of DCASE 2017 task 4 are not there: {folder}")
    return folder
