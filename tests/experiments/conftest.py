"""Made clips that carry real ids, and options that make a training short."""

import csv
import pathlib
from collections.abc import Callable, Sequence

import numpy as np
import pytest
import soundfile

from mmat.cli.common import exit_status
from mmat.lists.read import named_label_set
from tests.media.made_media import make_sine, write_media_file
from tests.reference import task4  # noqa: F401 - a fixture

STRONG, WEAK = (f"groundtruth_{kind}_label_testing_set.csv" for kind in ("strong", "weak"))
RATE_HZ = 16_000
TINY = ["--clip-seconds", "1", "--frames", "2", "--workers", "0", "--precision", "float32"]
TINY += ["--batch-size", "4", "--steps", "2", "--no-deterministic"]


def run(main: Callable[[Sequence[str] | None], None], argv: Sequence[str]) -> int:
    """Run a script's main function as its process does, and return its exit status."""
    return exit_status(lambda: main(argv))


@pytest.fixture(scope="session")
def task(task4, tmp_path_factory) -> pathlib.Path:  # noqa: F811
    """A folder with `lists`, rows of the real ones, and `media`: a second of sound and pictures.

    Two training clips and a test clip of every class. A class has its own tone and its own grey;
    some clips have no pictures, some no sound.
    """
    folder = tmp_path_factory.mktemp("task")
    (folder / "lists").mkdir()
    (folder / "media").mkdir()
    mids = named_label_set("dcase2017").mids
    for name, n_clips in (("training_set.csv", 2), ("testing_set.csv", 1)):
        rows = _rows(task4 / name, mids, n_clips)
        with open(folder / "lists" / name, "w", newline="") as file:
            csv.writer(file).writerows(rows)
        for i, row in enumerate(rows):
            _make(folder / "media", row, i, mids.index(row[4].split(",")[0]))
    chosen = {f"{row[0]}_{row[1]}_{row[2]}.wav" for row in rows}
    for name in (WEAK, STRONG):
        found = [line.split("\t") for line in (task4 / name).read_text().splitlines()]
        found = [cells for cells in found if cells[0] in chosen]
        if name == STRONG:  # a second takes the place of ten
            found = [
                [c[0], f"{float(c[1]) / 10:.3f}", f"{float(c[2]) / 10:.3f}", c[3]] for c in found
            ]
        text = "".join("\t".join(cells) + "\n" for cells in found)
        (folder / "lists" / name).write_text(text)
    return folder


def _rows(path, mids, n_clips):
    """The first rows of each class that name it alone, or at least first."""
    with open(path, newline="") as file:
        every = list(csv.reader(file))
    chosen = {}
    for mid in mids:
        own = [row for row in every if mid in row[4].split(",")]
        own.sort(key=lambda row: row[4] != mid)
        for row in own[:n_clips]:
            chosen[row[0]] = row
    return list(chosen.values())


def _make(folder, row, number, label):
    stem = f"Y{row[0]}_{row[1]}_{row[2]}"
    sound = make_sine(1.0, RATE_HZ, 200.0 * (label + 1))
    if number % 5 == 4:
        soundfile.write(folder / f"{stem}.wav", sound, RATE_HZ)
        return
    grey = np.full((48, 64, 3), 14 * label, np.uint8)
    write_media_file(
        folder / f"{stem}.mp4",
        sound=sound,
        audio=None if number % 7 == 6 else "aac",
        rate=RATE_HZ,
        n_pictures=5,
        fps=5,
        picture=lambda i: grey,
    )
