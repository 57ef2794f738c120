"""Long recordings as several clips."""

import math

import pytest

from mmat.lists.clip import Clip, Event
from mmat.lists.pieces import beginning, pieces


@pytest.mark.parametrize("seconds", [0.1, 60.0, math.nan])
def test_what_is_not_longer_stays_whole(seconds):
    clip = Clip("a", "a.wav", ("Dog",))
    assert pieces(clip, seconds) == [clip]


@pytest.mark.parametrize("seconds", [60.1, 75.0, 76.0, 100.0, 3600.0])
def test_pieces_cover_the_file_once_each_near_30_seconds(seconds):
    found = pieces(Clip("a", "a.wav", ("Dog",), source_group="park"), seconds)
    assert found[0].start_seconds == 0 and found[-1].end_seconds is None
    ends = [clip.end_seconds or seconds for clip in found]
    assert [clip.start_seconds for clip in found[1:]] == ends[:-1]
    lengths = [end - clip.start_seconds for clip, end in zip(found, ends, strict=True)]
    assert set(lengths[:-1]) == {30.0} and 15 <= lengths[-1] <= 45
    assert len({clip.id for clip in found}) == len(found)
    assert {(clip.file, clip.labels, clip.source_groups) for clip in found} == {
        ("a.wav", ("Dog",), ("park",))
    }


def test_pieces_of_a_file_without_a_group_share_the_file():
    found = pieces(Clip("a", "a.wav", ("Dog",)), 90.0)
    assert {clip.source_groups for clip in found} == {("a.wav",)}


def test_a_range_of_a_file_stays_one():
    for clip in (Clip("a", "a.wav", (), 0.0, 90.0), Clip("a", "a.wav", video_id="v" * 11)):
        assert pieces(clip, 600.0) == [clip]


def test_events_fall_into_the_pieces_that_they_sound_in():
    events = Event("Dog", 10.0, 35.0), Event("Cat", 61.0, 62.0)
    found = pieces(Clip("a", "a.wav", ("Dog", "Cat"), events=events), 90.0)
    assert [clip.labels for clip in found] == [("Dog",), ("Dog",), ("Cat",)]
    assert [event for clip in found for event in clip.events] == [
        Event("Dog", 10.0, 30.0),
        Event("Dog", 0.0, 5.0),
        Event("Cat", 1.0, 2.0),
    ]


def test_a_label_without_times_is_in_every_piece_beside_those_that_have_some():
    clip = Clip("a", "a.wav", ("Dog", "Owl"), events=(Event("Dog", 10.0, 20.0),))
    assert [each.labels for each in pieces(clip, 70.0)] == [("Dog", "Owl"), ("Owl",)]


def test_of_a_beginning_what_sounds_later_is_no_part():
    events = Event("Dog", 1.0, 2.0), Event("Dog", 30.0, 31.0), Event("Cat", 10.0, 12.0)
    clip = Clip("a", "a.wav", ("Cat", "Rain", "Dog"), events=events, split="test")
    cut = beginning(clip, 10.0)
    assert (cut.labels, cut.events, cut.split) == (("Rain", "Dog"), events[:1], "test")
    assert beginning(clip, 30.5) is clip
    assert beginning(clip, 11.0).events == (events[0], events[2])
    weak = Clip("a", "a.wav", ("Dog",))
    assert beginning(weak, 1.0) is weak
