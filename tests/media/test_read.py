"""Audio files, written by the test with real codecs: pitch, level, length; resampling, damage."""

import itertools

import numpy as np
import pytest
import soundfile
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st

from mmat.files import InputError
from mmat.media.read import read_audio, read_frames, read_media
from mmat.media.sound import resampled
from mmat.media.tfio import resampling_filters
from tests.media.sounds import amplitude, loudest_hz, staircase

ALL_RATES = (8000, 11025, 16000, 22050, 32000, 44100, 48000, 96000, 192000)
LOSSLESS, LOSSY = 0.003, 0.03
# name, subtype, sample rates, channels, how far the level may be off
AUDIO_FILES = [
    ("a.wav", "PCM_U8", ALL_RATES, range(1, 9), 0.01),
    ("a.wav", "PCM_16", ALL_RATES, range(1, 9), LOSSLESS),
    ("a.wav", "PCM_24", ALL_RATES, range(1, 9), LOSSLESS),
    ("a.wav", "PCM_32", ALL_RATES, range(1, 9), LOSSLESS),
    ("a.wav", "FLOAT", ALL_RATES, range(1, 9), LOSSLESS),
    ("a.wav", "DOUBLE", ALL_RATES, range(1, 9), LOSSLESS),
    ("a.flac", "PCM_16", ALL_RATES, range(1, 9), LOSSLESS),
    ("a.flac", "PCM_24", ALL_RATES, range(1, 9), LOSSLESS),
    ("a.ogg", "VORBIS", ALL_RATES, (1, 2, 3, 4, 5, 8), LOSSY),
    # FFmpeg's decoder shifts the streams of more than two channels, but at 48 kHz.
    ("a.opus", "OPUS", (8000, 16000, 24000, 48000, 48000), (1, 2, 3, 4, 5), LOSSY),
    ("a.mp3", "MPEG_LAYER_III", (8000, 11025, 16000, 22050, 44100, 48000), (1, 2), LOSSY),
]


@pytest.mark.parametrize(("name", "subtype", "rates", "channels", "tolerance"), AUDIO_FILES)
def test_audio_files_keep_pitch_level_and_length(
    tmp_path, name, subtype, rates, channels, tolerance, sine
):
    """Every rate with two channels, every number of channels at one rate."""
    cases = [(rate, 2) for rate in rates] + [(rates[-2], n) for n in channels]
    container = "OGG" if subtype == "OPUS" else None
    for rate, n_channels in cases:
        sound, level = staircase(sine, rate, n_channels)
        soundfile.write(tmp_path / name, sound, rate, subtype=subtype, format=container)
        samples = read_audio(tmp_path / name)
        assert samples.dtype == np.float32 and samples.ndim == 1
        assert abs(len(samples) - 16000) <= (0 if tolerance < LOSSY else 900), (rate, n_channels)
        middle = samples[4000:12000]
        assert abs(loudest_hz(middle) - 1000) <= 2, (rate, n_channels)
        assert amplitude(middle) == pytest.approx(level, rel=tolerance), (rate, n_channels)


def test_16_khz_sound_comes_back_exactly(tmp_path):
    integers = np.random.default_rng(0).integers(-32768, 32768, 16000).astype(np.int16)
    soundfile.write(tmp_path / "a.wav", integers, 16000, subtype="PCM_16")
    assert np.array_equal(read_audio(tmp_path / "a.wav") * 32768, integers)


def test_channels_are_averaged(tmp_path):
    both = np.stack([np.full(16000, 0.5), np.full(16000, -0.25), np.full(16000, 0.5)], axis=1)
    soundfile.write(tmp_path / "a.wav", both, 16000, subtype="PCM_16")
    assert read_audio(tmp_path / "a.wav") == pytest.approx(0.25, abs=1e-4)
    (tmp_path / "a.wav").rename(tmp_path / "b.mkv")  # FFmpeg reads it now, soundfile above
    assert read_audio(tmp_path / "b.mkv") == pytest.approx(0.25, abs=1e-4)


def test_a_sound_that_begins_at_once_begins_right(tmp_path, sine):
    """Resampled as if silence came before it, like any other place in a sound."""
    sound = sine(1.0, 44100, hz=300.0)[73:]  # it begins far from zero
    soundfile.write(tmp_path / "now.wav", sound, 44100, subtype="FLOAT")
    soundfile.write(tmp_path / "later.wav", np.pad(sound, ((44100, 0), (0, 0))), 44100, "FLOAT")
    now, later = (read_audio(tmp_path / name) for name in ("now.wav", "later.wav"))
    assert np.abs(now - later[16000:]).max() < 1e-5


def test_a_range_of_a_file_lies_where_it_should(tmp_path):
    for rate, name in itertools.product((16000, 44100), ("a.wav", "a.flac")):
        soundfile.write(tmp_path / name, np.arange(4 * rate) / (4 * rate), rate)
        part = read_audio(tmp_path / name, 1.0, 2.5)
        expected = 0.25 + np.arange(24000) / 64000
        assert len(part) == 24000
        assert np.abs(part - expected)[100:-100].max() < 1e-3


def test_read_media_gives_both_or_says_what_is_missing(tmp_path, write_container):
    both = read_media(write_container(tmp_path / "both.mp4"), n_frames=3)
    assert len(both.frames) == 3
    assert both.duration_seconds == pytest.approx(2.0, abs=0.05)
    assert len(both.waveform) == pytest.approx(32000, abs=800)
    silent = read_media(write_container(tmp_path / "silent.mp4", audio=None))
    assert silent.waveform is None and len(silent.frames) == 8
    blind = read_media(write_container(tmp_path / "blind.mp4", video=None))
    assert blind.frames is None and len(blind.waveform) == pytest.approx(32000, abs=800)


def test_the_suffix_does_not_decide_alone(tmp_path, sine, write_container):
    movie = write_container(tmp_path / "a.mp4").rename(tmp_path / "movie.wav")
    assert read_media(movie).frames is not None
    soundfile.write(tmp_path / "a.wav", sine(1.0), 44100)
    sound = (tmp_path / "a.wav").rename(tmp_path / "sound.mp4")
    assert len(read_audio(sound)) == 16000


@pytest.mark.parametrize("name", ["a: b.wav", "a: b.mp4", "pipe:0", "%d 01.mp4", "ünïcode.mp4"])
def test_odd_file_names_are_only_names(tmp_path, name, sine):
    soundfile.write(tmp_path / "x.wav", sine(1.0), 44100)
    path = (tmp_path / "x.wav").rename(tmp_path / name)
    assert len(read_audio(path)) == 16000


def bad_files(folder, sine, write_container):
    """Yield (reader, file, what the message must say)."""
    (folder / "empty.mp4").touch()
    (folder / "text.mp4").write_text("this is no movie\n" * 100)
    (folder / "text.txt").write_text("FFmpeg would draw this as a picture\n" * 100)
    (folder / "text.wav").write_text("this is no sound\n" * 100)
    (folder / "list.m3u8").write_text("#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n")
    (folder / "noise.mp4").write_bytes(np.random.default_rng(0).bytes(20_000))
    soundfile.write(folder / "zero.wav", np.zeros((0, 1)), 44100)
    soundfile.write(folder / "nan.wav", np.full(1000, np.nan), 16000, subtype="FLOAT")
    soundfile.write(folder / "sound.wav", sine(1.0), 44100)
    write_container(folder / "silent.mp4", audio=None, n_pictures=5)
    write_container(folder / "blind.mp4", video=None)
    for reader in (read_audio, read_frames, read_media):
        yield reader, "absent.mp4", "no such file"
        yield reader, ".", "is a folder"
        yield reader, "empty.mp4", "is empty"
        for name in ("text.mp4", "text.txt", "text.wav", "list.m3u8", "noise.mp4"):
            yield reader, name, "not a media file"
    yield read_audio, "zero.wav", "no sound"
    yield read_media, "zero.wav", "no sound"
    yield read_audio, "nan.wav", "finite"
    yield read_audio, "silent.mp4", "no sound track"
    yield read_frames, "blind.mp4", "no picture track"
    yield read_frames, "sound.wav", "no picture track"


def test_bad_files_give_one_line_with_file_and_reason(tmp_path, capfd, sine, write_container):
    for reader, name, reason in bad_files(tmp_path, sine, write_container):
        with pytest.raises(InputError) as caught:
            reader(tmp_path / name)
        message = str(caught.value)
        assert reason in message and str(tmp_path / name) in message and "\n" not in message
    assert capfd.readouterr().err == ""


def test_a_range_beyond_the_end(tmp_path, sine, write_container):
    soundfile.write(tmp_path / "a.wav", sine(2.0), 44100)
    assert len(read_audio(tmp_path / "a.wav", 1.5, 9.0)) == 8000
    for path in (tmp_path / "a.wav", write_container(tmp_path / "a.mp4")):
        with pytest.raises(InputError, match="from 3 s on"):
            read_media(path, 3.0, 4.0)


RATES = (8000, 11025, 22050, 32000, 44100, 48000, 96000, 192000)


@settings(max_examples=25, deadline=None)
@given(
    rate=st.sampled_from((*RATES, 1000, 44099, 768_000)),
    lengths=st.lists(st.integers(0, 40_000), max_size=6),
    seed=st.integers(0, 9),
)
def test_blocks_give_what_the_whole_gives(rate, lengths, seed):
    rng = np.random.default_rng(seed)
    blocks = [rng.uniform(-1, 1, n).astype(np.float32) for n in lengths]
    whole = np.concatenate([np.zeros(rate, np.float32), *blocks])
    expected = soxr.resample(whole, rate, 16000)[16000:]
    got = resampled(blocks, rate)
    assert got.dtype == np.float32 and got.shape == expected.shape
    assert np.allclose(got, expected, atol=1e-5)


@pytest.mark.parametrize("rate", RATES)
def test_filters_do_what_soxr_does(rate):
    sound = np.random.default_rng(0).uniform(-1, 1, rate // 3).astype(np.float32)
    filters, n_before, n_in = resampling_filters(rate)
    n_blocks = -(-len(sound) // n_in)
    padded = np.pad(sound, (n_before, n_blocks * n_in + len(filters) - len(sound)))
    rows = [padded[i * n_in : i * n_in + len(filters)] for i in range(n_blocks)]
    expected = resampled([sound], rate)
    assert np.abs((np.stack(rows) @ filters).ravel()[: len(expected)] - expected).max() < 1e-5


def test_a_sound_without_end_is_refused_in_time():
    drawn = []
    blocks = (drawn.append(1) or np.zeros(50_000, np.float32) for _ in itertools.count())
    with pytest.raises(InputError, match="longer than 0.01 hours; read a range of it"):
        resampled(blocks, 44100, longest_seconds=36.0)
    assert len(drawn) < 40


@pytest.mark.parametrize("rate", [0, 999, 800_000])
def test_a_rate_of_no_sound_is_refused(rate):
    with pytest.raises(InputError, match=f"sample rate of {rate} Hz"):
        resampled([np.zeros(10, np.float32)], rate)
