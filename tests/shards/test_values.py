"""Clips with values, and clips with exactly one label: from a list through shards to arrays."""

import csv
import json

import numpy as np
import pytest
import soundfile
import tensorflow as tf

from mmat.files import InputError
from mmat.labels import MULTI_CLASS, LabelSet, regression
from mmat.lists.clip import Clip
from mmat.lists.own import write_clip_list
from mmat.lists.read import read_list
from mmat.shards.prepare import prepare
from mmat.shards.read import load_split, read_arrays
from mmat.shards.record import Record, decode_example, encode_example
from mmat.shards.verify import verify

TWO = LabelSet(("valence", "arousal"), task=regression(-3, 3))
LIST = """file,labels,split
a.wav,valence=-1.5;arousal=0.25,train
b.wav,valence = 3 ; arousal=-3,test
c.wav,arousal=0,train
c.wav,valence=1e-1,train
"""


@pytest.fixture
def media(tmp_path):
    folder = tmp_path / "media"
    folder.mkdir()
    for i, name in enumerate("abc"):
        soundfile.write(folder / f"{name}.wav", np.full(1600 * (i + 1), 0.1), 16000)
    return folder


@pytest.mark.parametrize("workers", [0, 1])
def test_values_come_out_as_they_went_in(media, tmp_path, workers):
    path = tmp_path / "list.csv"
    path.write_text(LIST)
    found = read_list(path, TWO)
    assert not found.dropped
    clips, out = found.clips, tmp_path / "shards"
    prepare(clips, media, out, TWO, clip_seconds=None, workers=workers, progress=False)
    assert LabelSet.from_csv(out / "labels.csv") == TWO
    train, test = read_arrays(out, "train"), read_arrays(out, "test")
    assert dict(zip(train["ids"], train["weak_labels"].tolist(), strict=True)) == {
        "a": [-1.5, 0.25],
        "c": [np.float32(0.1), 0.0],
    }
    assert test["weak_labels"].tolist() == [[3.0, -3.0]] and test["n_samples"].tolist() == [3200]
    in_graph = [labels.numpy().tolist() for _, labels in load_split(out, "train", ("waveform",))]
    assert in_graph == train["weak_labels"].tolist()


def test_a_written_list_is_read_back(tmp_path):
    clips = [Clip("a", "a.wav", ("arousal", "valence"), values=(1 / 3, -2.0))]
    write_clip_list(tmp_path / "list.csv", clips)
    assert read_list(tmp_path / "list.csv", TWO).clips == clips


@pytest.mark.parametrize(
    ("cell", "reason"),
    [
        ("valence", "write it as NAME=VALUE"),
        ("valence=high", "write it as NAME=VALUE"),
        ("=1", "no name"),
        ("valence=4", "not within -3 to 3"),
        ("valence=nan", "write it as NAME=VALUE"),
        ("valence=1;valence=2", "it stands there twice"),
        ("anger=1", "unknown label 'anger'"),
    ],
)
def test_a_wrong_value_costs_its_row_alone(cell, reason, tmp_path):
    path = tmp_path / "list.csv"
    path.write_text(f"file,labels\na.wav,{cell}\nb.wav,valence=1;arousal=1\n")
    found = read_list(path, TWO)
    assert [clip.id for clip in found.clips] == ["b"]
    assert found.dropped[0].line == 2 and reason in found.dropped[0].reason


def test_values_without_a_label_set_are_no_classes(tmp_path):
    path = tmp_path / "list.csv"
    path.write_text(LIST)
    with pytest.raises(InputError, match="values such as 'arousal=-3'; give a label"):
        read_list(path)


@pytest.mark.parametrize("before", [None, MULTI_CLASS])
def test_shards_of_another_task_are_reported_and_replaced_where_it_is_asked_for(
    media, tmp_path, before, capsys
):
    """The same clips and names: else a training would learn by the loss of the task before."""
    clips, out = [Clip("a", "a.wav", ("calm",))], tmp_path / "shards"
    several = LabelSet.of(ONE_OF_TWO.names)
    first, second = (several, ONE_OF_TWO) if before is None else (ONE_OF_TWO, several)
    prepare(clips, media, out, first, progress=False)
    with pytest.raises(InputError, match="holds shards of labels with another task"):
        prepare(clips, media, out, second, progress=False)
    prepare(clips, media, out, second, progress=False, overwrite=True)
    assert LabelSet.from_csv(out / "labels.csv") == second
    verify(out, progress=False)
    first.to_csv(out / "labels.csv")
    with pytest.raises(InputError, match="labels.csv: another task than in index.json"):
        verify(out, progress=False)


def test_shards_of_before_tasks_are_reused(media, tmp_path, capsys):
    clips, out = [Clip("a", "a.wav", ("calm",))], tmp_path / "shards"
    prepare(clips, media, out, LabelSet.of(["calm"]), progress=False)
    index = json.loads((out / "index.json").read_text())
    assert index.pop("task") is None
    (out / "index.json").write_text(json.dumps(index))
    prepare(clips, media, out, LabelSet.of(["calm"]))
    assert "is reused" in capsys.readouterr().out


ONE_OF_TWO = LabelSet(("calm", "angry"), task=MULTI_CLASS)


@pytest.mark.parametrize(
    ("labels", "clip", "reason"),
    [
        (ONE_OF_TWO, Clip("a", "a.wav", ("calm", "angry")), "2 labels, where a clip has"),
        (ONE_OF_TWO, Clip("a", "a.wav"), "0 labels, where a clip has"),
        (TWO, Clip("a", "a.wav", ("valence",), values=(1.0,)), "values of valence, not val"),
        (TWO, Clip("a", "a.wav", ("valence", "arousal")), "0 values of 2 labels"),
        (TWO, Clip("a", "a.wav", TWO.names, values=(1.0, 3.5)), "a value outside of -3 to 3"),
        (LabelSet.of(["calm"]), Clip("a", "a.wav", ("calm",), values=(1.0,)), "1 values of 1"),
    ],
)  # fmt: skip
def test_labels_that_the_task_does_not_allow_are_refused(media, tmp_path, labels, clip, reason):
    with pytest.raises(InputError, match=f"clip 'a': {reason}"):
        prepare([clip], media, tmp_path / "shards", labels, progress=False)
    assert not (tmp_path / "shards").exists()


def test_beam_keeps_values(media, tmp_path):
    path = tmp_path / "list.csv"
    path.write_text(LIST)
    clips, out = read_list(path, TWO).clips, tmp_path / "shards"
    prepare(clips, media, out, TWO, progress=False, beam_options=["--runner=DirectRunner"])
    assert read_arrays(out, "test")["weak_labels"].tolist() == [[3.0, -3.0]]
    with open(out / "failures.csv", newline="") as file:
        assert not list(csv.DictReader(file))


def test_a_record_without_values_is_stored_as_before():
    """A feature more would make other bytes of every shard that there is."""
    example = tf.train.Example.FromString(encode_example(Record("a", labels=(1,))))
    assert "label_values" not in example.features.feature
    assert decode_example(encode_example(Record("a", labels=(1,)))).values == ()
