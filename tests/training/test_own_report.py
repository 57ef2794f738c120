"""What a training found, as text: with names to start from, and from scratch."""

import pathlib

from mmat.labels import LabelSet
from mmat.lists.clip import Clip
from mmat.training.own_clips import Source
from mmat.training.own_report import Trained, figures_of_labels
from tests.training.made_sounds import TONE


def test_it_is_printed_as_tables(own_trained):
    text = str(own_trained)
    for words in (
        f"{TONE} ",
        "untrained",
        "difference",
        f"doubted labels: {len(own_trained.doubts)}",
        str(own_trained.folder / "review.csv"),
        str(own_trained.shards),
    ):
        assert words in text
    assert text.endswith(f"mmat tag FILE --model {own_trained.folder}")


def test_from_scratch_labels_are_counted_and_those_with_too_little_are_named():
    clips = [
        Clip("a", "a.wav", ("Dog",), source_group="yard"),
        Clip("b", "b.wav", ("Dog", "Cat"), source_group="yard"),
        Clip("c", "c.wav", ("Cat",), source_group="house"),
    ]
    labels = figures_of_labels(None, Source(clips, LabelSet.of(["Dog", "Cat"]), pathlib.Path()))
    assert [each[:3] for each in labels] == [("Dog", 2, 1), ("Cat", 2, 2)]
    found = Trained(pathlib.Path("model"), pathlib.Path("shards"), {"validation": {}}, labels)
    assert str(found) == (
        "label    clips    groups\n"
        "-------  -------  --------\n"
        "Dog      2        1\n"
        "Cat      2        2\n\n"
        "too little to learn from (one source, or none): Dog\n\n"
        "prepared clips are kept in\nshards\n\n"
        "mmat tag FILE --model model"
    )
