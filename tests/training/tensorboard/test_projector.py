import csv

import numpy as np
import pytest
from google.protobuf import text_format
from tensorboard.plugins.projector import ProjectorConfig

from mmat.files import InputError
from mmat.labels import LabelSet
from mmat.models.label_map import label_similarities
from mmat.pretrained.registry import imagenet_labels
from mmat.pretrained.text import embedded_text_encoder
from mmat.training.tensorboard.projector import LabelSpace, label_space, write_projector

SOUNDS = LabelSet.of(
    ["Fire engine, fire truck (siren)", "Dog", "Train horn", "Bicycle", "Insect", "Bird"]
)


@pytest.fixture(scope="module")
def image_labels(models_cache):
    """Every fortieth ImageNet label, and some whose sound is known."""
    every = imagenet_labels()
    wanted = {"fire engine", "golden retriever", "steam locomotive", "mountain bike"}
    return [names for i, names in enumerate(every) if i % 40 == 0 or set(names) & wanted]


@pytest.fixture(scope="module")
def written(image_labels, tmp_path_factory):
    """What a projector reads: vectors and a row of metadata for each."""
    folder = tmp_path_factory.mktemp("log")
    write_projector(folder, label_space(image_labels, SOUNDS, embedded_text_encoder()))
    config = text_format.Parse((folder / "projector_config.pbtxt").read_text(), ProjectorConfig())
    (embedding,) = config.embeddings
    vectors = np.loadtxt(folder / embedding.tensor_path, delimiter="\t")
    with open(folder / embedding.metadata_path, newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    return vectors, rows


def test_there_is_a_point_for_each_name_of_each_kind(written, image_labels):
    vectors, rows = written
    assert vectors.shape == (len(rows), 512)
    named = [row["name"] for row in rows if row["kind"] == "image label"]
    assert named == [name for names in image_labels for name in names]
    events = {row["label"] for row in rows if row["kind"] == "sound event"}
    assert events == set(SOUNDS.names)


def test_the_nearest_sound_event_of_a_fire_engine_is_the_fire_engine(written):
    vectors, rows = written
    for image_label, event in (
        ("fire engine", "Fire engine, fire truck (siren)"),
        ("golden retriever", "Dog"),
        ("mountain bike", "Bicycle"),
    ):
        point = next(i for i, row in enumerate(rows) if row["name"] == image_label)
        assert rows[point]["kind"] == "image label"
        sounds = [i for i, row in enumerate(rows) if row["kind"] == "sound event"]
        nearest = max(sounds, key=lambda i, point=point: vectors[i] @ vectors[point])
        assert rows[nearest]["label"] == event


def test_cosines_are_those_of_the_label_map(written, image_labels):
    vectors, rows = written
    of_map = label_similarities(image_labels, SOUNDS, embedded_text_encoder())

    def points(kind, label):
        return [i for i, row in enumerate(rows) if (row["kind"], row["label"]) == (kind, label)]

    for i, names in enumerate(image_labels):
        of_image = vectors[points("image label", names[0])]
        for c, event in enumerate(SOUNDS.names):
            cosines = of_image @ vectors[points("sound event", event)].T
            assert cosines.max() == pytest.approx(of_map[i, c], abs=1e-4)


def test_a_name_keeps_to_its_row(tmp_path):
    space = LabelSpace(np.zeros((1, 2)), ["a\tb\nc"], ["x"], ["sound event"])
    write_projector(tmp_path, space)
    lines = (tmp_path / "projector" / "metadata.tsv").read_text().splitlines()
    assert lines == ["name\tlabel\tkind", "a b c\tx\tsound event"]


def test_numbers_must_agree():
    with pytest.raises(InputError, match="label space"):
        LabelSpace(np.zeros((2, 4)), ["a"], ["a"], ["image label"])
