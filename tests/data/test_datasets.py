"""Datasets: the same clips as the arrays, in batches, in a seeded or in a balanced order."""

import collections
import itertools
import json

import hypothesis.extra.numpy as hnp
import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import assume, given, settings

from mmat.data.datasets import (
    balanced_batches,
    balanced_order,
    batches,
    load_split,
    read_arrays,
)
from mmat.data.records import Record
from mmat.data.shards import SplitWriter, write_index
from mmat.errors import InputError

N_CLIPS, N_SAMPLES = 23, 1600


def write_shards(folder, clip_seconds=N_SAMPLES / 16000):
    """23 clips of three classes: class 0 in most, class 2 in two; clip i sounds at level i."""
    writer = SplitWriter(folder, "train", 4)
    for i in range(N_CLIPS):
        n_samples = N_SAMPLES if clip_seconds else N_SAMPLES - 10 * i
        audio = None if i == 5 else np.full(n_samples, i, np.int16)
        pictures = None if i == 6 else np.full((2, 4), i / 32, np.float16)
        labels = (0, 2) if i < 2 else (0,) if i < 18 else (1,) if i < 22 else ()
        writer.write(Record(str(i), audio, pictures, labels))
    index = {"schema_version": 1, "labels": ["a", "b", "c"], "clip_seconds": clip_seconds}
    index |= {"n_frames": 2, "n_image_labels": 4, "splits": {"train": writer.close()}}
    write_index(folder, index)
    return folder


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    return write_shards(tmp_path_factory.mktemp("shards"))


def clip_numbers(dataset):
    """The clips' numbers, told from the pictures or, where there are none, from the sound."""
    numbers = []
    for inputs, _ in dataset:
        seen = np.where(inputs["has_video"], inputs["image_probabilities"][..., 0, 0] * 32, -1)
        heard = np.asarray(inputs["waveform"])[..., 0, 0] * 32768
        numbers.extend(np.where(seen >= 0, seen, heard).round().astype(int).ravel().tolist())
    return numbers


def test_the_dataset_holds_what_the_arrays_hold(shards):
    arrays = read_arrays(shards, "train")
    dataset = load_split(shards, "train")
    assert arrays["ids"] == [str(i) for i in range(N_CLIPS)]
    inputs, weak_labels = dataset.batch(N_CLIPS).get_single_element()
    for key, values in inputs.items():
        assert np.array_equal(values, arrays[key]), key
    assert np.array_equal(weak_labels, arrays["weak_labels"])
    assert np.flatnonzero(~arrays["has_audio"]).tolist() == [5]
    assert np.flatnonzero(~arrays["has_video"]).tolist() == [6]
    assert len(dataset) == N_CLIPS and len(batches(dataset, 4)) == 6
    shapes = {key: tuple(spec.shape) for key, spec in dataset.element_spec[0].items()}
    assert shapes == {
        "waveform": (N_SAMPLES, 1), "image_probabilities": (2, 4), "has_audio": (), "has_video": (),
    }  # fmt: skip


def test_batches_hold_every_clip_once_an_epoch_in_an_order_of_the_seed(shards):
    dataset = load_split(shards, "train")
    assert clip_numbers(batches(dataset, 4)) == list(range(N_CLIPS))
    assert [len(labels) for _, labels in batches(dataset, 4)] == [4] * 5 + [3]
    assert len(list(batches(dataset, 4, drop_remainder=True))) == 5
    shuffled = batches(dataset, 4, shuffle_seed=1)
    first, second = clip_numbers(shuffled), clip_numbers(shuffled)
    assert sorted(first) == sorted(second) == list(range(N_CLIPS))
    assert first != second
    again = batches(load_split(shards, "train"), 4, shuffle_seed=1)
    assert [clip_numbers(again), clip_numbers(again)] == [first, second]
    assert clip_numbers(batches(dataset, 4, shuffle_seed=2)) != first
    endless = batches(dataset, 4, repeat=True).take(20)
    assert collections.Counter(clip_numbers(endless)).most_common()[-1][1] >= 3


def test_clips_of_every_length_are_padded(tmp_path):
    dataset = batches(load_split(write_shards(tmp_path, clip_seconds=None), "train"), 4)
    assert [inputs["waveform"].shape[1] for inputs, _ in dataset] == [
        N_SAMPLES - 10 * i for i in range(0, N_CLIPS, 4)
    ]
    inputs, _ = next(iter(dataset))
    assert np.count_nonzero(inputs["waveform"][3]) == N_SAMPLES - 30
    assert read_arrays(tmp_path, "train")["waveform"].shape == (N_CLIPS, N_SAMPLES, 1)


def test_a_dataset_feeds_keras_fit(shards):
    import keras

    waveform = keras.Input((N_SAMPLES, 1), name="waveform")
    output = keras.layers.Dense(3, activation="sigmoid")(keras.layers.Flatten()(waveform))
    model = keras.Model({"waveform": waveform}, output)
    model.compile("adam", "binary_crossentropy")
    # Keras reads exactly the inputs that the model has.
    history = model.fit(batches(load_split(shards, "train", ["waveform"]), 8, 0), verbose=0)
    assert np.isfinite(history.history["loss"][0])


truths = hnp.arrays(bool, st.tuples(st.integers(1, 30), st.integers(1, 6)))


@settings(max_examples=80, deadline=None)
@given(truths, st.integers(0, 2**32 - 1))
def test_balanced_order_takes_each_class_equally_and_its_clips_evenly(weak_labels, seed):
    assume(weak_labels.any())
    present = np.flatnonzero(weak_labels.any(axis=0))
    members = weak_labels.sum(axis=0)
    n_rounds = 3 * int(members.max())
    drawn = list(itertools.islice(balanced_order(weak_labels, seed), n_rounds * len(present)))
    again = itertools.islice(balanced_order(weak_labels, seed), len(drawn))
    assert drawn == list(again)
    assert all(weak_labels[i].any() for i in drawn)
    for start in range(0, len(drawn), len(present)):  # a round can be matched clip to class
        taken = weak_labels[drawn[start : start + len(present)]][:, present]
        assert taken.any(axis=0).all()
    times = np.bincount(drawn, minlength=len(weak_labels))
    floor = np.array([n_rounds // members[label] for label in range(weak_labels.shape[1])
                      if members[label]])  # fmt: skip
    least = (weak_labels[:, present] * floor).sum(axis=1)
    assert (times >= least).all() and (times <= least + weak_labels.sum(axis=1)).all()


def test_balanced_order_without_any_label_is_refused():
    with pytest.raises(InputError, match="no clip has a label"):
        next(balanced_order(np.zeros((3, 2)), 0))


def test_balanced_batches_follow_the_balanced_order(shards):
    arrays = read_arrays(shards, "train")
    dataset = balanced_batches(shards, "train", batch_size=6, seed=3).take(10)
    expected = list(itertools.islice(balanced_order(arrays["weak_labels"], 3), 60))
    assert clip_numbers(dataset) == expected == clip_numbers(dataset)
    assert dataset.element_spec[0]["waveform"].shape == (None, N_SAMPLES, 1)
    truth = np.concatenate([labels for _, labels in dataset])
    assert (truth.sum(axis=0) >= 20).all()


def test_an_input_that_is_not_there_is_refused(shards):
    with pytest.raises(InputError, match="unknown input 'smell'"):
        load_split(shards, "train", ["waveform", "smell"])


def test_missing_and_damaged_shards_are_named(shards, tmp_path):
    for read in (load_split, read_arrays):
        with pytest.raises(InputError, match="no such folder of shards"):
            read(tmp_path / "absent", "train")
        with pytest.raises(InputError, match="holds no index.json"):
            read(tmp_path, "train")
        with pytest.raises(InputError, match="no clips of a split 'test'; its splits: train"):
            read(shards, "test")
    folder = write_shards(tmp_path)
    shard = folder / "train-00001-of-00004.tfrecord"
    whole = shard.read_bytes()
    shard.write_bytes(whole[:500] + bytes([whole[500] ^ 1]) + whole[501:])
    with pytest.raises(InputError, match=f"{shard.name}: the shard is damaged"):
        read_arrays(folder, "train")
    shard.write_bytes(whole[:-1])
    with pytest.raises(InputError, match=f"{shard.name}: not as long as"):
        load_split(folder, "train")
    shard.unlink()
    with pytest.raises(InputError, match=f"{shard.name}: the shard is missing"):
        load_split(folder, "train")
    index = json.loads((folder / "index.json").read_text())
    (folder / "index.json").write_text(json.dumps(index | {"schema_version": 9}))
    with pytest.raises(InputError, match="schema version 9"):
        load_split(folder, "train")
    for damage in ("{", "[]", '{"schema_version": 1}', '"text"'):
        (folder / "index.json").write_text(damage)
        with pytest.raises(InputError, match="damaged"):
            load_split(folder, "train")
