"""Connected clips; the validation slice: whole videos, every class, the same everywhere."""

import collections
import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmat.files import InputError
from mmat.lists.clip import Clip
from mmat.lists.read import read_list
from mmat.lists.splits import VALIDATION, connected_groups, validation_slice
from tests.processes import program, run_process

pytest_plugins = ["tests.reference"]

CLASSES = "abcde"
lists = st.lists(
    st.tuples(st.integers(0, 30), st.sets(st.sampled_from(CLASSES), max_size=3)), max_size=80
).map(
    lambda rows: [
        Clip(str(i), f"{i}.wav", tuple(sorted(labels)), video_id=f"v{video}")
        for i, (video, labels) in enumerate(rows)
    ]
)
fractions = st.floats(0.01, 0.99)


def linked_by_hand(groups):
    """Which clips are linked, by walking from link to link until nothing new is found."""
    named = [{name for name in names if name} for names in groups]
    numbers = [None] * len(groups)
    for first in range(len(groups)):
        if numbers[first] is not None:
            continue
        found, reached = {first}, set(named[first])
        while True:
            more = {i for i, names in enumerate(named) if names & reached} - found
            if not more:
                break
            found |= more
            reached |= set().union(*(named[i] for i in more))
        for clip in found:
            numbers[clip] = first
    order = {first: number for number, first in enumerate(dict.fromkeys(numbers))}
    return [order[first] for first in numbers]


@given(st.lists(st.lists(st.sampled_from(["", *"abcdefghij"]), max_size=3), max_size=15))
def test_linked_clips_have_one_number(groups):
    found = connected_groups(groups)
    assert found.dtype == np.int64 and found.tolist() == linked_by_hand(groups)


def test_a_long_chain_is_one_group_and_quickly():
    chain = [[str(i), str(i + 1)] for i in range(50_000)]
    assert not connected_groups(chain).any()


def sliced(clips, fraction, seed=0):
    """The sliced list, or None where each video alone has some class, or far too many clips."""
    try:
        return validation_slice(clips, fraction, seed)
    except InputError as error:
        assert "can be spared" in str(error)
    videos = videos_by_class(clips)
    for video in {clip.video_id for clip in clips}:
        own = class_counts(clip for clip in clips if clip.video_id == video)
        assert any(videos[label] == 1 or n_clips > 2 for label, n_clips in own.items())
    return None


def videos_by_class(clips):
    having = {(label, clip.video_id) for clip in clips for label in clip.labels or ("",)}
    return collections.Counter(label for label, _ in having)


def parts_of(clips):
    chosen = [clip for clip in clips if clip.split == VALIDATION]
    return chosen, [clip for clip in clips if clip.split != VALIDATION]


def class_counts(clips):
    return collections.Counter(label for clip in clips for label in clip.labels or ("",))


@given(lists, fractions, st.integers(0, 5))
def test_videos_stay_whole_and_every_class_can_be_learnt(clips, fraction, seed):
    found = sliced(clips, fraction, seed)
    if found is None:
        return
    assert [dataclasses.replace(clip, split="train") for clip in found] == clips
    chosen, rest = parts_of(found)
    assert not {clip.video_id for clip in chosen} & {clip.video_id for clip in rest}
    assert set(videos_by_class(rest)) == set(videos_by_class(clips))
    assert chosen


@given(lists, fractions, st.randoms())
def test_the_order_of_the_list_is_ignored(clips, fraction, random):
    found = sliced(clips, fraction)
    if found is None:
        return
    shuffled = random.sample(clips, len(clips))
    again = {clip.id: clip.split for clip in validation_slice(shuffled, fraction)}
    assert again == {clip.id: clip.split for clip in found}


@settings(max_examples=30)
@given(st.lists(st.sampled_from(CLASSES), min_size=2, max_size=200), fractions)
def test_one_label_a_video_gives_each_class_its_share_to_half_a_clip(labels, fraction):
    clips = [Clip(str(i), f"{i}.wav", (label,), video_id=str(i)) for i, label in enumerate(labels)]
    found = sliced(clips, fraction)
    if found is None:
        return
    before, after = class_counts(clips), class_counts(parts_of(found)[0])
    for label, n_clips in before.items():
        share = max(fraction * n_clips, 1)  # one at least,
        if fraction * n_clips > n_clips - 1 or n_clips == 1:
            share = n_clips - 1  # and never all
        assert abs(after[label] - share) <= 0.5


def test_where_there_is_no_video_id_source_groups_stay_together():
    clips = [Clip(str(i), f"{i}.wav", ("Dog",), source_group=f"g{i % 4}") for i in range(20)]
    chosen, rest = parts_of(validation_slice(clips, 0.25))
    assert len({clip.source_group for clip in chosen}) == 1 and len(chosen) == 5 and len(rest) == 15


def test_another_seed_is_another_slice():
    clips = [Clip(str(i), f"{i}.wav", ("Dog",), video_id=str(i)) for i in range(100)]
    one, other = (parts_of(validation_slice(clips, 0.2, seed))[0] for seed in (0, 1))
    assert len(one) == len(other) == 20 and one != other


def test_a_video_more_changes_little():
    clips = [Clip(str(i), f"{i}.wav", ("Dog",), video_id=str(i)) for i in range(101)]
    one, more = (parts_of(validation_slice(part, 0.2))[0] for part in (clips[:-1], clips))
    assert len({clip.id for clip in one} ^ {clip.id for clip in more}) <= 2


@pytest.mark.parametrize("fraction", [0, 1, -0.1, float("nan")])
def test_a_fraction_lies_between_nothing_and_all(fraction):
    with pytest.raises(InputError, match="not between 0 and 1"):
        validation_slice([Clip("a", "a.wav", ("Dog",))] * 2, fraction)


@pytest.fixture(scope="module")
def training_list(task4):
    return read_list(task4 / "training_set.csv").clips


@pytest.mark.parametrize("fraction", [0.05, 0.1])
def test_the_real_list_keeps_every_class_s_share(training_list, fraction):
    chosen, rest = parts_of(validation_slice(training_list, fraction))
    assert len(chosen) + len(rest) == 51172
    assert not {clip.video_id for clip in chosen} & {clip.video_id for clip in rest}
    whole, part = class_counts(training_list), class_counts(chosen)
    assert len(whole) == 17
    for label, n_clips in whole.items():
        assert abs(part[label] - fraction * n_clips) <= 1, label


def test_the_real_list_s_slice_is_the_one_that_is_written_here(task4):
    """Whatever machine, Python and hash seed: figures on it can be compared between papers."""
    done = run_process(program("validation_digest", task4 / "training_set.csv"))
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "fe5299badfe32d08b16a7cbd588c2750216a7a222035fd386be763c5db7217c1"
