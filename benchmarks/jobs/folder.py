"""A folder of films untrained: three files at the same time, against one after the other."""

import os

from benchmarks.contest import Contest, Pair
from benchmarks.made_media import write_movies
from benchmarks.place import Contests, Place

N_FILES, QUICK_FILES = 40, 3
AHEAD, ONE_BY_ONE = "three at a time", "one after the other"


def contests(place: Place) -> Contests:
    n_files, folder = QUICK_FILES if place.quick else N_FILES, place.folder / "films"
    folder.mkdir()
    (film,) = write_movies(place.folder, (320, 240), [50])
    for number in range(n_files):
        os.link(film, folder / f"{number}.mp4")
    made = {AHEAD: "benchmarks.ours.folders:ahead", ONE_BY_ONE: "benchmarks.ours.folders:in_turn"}
    runs = {name: place.ours(name).run(made[name], folder=str(folder)) for name in made}
    pairs = [Pair(AHEAD, ONE_BY_ONE)]
    yield Contest(f"a folder of {n_files} films", runs, pairs, budget_seconds=60.0)
