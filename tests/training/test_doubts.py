"""Labels to listen to again: a tone in the folder of noise."""

import csv

from mmat.training.review import NOT_HEARD
from tests.training.made_sounds import NOISE
from tests.training.trained_own import WRONG


def test_the_wrong_label_is_doubted_at_its_moment(own_trained):
    with open(own_trained.folder / "review.csv", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["file"] == WRONG]
    assert (NOISE, NOT_HEARD) in [(row["label"], row["doubt"]) for row in rows]
    for row in rows:
        assert 0 <= float(row["start_seconds"]) < float(row["end_seconds"]) <= 4.0
        assert row["source_group"] == WRONG
    track = (own_trained.folder / "review" / f"{WRONG}.txt").read_text().splitlines()
    assert len(track) == len(rows)
