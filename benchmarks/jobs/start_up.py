"""Starting: `import mmat`, `mmat --help`, and the first tag with the files cached and not.

YAMNet's side is `import tensorflow`, which all that use it must do, and a user's own few lines that
load its SavedModel and name what it hears. Cold: the environment's and the model's files are
dropped from the system's cache before each run.
"""

import os
import pathlib
import statistics
import sys
from collections.abc import Sequence

from benchmarks.contest import Contest, Pair, Reading, Run
from benchmarks.made_media import write_sound
from benchmarks.place import Contests, Place
from benchmarks.processes import ROOT, command, mmat

IMPORT, HELP, TENSORFLOW = "import mmat", "mmat --help", "import tensorflow"
UNTRAINED = 'mmat tag --labels "Dog;Train"'


def contests(place: Place) -> Contests:
    worker = place.ours()
    model = worker.ask("benchmarks.ours.networks:write_export", folder=str(place.folder / "export"))
    yamnet = worker.ask("benchmarks.peers.yamnet:files")
    path = write_sound(place.folder / "a.wav", 10, rate_hz=16_000, channels=1)
    place.close_workers()  # what a running process has mapped stays in the cache
    python = command([sys.executable, "-c", "pass"])
    readings = yield Contest("start-up, Python alone", {"Python alone": python}, [])
    floor = statistics.median(reading.seconds for reading in readings["Python alone"])
    runs = {
        IMPORT: command([sys.executable, "-c", "import mmat"]),
        HELP: command(mmat("--help")),
        TENSORFLOW: command([sys.executable, "-c", "import tensorflow"]),
    }
    pairs = [Pair(name, TENSORFLOW, floor_seconds=floor) for name in (IMPORT, HELP)]
    yield Contest("start-up", runs, pairs, rounds=5, budget_seconds=20.0)

    script = ROOT / "benchmarks" / "peers" / "yamnet_tag.py"
    given = [yamnet["saved_model"], yamnet["class_map"], path]
    tags = {
        "mmat tag --model": mmat("tag", path, "--model", model),
        UNTRAINED: mmat("tag", path, "--labels", "Dog;Train"),
        "YAMNet, a script": [sys.executable, script, *given],
    }
    *ours, peer = tags
    pairs = [Pair(name, peer, floor_seconds=floor) for name in ours]
    warm = {name: command(words) for name, words in tags.items()}
    yield Contest("first tag, files cached", warm, pairs, rounds=2, budget_seconds=30.0)
    folders = [sys.prefix, ROOT / "mmat", model, yamnet["saved_model"]]
    cold = {name: cold_run(run, folders) for name, run in warm.items()}
    yield Contest("first tag, files not cached", cold, pairs, rounds=1, warm=False)


def cold_run(run: Run, folders: Sequence) -> Run:
    """Return a run before which the files of folders are dropped from the system's cache."""

    def cold() -> Reading:
        for folder in folders:
            drop_from_cache(pathlib.Path(folder))
        return run()

    return cold


def drop_from_cache(folder: pathlib.Path) -> None:
    """Tell the system that the files of a folder will not be needed."""
    for path in folder.rglob("*"):
        if path.is_file():
            descriptor = os.open(path, os.O_RDONLY)
            try:
                os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            finally:
                os.close(descriptor)
