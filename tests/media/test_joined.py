"""Joined, cut and unfinished files of many formats are read as FFmpeg decodes them, or with a word.

No silent loss: what is read and what the warning names are what a plain reader, packet by packet,
finds. One file read whole and in windows is the same.
"""

import itertools
import re

import numpy as np
import pytest

from mmat.files import InputError
from mmat.media.read import SAMPLE_RATE_HZ, read_media
from mmat.media.windows import MediaStream, WindowSpec
from tests.media.made_joined import (
    CASES,
    DAMAGES,
    FORMATS,
    PARTS,
    click_seconds,
    found_by_ffmpeg,
    made,
)

NEAR_SECONDS = 0.11  # codecs begin and end in whole frames; windows leave out a rest of 0.1 s
SAME_CLICK_SECONDS = 0.025  # a frame of Opus, and what is rounded
# RealMedia loses a packet at a seam, and its clock; in each part of a fragmented mp4 the first
# packet stays 0.2 s, and a plain reader overlaps the parts.
SAME_CLICK_IN_SECONDS = {"a.rm": 0.07, "fragments.mp4": 0.5}
LONGER_SECONDS = {"fragments.mp4": 0.42}
NOTHING_SECONDS = 0.2  # less is no sound that anyone would miss


def read_whole(path, n_frames):
    """Return (waveform, problem) of a file that is read at once; nothing of one refused."""
    try:
        media = read_media(path, n_frames=n_frames)
    except InputError as error:
        assert "\n" not in str(error)
        return np.zeros(0, np.float32), str(error)
    return np.zeros(0, np.float32) if media.waveform is None else media.waveform, media.problem


def read_in_windows(path, n_frames):
    """Return (waveform, problem) of a file that is read in windows which follow each other."""
    waveform = np.zeros(0, np.float32)
    try:
        with MediaStream(path, WindowSpec(1.0, 1.0, n_frames)) as stream:
            for window in stream:
                if window.media.waveform is not None:
                    begin = round(window.start_seconds * SAMPLE_RATE_HZ)
                    waveform = np.concatenate([waveform[:begin], window.media.waveform])
    except InputError as error:
        assert "\n" not in str(error)
        return waveform, str(error)
    return waveform, stream.problem


def names(problem, lost_seconds, end_seconds):
    """Return whether a warning says how many seconds are lost, from when to when, or from when."""
    numbers = [float(number) for number in re.findall(r"(\d+(?:\.\d+)?) s\b", problem)]
    differences = [abs(one - other) for one, other in itertools.combinations(numbers, 2)]
    near = np.abs(np.array([*numbers, *differences]) - lost_seconds) <= NEAR_SECONDS
    ends = np.abs(np.array(numbers) - end_seconds) <= NEAR_SECONDS
    return bool(near.any() or ends.any())


@pytest.mark.parametrize(("name", "damage"), CASES, ids=lambda word: word.replace(" ", "-"))
def test_nothing_is_lost_without_a_word(tmp_path, name, damage):
    file, parts, _ = DAMAGES[damage]
    path = tmp_path / name
    path.write_bytes(file(name))
    found = found_by_ffmpeg(path)
    n_frames = 2 if FORMATS[name].video else 0
    waveform, problem = read_whole(path, n_frames)
    seconds = len(waveform) / SAMPLE_RATE_HZ
    lost = found.seconds - seconds
    if found.seconds > NOTHING_SECONDS:
        assert seconds, f"refused, of {found.seconds:.2f} s: {problem}"
        if lost > NEAR_SECONDS:
            said = names(problem, lost, seconds)
            assert said, f"{seconds:.2f} of {found.seconds:.2f} s: {problem or 'no word'}"
    # Where FFmpeg believes a wrong header there may be more, but not more than was put in.
    most = max(found.seconds, sum(PARTS[part][0] for part in parts))
    most += LONGER_SECONDS.get(name, 0.0)
    assert seconds <= most + NEAR_SECONDS, f"{seconds:.2f} of {most:.2f} s"
    there = click_seconds(waveform)
    for click in click_seconds(found.waveform):
        if click < seconds - NEAR_SECONDS:
            late = np.abs(there - click).min(initial=np.inf)
            assert late <= SAME_CLICK_IN_SECONDS.get(name, SAME_CLICK_SECONDS), (
                f"click at {click:.3f}, not at {there}"
            )
    if abs(lost) <= NEAR_SECONDS and damage != "garbage behind":  # nothing comes twice
        assert len(there) == len(click_seconds(found.waveform)), f"clicks at {there}"
    in_windows, windows_problem = read_in_windows(path, n_frames)
    both = f"{seconds:.2f} s: {problem}; windows {len(in_windows) / SAMPLE_RATE_HZ:.2f} s: "
    both += windows_problem
    assert abs(len(waveform) - len(in_windows)) <= NEAR_SECONDS * SAMPLE_RATE_HZ, both
    assert bool(problem) == bool(windows_problem), both
    n_both = min(len(waveform), len(in_windows))
    np.testing.assert_allclose(waveform[:n_both], in_windows[:n_both], atol=1e-3)
    if damage == "whole":
        assert not problem


@pytest.mark.parametrize("name", FORMATS)
def test_the_plain_reader_finds_what_was_put_in(tmp_path, name):
    """So that it may judge: in files of all formats that nothing happened to."""
    path = tmp_path / name
    path.write_bytes(made(name))
    found = found_by_ffmpeg(path)
    seconds, begins = PARTS["first"]
    there = click_seconds(found.waveform)
    assert len(there) == len(begins)
    # The codec's delay, of which a bare stream does not tell, and of which a container may tell.
    late = there - begins
    assert np.ptp(late) <= 0.01 and -0.01 <= late.min() <= 0.21
    assert found.seconds == pytest.approx(seconds + late.mean(), abs=0.06)
