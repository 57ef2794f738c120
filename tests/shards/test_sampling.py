"""Class-balanced sampling: the queues of the rule, written out, and what they promise."""

import collections
import itertools
import json
import warnings

import hypothesis.extra.numpy as hnp
import hypothesis.strategies as st
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import assume, given, settings

from mmat.files import InputError
from mmat.labels import LabelSet
from mmat.shards.folder import LABELS_FILE
from mmat.shards.read import read_arrays
from mmat.shards.record import Record
from mmat.shards.sampling import (
    balanced_order,
    batches_from,
    class_queues,
    clips_once,
    queues_with_unlabelled,
    scan_split,
    shuffled,
)
from tests.processes import program, run_process
from tests.programs.batch_digest import digest
from tests.shards.tiny_shards import N_CLIPS, N_SAMPLES, clip_numbers, write_shards

pytestmark = pytest.mark.filterwarnings("ignore:.*never drawn", "ignore:.*the one label")


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    return write_shards(tmp_path_factory.mktemp("shards"))


truths = hnp.arrays(bool, st.tuples(st.integers(1, 20), st.integers(1, 5)))


def members_of(weak_labels):
    return [np.flatnonzero(column) for column in np.asarray(weak_labels).T]


def take(members, seed, n):
    return [int(i) for i in balanced_order(members, seed).take(n).as_numpy_iterator()]


def plain_loop(members, seed, n):
    """The rule as one would say it: queues that are filled anew, rounds over all of them."""
    members = [clips for clips in members if len(clips)]
    queues, passes = [collections.deque() for _ in members], [0] * len(members)
    drawn = []
    for number in itertools.count():
        taken = []
        for label, queue in enumerate(queues):
            if not queue:
                queue.extend(shuffled(tf.constant(members[label]), seed, 0, label, passes[label]))
                passes[label] += 1
            taken.append(queue.popleft())
        drawn.extend(int(i) for i in shuffled(tf.stack(taken), seed, 1, number))
        if len(drawn) >= n:
            return drawn[:n]


@settings(max_examples=15, deadline=None)
@given(truths, st.integers(0, 2**63 - 1))
def test_the_order_is_that_of_a_plain_loop_over_queues(weak_labels, seed):
    assume(weak_labels.any())
    members = members_of(weak_labels)
    n = 3 * int(weak_labels.sum(axis=0).max()) * len(members) + 1
    assert take(members, seed, n) == plain_loop(members, seed, n)


@settings(max_examples=15, deadline=None)
@given(truths, st.integers(0, 2**32 - 1))
def test_each_class_is_drawn_equally_and_its_clips_evenly(weak_labels, seed):
    assume(weak_labels.any())
    present = np.flatnonzero(weak_labels.any(axis=0))
    members = weak_labels.sum(axis=0)
    n_rounds = 3 * int(members.max())
    drawn = take(members_of(weak_labels), seed, n_rounds * len(present))
    assert all(weak_labels[i].any() for i in drawn)
    for start in range(0, len(drawn), len(present)):  # a round can be matched clip to class
        taken = weak_labels[drawn[start : start + len(present)]][:, present]
        assert taken.any(axis=0).all()
    times = np.bincount(drawn, minlength=len(weak_labels))
    floor = np.array([n_rounds // members[label] for label in present])
    least = (weak_labels[:, present] * floor).sum(axis=1)
    assert (times >= least).all() and (times <= least + weak_labels.sum(axis=1)).all()


def test_passes_and_rounds_are_each_in_a_fresh_order():
    drawn = np.array(take([np.arange(6), np.arange(6, 12)], 0, 2 * 6 * 40)).reshape(-1, 2)
    passes = np.sort(drawn, axis=1)[:, 0].reshape(40, 6)
    assert (np.sort(passes, axis=1) == np.arange(6)).all()
    assert len({tuple(order) for order in passes}) > 35
    first = (drawn[:, 0] < 6).mean()
    assert 0.35 < first < 0.65


@settings(max_examples=15, deadline=None)
@given(truths, st.integers(0, 60), st.integers(0, 2**32 - 1))
def test_an_order_may_begin_anywhere(weak_labels, start, seed):
    assume(weak_labels.any())
    members = members_of(weak_labels)
    rest = balanced_order(members, seed, start).take(40)
    assert [int(i) for i in rest] == take(members, seed, start + 40)[start:]


ALL = ["waveform", "image_probabilities", "has_audio", "has_video", "ids"]


@pytest.mark.parametrize("start", [1, 3, 9])
def test_batch_n_is_the_same_from_wherever_it_is_read(shards, start):
    batches_at = batches_from(shards, "train", 5, seed=4, inputs=ALL)
    whole = list(batches_at(0).take(12).as_numpy_iterator())
    rest = batches_at(start).take(12 - start)
    for (own, labels), (inputs, weak_labels) in zip(
        whole[start:], rest.as_numpy_iterator(), strict=True
    ):
        assert own.keys() == inputs.keys()
        assert all(np.array_equal(own[name], inputs[name]) for name in own)
        assert np.array_equal(labels, weak_labels)


def test_the_ids_are_those_of_the_clips(shards):
    for dataset in (
        batches_from(shards, "train", 6, 0, ALL)(0).take(5),
        clips_once(shards, "train", ALL).batch(4),
    ):
        ids = [int(clip) for inputs, _ in dataset for clip in inputs["ids"].numpy()]
        assert ids == clip_numbers(dataset)


def test_some_of_the_clips_alone_are_drawn_or_read(shards):
    order = np.concatenate([np.arange(N_CLIPS)[shard::4] for shard in range(4)])
    heard = order[order != 5]
    once = clips_once(shards, "train", ["waveform", "ids"])
    assert [int(inputs["ids"].numpy()) for inputs, _ in once] == heard.tolist()
    drawn = batches_from(shards, "train", 5, 0, ["waveform", "ids"], lambda clips: clips[::2])
    ids = [int(clip) for inputs, _ in drawn(3).take(9) for clip in inputs["ids"].numpy()]
    assert set(ids) == set(heard[::2]) - {22}
    with pytest.raises(InputError, match="no clip has what the model needs"):
        batches_from(shards, "train", 5, 0, ["waveform"], lambda clips: clips[:0])


def test_another_seed_is_another_order():
    members = [np.arange(20), np.arange(20, 30)]
    assert take(members, 1, 40) == take(members, 1, 40) != take(members, 2, 40)


def test_without_any_label_it_is_refused():
    with pytest.raises(InputError, match="no clip has a label"):
        balanced_order([np.array([], int)] * 2, 0)


def test_a_scan_finds_what_the_records_hold(shards):
    stored, arrays = scan_split(shards, "train"), read_arrays(shards, "train")
    order = np.concatenate([np.arange(N_CLIPS)[shard::4] for shard in range(4)])
    assert stored.has_audio.tolist() == arrays["has_audio"][order].tolist()
    assert stored.has_video.tolist() == arrays["has_video"][order].tolist()
    members = stored.members(3, np.ones(N_CLIPS, bool))
    for clips, expected in zip(members, members_of(arrays["weak_labels"][order]), strict=True):
        assert clips.tolist() == expected.tolist()
    few = stored.members(3, stored.has_audio)
    assert sum(map(len, members)) - sum(map(len, few)) == 1


@settings(max_examples=10, deadline=None)
@given(
    labels=st.lists(st.lists(st.integers(0, 299), max_size=5), min_size=1, max_size=8),
    n_samples=st.sampled_from([0, 1, 70, 20_000]),
)
def test_a_scan_reads_every_size_of_number(tmp_path_factory, labels, n_samples):
    """Lengths and labels above 127 and 16,383 take more than one byte each."""
    records = [Record("é" * 200, np.zeros(n_samples, np.int16), labels=tuple(x)) for x in labels]
    folder = write_shards(tmp_path_factory.mktemp("shards"), None, 1, records)
    text = (folder / "index.json").read_text()
    (folder / "index.json").write_text(text.replace('"c"', ",".join(['"c"'] * 298)))
    stored = scan_split(folder, "train")
    assert stored.labels.tolist() == [label for own in labels for label in own]
    for label, clips in enumerate(stored.members(300, np.ones(len(labels), bool))):
        assert clips.tolist() == [i for i, own in enumerate(labels) if label in own]


def test_balanced_batches_follow_the_balanced_order(shards):
    stored = scan_split(shards, "train")
    in_list = np.concatenate([np.arange(N_CLIPS)[shard::4] for shard in range(4)])
    expected = take(stored.members(3, np.ones(N_CLIPS, bool)), 3, 60)
    dataset = batches_from(shards, "train", batch_size=6, seed=3)(0).take(10)
    assert clip_numbers(dataset) == in_list[expected].tolist() == clip_numbers(dataset)
    assert dataset.element_spec[0]["waveform"].shape == (None, N_SAMPLES, 1)
    truth = np.concatenate([labels for _, labels in dataset])
    assert (truth.sum(axis=0) >= 20).all()


def test_only_clips_that_the_model_can_use_are_drawn(shards):
    clips = batches_from(shards, "train", 4, seed=0, inputs=["waveform"])(0).take(30).unbatch()
    levels = [round(float(inputs["waveform"][0, 0]) * 32768) for inputs, _ in clips]
    assert set(levels) == set(range(22)) - {5}
    with pytest.raises(InputError, match="unknown input 'smell'"):
        batches_from(shards, "train", 4, seed=0, inputs=["smell"])


def test_a_shard_may_be_empty(tmp_path):
    records = [Record(str(i), np.full(8, i, np.int16), labels=(i,)) for i in range(3)]
    write_shards(tmp_path, 8 / 16000, 5, records)
    clips = batches_from(tmp_path, "train", 5, 0, ["waveform"])(0).take(6).unbatch()
    levels = [round(float(inputs["waveform"][0, 0]) * 32768) for inputs, _ in clips]
    assert sorted(levels) == [0] * 10 + [1] * 10 + [2] * 10
    assert read_arrays(tmp_path, "train")["ids"] == ["0", "1", "2"]


def test_what_is_never_drawn_is_reported(tmp_path):
    records = [Record(str(i), np.zeros(8, np.int16), labels=(0,) if i else ()) for i in range(5)]
    write_shards(tmp_path, 8 / 16000, 1, records)
    with pytest.warns(UserWarning, match=r"2 classes have no clip \(b, c\); 1 clips have no label"):
        batches_from(tmp_path, "train", 5, seed=0)


def unlabelled_shards(folder, n_labels):
    """Six clips at their number's level: the first of each label in turn, the last two of none."""
    labels = [(i % n_labels,) if i < 4 else () for i in range(6)]
    records = [Record(str(i), np.full(8, i, np.int16), labels=x) for i, x in enumerate(labels)]
    write_shards(folder, 8 / 16000, 2, records)
    return folder


def drawn_levels(batches):
    return [round(float(inputs["waveform"][0, 0]) * 32768) for inputs, _ in batches.unbatch()]


@pytest.mark.parametrize("n_labels", [1, 2])
def test_clips_without_a_label_are_drawn_as_often_as_those_of_a_class(tmp_path, n_labels):
    folder = unlabelled_shards(tmp_path, n_labels)
    draw = batches_from(folder, "train", 6, 1, ["waveform"], queues=queues_with_unlabelled)
    levels = drawn_levels(draw(0).take(4 * (n_labels + 1)))
    times = np.bincount(levels, minlength=6)
    assert (times[4:] == 12).all() and (times[:4] == 6 * n_labels).all()
    assert drawn_levels(draw(3).take(2)) == levels[18:30]
    without = batches_from(folder, "train", 6, 1, ["waveform"])
    assert set(drawn_levels(without(0).take(4))) == {0, 1, 2, 3}


def test_a_single_class_is_drawn_in_passes_and_said_to_be_told_from_nothing(tmp_path):
    folder = unlabelled_shards(tmp_path, 1)
    with pytest.warns(UserWarning, match="all clips that are drawn have the one label 'a'"):
        levels = drawn_levels(batches_from(folder, "train", 4, 0, ["waveform"])(0).take(5))
    assert np.sort(np.reshape(levels, (5, 4))).tolist() == [[0, 1, 2, 3]] * 5
    index = json.loads((folder / "index.json").read_text())
    for queues, task in ((queues_with_unlabelled, None), (class_queues, "regression 0 1")):
        (folder / "index.json").write_text(json.dumps(index | {"task": task}))
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            batches_from(folder, "train", 4, 0, ["waveform"], queues=queues)
        assert not any("the one label" in str(each.message) for each in said)


def test_where_no_clip_has_a_label_they_may_be_drawn_alone(tmp_path):
    records = [Record(str(i), np.full(8, i, np.int16)) for i in range(3)]
    write_shards(tmp_path, 8 / 16000, 1, records)
    with pytest.raises(InputError, match="no clip has a label"):
        batches_from(tmp_path, "train", 3, 0, ["waveform"])(0)
    draw = batches_from(tmp_path, "train", 3, 0, ["waveform"], queues=queues_with_unlabelled)
    assert sorted(drawn_levels(draw(0).take(2))) == [0, 0, 1, 1, 2, 2]


def test_the_order_without_the_option_is_what_it_was():
    """As drawn before there was one."""
    members = [np.arange(4), np.arange(4, 6), np.array([1, 6])]
    order = [1, 1, 5, 6, 2, 4, 4, 3, 6, 5, 1, 0, 2, 6, 4, 1, 1, 5]
    assert take(members, 7, 18) == order


def test_damage_is_reported_in_a_line(shards, tmp_path):
    folder = write_shards(tmp_path)
    shard = folder / "train-00001-of-00004.tfrecord"
    whole = shard.read_bytes()
    for damaged in (
        b"\xff" * 8 + whole[8:],
        whole[:12] + bytes(len(whole) - 12),
        bytes(len(whole)),
    ):
        shard.write_bytes(damaged)
        with pytest.raises(InputError, match=f"{shard.name}: the shard is damaged"):
            batches_from(folder, "train", 5, seed=0)
    rng = np.random.default_rng(0)
    for at in rng.integers(0, len(whole), 200):  # never anything but that line
        shard.write_bytes(whole[:at] + bytes([whole[at] ^ 1 << rng.integers(8)]) + whole[at + 1 :])
        try:
            scan_split(folder, "train")
        except InputError as error:
            assert "\n" not in str(error)


def test_a_seed_gives_the_same_bytes_here_and_in_a_new_process(tmp_path):
    folder = write_shards(tmp_path, clip_seconds=None)
    one, again, other = (digest(folder, seed) for seed in (1, 1, 2))
    done = run_process(program("batch_digest", folder, flags=("-W", "ignore")))
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == one == again != other


def test_batches_are_read_ahead_also_where_tensorflow_must_be_deterministic(tmp_path):
    folder = write_shards(tmp_path)
    LabelSet.of(["a", "b", "c"]).to_csv(folder / LABELS_FILE)
    done = run_process(program("batches_read_ahead", folder))
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) >= 2
