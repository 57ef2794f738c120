"""Datasets: the same clips as the arrays, in batches, in a seeded or in a balanced order."""

import collections
import functools
import json
import tracemalloc

import numpy as np
import pytest

from mmat.files import InputError
from mmat.shards.folder import read_index, write_index
from mmat.shards.read import (
    FIXED_INPUTS,
    MODEL_INPUTS,
    batches,
    corrupt_shard_as_error,
    load_split,
    read_arrays,
    read_steps,
)
from mmat.shards.record import Record
from tests.shards.tiny_shards import N_CLIPS, N_SAMPLES, clip_numbers, write_shards


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    return write_shards(tmp_path_factory.mktemp("shards"))


def test_the_dataset_holds_what_the_arrays_hold(shards):
    arrays = read_arrays(shards, "train")
    dataset = load_split(shards, "train", MODEL_INPUTS)
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
        "n_samples": (),
    }  # fmt: skip
    assert list(load_split(shards, "train").element_spec[0]) == list(FIXED_INPUTS)


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
    arrays = read_arrays(tmp_path, "train")
    assert arrays["waveform"].shape == (N_CLIPS, N_SAMPLES, 1)
    lengths = [0 if i == 5 else N_SAMPLES - 10 * i for i in range(N_CLIPS)]
    assert arrays["n_samples"].tolist() == lengths and arrays["n_samples"].dtype == np.int32
    dataset = batches(load_split(tmp_path, "train", MODEL_INPUTS), 4)
    assert np.concatenate([inputs["n_samples"] for inputs, _ in dataset]).tolist() == lengths


@pytest.mark.parametrize("clip_seconds", [N_SAMPLES / 16000, None])
def test_steps_are_parts_of_the_arrays_and_rows_are_picked_from_them(tmp_path, clip_seconds):
    shards = write_shards(tmp_path, clip_seconds)
    arrays, steps = read_arrays(shards, "train"), list(read_steps(shards, "train", 10))
    assert [len(step["ids"]) for step in steps] == [10, 10, N_CLIPS - 20]
    rows = [20, 0, 5, 6]
    picked = read_arrays(shards, "train", rows)
    assert read_arrays(shards, "train", [])["waveform"].shape == (0, N_SAMPLES, 1)
    for name, whole in arrays.items():
        if isinstance(whole, list):
            assert sum((step[name] for step in steps), []) == whole, name
            assert picked[name] == [whole[row] for row in rows], name
        else:
            assert np.array_equal(np.concatenate([step[name] for step in steps]), whole), name
            assert np.array_equal(picked[name], whole[rows]), name


def test_steps_hold_no_clips_that_have_passed(tmp_path):
    records = [Record(str(i), np.full(8000, i, np.int16)) for i in range(100)]
    write_shards(tmp_path, 8000 / 16000, 4, records)
    peaks = []
    for n_steps in (3, 20):
        tracemalloc.start()
        for number, _ in enumerate(read_steps(tmp_path, "train", 5), start=1):
            if number == n_steps:
                break
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.2 * peaks[0]


def test_a_clip_that_lacks_what_a_model_needs_and_has_no_flag_for_is_left_out(shards):
    for inputs, absent in {
        ("waveform",): {5},
        ("image_probabilities",): {6},
        ("waveform", "image_probabilities"): {5, 6},
        ("waveform", "image_probabilities", "has_audio"): {6},
        ("has_video",): set(),
    }.items():
        dataset = load_split(shards, "train", inputs)
        assert list(dataset.element_spec[0]) == list(inputs)
        truth = np.delete(read_arrays(shards, "train")["weak_labels"], list(absent), axis=0)
        assert np.array_equal([labels for _, labels in dataset], truth)
    assert len(load_split(shards, "train", ["waveform"])) == N_CLIPS - 1


@pytest.mark.parametrize("n_shards", [1, 3, 70])
def test_without_a_seed_the_order_is_that_of_the_arrays_however_many_shards(tmp_path, n_shards):
    records = [Record(str(i), np.full(8, i, np.int16), labels=(i % 3,)) for i in range(150)]
    write_shards(tmp_path, 8 / 16000, n_shards, records)
    dataset = load_split(tmp_path, "train", ["waveform", "has_audio"])
    order = [round(float(inputs["waveform"][0, 0]) * 32768) for inputs, _ in dataset]
    assert order == [int(i) for i in read_arrays(tmp_path, "train")["ids"]]
    assert sorted(order) == list(range(150))
    if n_shards <= 64:
        assert order == list(range(150))


def test_the_shards_come_in_an_order_of_the_seed(shards):
    def epochs(seed):
        dataset = load_split(shards, "train", shuffle_seed=seed)
        return [clip_numbers(dataset.batch(N_CLIPS)) for _ in range(6)]

    orders = epochs(1)
    assert orders == epochs(1) != epochs(2)
    assert len({tuple(order) for order in orders}) > 2
    assert all(sorted(order) == list(range(N_CLIPS)) for order in orders)
    assert {order[0] for order in orders} <= set(range(4))  # a shard's own order is kept


def test_a_dataset_feeds_keras_fit(shards):
    import keras

    waveform = keras.Input((N_SAMPLES, 1), name="waveform")
    output = keras.layers.Dense(3, activation="sigmoid")(keras.layers.Flatten()(waveform))
    model = keras.Model({"waveform": waveform}, output)
    model.compile("adam", "binary_crossentropy")
    # Keras reads exactly the inputs that the model has.
    history = model.fit(batches(load_split(shards, "train", ["waveform"]), 8, 0), verbose=0)
    assert np.isfinite(history.history["loss"][0])


def test_an_input_that_is_not_there_is_refused(shards):
    with pytest.raises(InputError, match="unknown input 'smell'"):
        load_split(shards, "train", ["waveform", "smell"])


def test_missing_and_damaged_shards_are_named(shards, tmp_path):
    for read in (load_split, read_arrays, functools.partial(read_steps, clips_a_step=2)):
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
    with pytest.raises(InputError, match=f"{shard.name}: the shard is damaged"):
        list(read_steps(folder, "train", 2))
    reported = pytest.raises(InputError, match="a shard is damaged; mmat prepare --verify")
    with reported, corrupt_shard_as_error(folder):
        list(load_split(folder, "train"))
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


def test_clips_that_all_lack_pictures_have_them_as_zeros_for_a_model_that_looks(tmp_path):
    records = [Record(str(i), np.full(1600, i, np.int16), labels=(0,)) for i in range(4)]
    write_shards(tmp_path, n_shards=1, records=records)
    index = read_index(tmp_path)
    network = {"image_network": "efficientnet_lite0", "n_image_labels": 0}
    write_index(tmp_path, index | network)
    arrays = read_arrays(tmp_path, "train")
    assert arrays["image_probabilities"].shape == (4, 2, 1000) and not arrays["has_video"].any()
    inputs, _ = next(iter(load_split(tmp_path, "train")))
    assert inputs["image_probabilities"].shape == (2, 1000) and not inputs["has_video"]
