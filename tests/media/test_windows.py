"""Sound and pictures cut into windows, whatever pieces they come in."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmat.files import InputError
from mmat.media.read import SAMPLE_RATE_HZ, Media
from mmat.media.windows import ArrayPictures, ArrayStream, Sound, WindowSpec, windows

SPEC = WindowSpec(clip_seconds=2.0, hop_seconds=1.0, n_frames=4)


def numbered(n_samples: int) -> np.ndarray:
    return np.arange(n_samples, dtype=np.float32)


@given(st.lists(st.integers(0, 3 * SAMPLE_RATE_HZ), max_size=6), st.sampled_from([0.5, 1.0, 2.0]))
def test_windows_cover_the_whole_and_hold_what_was_there(lengths, hop):
    waveform = numbered(sum(lengths))
    blocks = np.split(waveform, list(itertools.accumulate(lengths)))
    found = list(windows(Sound(blocks), None, WindowSpec(2.0, hop, 4)))
    assert bool(found) == bool(len(waveform))
    covered = 0
    for number, window in enumerate(found):
        first = round(window.start_seconds * SAMPLE_RATE_HZ)
        assert first <= covered
        if number < len(found) - 1:
            assert window.start_seconds == number * hop
            assert window.media.duration_seconds == 2.0
        assert window.start_seconds * 10 == pytest.approx(round(window.start_seconds * 10))
        part = waveform[first : first + len(window.media.waveform)]
        np.testing.assert_array_equal(window.media.waveform, part)
        assert window.media.frames is None
        covered = first + len(part)
    assert len(waveform) - covered < 0.1 * SAMPLE_RATE_HZ


@pytest.mark.parametrize(
    ("seconds", "starts"),
    [(0.5, [0]), (2, [0]), (2.05, [0]), (2.5, [0, 0.5]), (4, [0, 1, 2]), (4.25, [0, 1, 2, 2.3])],
)
def test_where_windows_begin(seconds, starts):
    sound = Sound([numbered(round(seconds * SAMPLE_RATE_HZ))])
    assert [w.start_seconds for w in windows(sound, None, SPEC)] == pytest.approx(starts)


def test_memory_holds_a_few_windows_of_an_endless_sound():
    sound = Sound(np.zeros(4000, np.float32) for _ in itertools.count())
    for window in itertools.islice(windows(sound, None, SPEC), 200):
        assert len(window.media.waveform) == 2 * SAMPLE_RATE_HZ
        assert len(sound._held) <= 4 * SAMPLE_RATE_HZ
    assert sound.seconds >= 200


def test_sound_or_pictures_may_end_first():
    frames = np.arange(12, dtype=np.uint8).reshape(12, 1, 1, 1).repeat(3, axis=3)  # 4 a second
    long_sound = Media(numbered(5 * SAMPLE_RATE_HZ), frames, 5.0)
    seen = ArrayPictures(frames, 3.0)
    found = list(windows(Sound([long_sound.waveform]), seen, SPEC))
    assert [w.start_seconds for w in found] == [0, 1, 2, 3]
    shown = [None if w.media.frames is None else w.media.frames[:, 0, 0, 0].tolist() for w in found]
    assert shown == [[1, 3, 5, 7], [5, 7, 9, 11], [8, 9, 10, 11], None]
    np.testing.assert_allclose(found[1].picture_seconds, [1.25, 1.75, 2.25, 2.75])
    # Pictures alone, and pictures that outlast the sound.
    for n_samples in (0, 100):
        found = list(windows(Sound([numbered(n_samples)]), ArrayPictures(frames, 3.0), SPEC))
        assert [w.start_seconds for w in found] == [0, 1]
        assert [w.media.duration_seconds for w in found] == [2.0, 2.0]
        assert found[1].media.waveform is None


@pytest.mark.parametrize("frames", [None, np.zeros((4, 8, 8, 3), np.uint8)])
def test_a_clip_without_what_is_needed_is_bad_input(frames):
    held = ArrayStream(Media(None, frames, 1.0), WindowSpec(n_frames=0))
    with pytest.raises(InputError, match="the clip has no sound"):
        list(held)


@pytest.mark.parametrize(
    ("waveform", "words"),
    [
        (np.zeros((2, 5), np.float32), r"float32 \(2, 5\)"),
        (np.array(0.5, np.float32), r"float32 \(\)"),
        (np.zeros(5, np.int16), "int16"),
        (np.zeros(0, np.float32), "no samples"),
        (np.full(5, np.nan), "no finite numbers"),
    ],
)
def test_other_arrays_are_no_waveforms(waveform, words):
    with pytest.raises(InputError, match=words):
        ArrayStream(waveform, SPEC)
