"""Sound and pictures cut into windows: arrays, and long media files from front to end."""

import fractions
import itertools

import av
import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from mmat.files import InputError
from mmat.media.read import SAMPLE_RATE_HZ, Media, read_audio, read_media
from mmat.media.windows import ArrayPictures, ArrayStream, MediaStream, Sound, WindowSpec, windows
from tests.media.made_media import make_sine, write_media_file

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
        assert len(sound._kept) <= 4 * SAMPLE_RATE_HZ
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


FPS = 10
FILM_SPEC = WindowSpec(clip_seconds=4.0, hop_seconds=2.0, n_frames=4)


def shade(i: int) -> np.ndarray:
    """A picture that tells its number."""
    return np.full((48, 64, 3), 2 * i % 250, np.uint8)


def write_film(path, seconds: int, options=None, file_options=None):
    """Write a film whose sound and pictures lie side by side in the file, as cameras do."""
    rng = np.random.default_rng(0)
    with av.open(str(path), "w", options=file_options or {}) as out:
        video = out.add_stream("libx264", rate=FPS, options=options or {})
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        audio = out.add_stream("aac", rate=16000, layout="mono")
        for second in range(seconds):
            for i in range(second * FPS, (second + 1) * FPS):
                frame = av.VideoFrame.from_ndarray(shade(i), format="rgb24")
                frame.pts, frame.time_base = i, fractions.Fraction(1, FPS)
                out.mux(video.encode(frame))
            for place in range(second * 16000, (second + 1) * 16000, 1000):
                noise = rng.normal(0, 0.1, (1, 1000)).astype(np.float32)
                frame = av.AudioFrame.from_ndarray(noise, format="flt", layout="mono")
                frame.rate, frame.pts = 16000, place
                frame.time_base = fractions.Fraction(1, 16000)
                out.mux(audio.encode(frame))
        for stream in (video, audio):
            out.mux(stream.encode(None))
    return path


def cut_off(path, share: float):
    """Keep that share of a file's bytes."""
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    return path


def end_of(found) -> float:
    """Where the last window ends."""
    return found[-1].start_seconds + found[-1].media.duration_seconds


def read_all(path, spec=FILM_SPEC):
    with MediaStream(path, spec) as stream:
        return list(stream), stream


@pytest.mark.parametrize("name", ["both.mp4", "sound.mp4", "pictures.mp4"])
def test_a_short_file_is_one_window_and_what_read_media_gives(name, tmp_path):
    kinds = {"sound.mp4": {"video": None}, "pictures.mp4": {"audio": None}}
    path = write_media_file(tmp_path / name, **kinds.get(name, {}))
    expected = read_media(path, n_frames=4)
    (window,), stream = read_all(path)
    for got, wanted in zip(
        (window.media.waveform, window.media.frames),
        (expected.waveform, expected.frames),
        strict=True,
    ):
        np.testing.assert_array_equal(got, wanted)
    assert window.media.duration_seconds == expected.duration_seconds
    assert stream.problem == ""


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".mp4"])
def test_the_sound_of_all_windows_is_the_files(suffix, tmp_path):
    rng, path = np.random.default_rng(0), tmp_path / f"long{suffix}"
    noise = rng.normal(0, 0.1, (round(11.3 * 44100), 1)).astype(np.float32)
    if suffix == ".mp4":
        write_media_file(path, video=None, sound=noise)
    else:
        soundfile.write(path, noise, 44100)
    whole = read_audio(path)
    found, _ = read_all(path)
    assert [w.start_seconds for w in found][:4] == [0, 2, 4, 6]
    for window in found:
        first = round(window.start_seconds * 16000)
        got = window.media.waveform
        np.testing.assert_array_equal(got, whole[first : first + len(got)])
    assert first + len(got) == len(whole)


@pytest.mark.parametrize(
    ("options", "off_seconds"),
    [
        ({"g": "5"}, 0.3),  # dense keyframes serve as they are
        ({"g": "30"}, 1.6),  # within half of a distance of keyframes
        ({"g": "100000", "sc_threshold": "0"}, 0.11),  # one keyframe: all is decoded, once
    ],
)
def test_pictures_of_all_windows_are_those_of_their_times(options, off_seconds, tmp_path):
    path = write_film(tmp_path / "film.mp4", 30, options)
    found, stream = read_all(path)
    assert [w.start_seconds for w in found[:-1]] == [2.0 * i for i in range(len(found) - 1)]
    for window in found[:-1]:
        numbers = (window.picture_seconds * FPS) * 2 % 250
        got = window.media.frames.mean(axis=(1, 2, 3))
        off = np.abs((got - numbers + 125) % 250 - 125) / 2 / FPS
        assert off.max() < off_seconds + 0.06, (window.start_seconds, off)
    assert stream.aspect == pytest.approx(64 / 48)


@pytest.mark.parametrize("options", [{}, {"g": "100000", "sc_threshold": "0"}])
@pytest.mark.parametrize(
    ("suffix", "file_options"), [(".mkv", {}), (".mp4", {"movflags": "faststart"})]
)
def test_a_film_that_is_cut_off_ends_where_it_is_cut(suffix, file_options, options, tmp_path):
    path = write_film(tmp_path / f"film{suffix}", 20, options, file_options)
    found, stream = read_all(cut_off(path, 0.6))
    end = end_of(found)
    assert 10 < end < 14
    assert f"it ends at {end:.1f} s of the 20." in stream.problem


def test_a_silent_film_that_is_cut_off_does_not_go_on_as_promised(tmp_path):
    path = write_media_file(
        tmp_path / "film.mkv", audio=None, n_pictures=300, fps=FPS, picture=shade
    )
    found, stream = read_all(cut_off(path, 0.5))
    end = end_of(found)
    assert 10 < end < 22
    assert f"it ends at {end:.1f} s of the 30.0 s" in stream.problem


def test_pictures_that_cannot_be_decoded_leave_the_sound(tmp_path):
    path = write_media_file(
        tmp_path / "film.mkv", video="mpeg4", sound=make_sine(9.0), n_pictures=90, fps=FPS
    )
    with av.open(str(path)) as film:
        places = [packet.pos for packet in film.demux(video=0) if packet.size]
    content = bytearray(path.read_bytes())
    for place in places:  # behind the head of each block
        content[place + 16 : place + 40] = bytes(24)
    path.write_bytes(content)
    found, stream = read_all(path)
    assert end_of(found) == pytest.approx(9, abs=0.1)
    assert all(window.media.waveform is not None for window in found)
    assert found[0].media.frames is None and stream.problem.startswith("the pictures end at 0.0 s")


def test_sound_alone_promises_its_own_length(tmp_path):
    path = write_media_file(tmp_path / "film.mp4", sound=make_sine(5.0), n_pictures=90, fps=FPS)
    found, stream = read_all(path, WindowSpec(4.0, 2.0, n_frames=0))
    assert stream.seconds == pytest.approx(5.0, abs=0.1) and stream.problem == ""
    assert all(window.media.frames is None for window in found)


def test_damage_in_the_first_window_is_an_error_and_further_on_an_end(tmp_path):
    path = tmp_path / "nan.wav"
    for n_good, fails in ((16000, True), (160_000, False)):
        sound = np.full(320_000, np.nan, np.float32)
        sound[:n_good] = 0.1
        soundfile.write(path, sound, 16000, subtype="FLOAT")
        if fails:
            with pytest.raises(InputError, match=r"nan\.wav: the sound holds samples that are no"):
                read_all(path)
        else:
            found, stream = read_all(path)
            assert end_of(found) == pytest.approx(10.0, abs=0.02)
            assert "no finite numbers" in stream.problem


def test_nothing_to_hear_or_see_is_bad_input(tmp_path):
    path = tmp_path / "mute.wav"
    soundfile.write(path, make_sine(0.0), 44100)
    with pytest.raises(InputError, match=r"mute\.wav: no sound"):
        read_all(path)
    text = tmp_path / "notes.mp4"
    text.write_text("Dear diary,\n" * 99)
    with pytest.raises(InputError, match="not a media file that can be read"):
        read_all(text)
