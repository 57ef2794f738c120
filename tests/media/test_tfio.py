"""Decoding inside the graph: held against the default reader; the codec's delay is looked for."""

import os

import numpy as np
import pytest
import soundfile
import tensorflow as tf

from mmat.files import InputError
from mmat.media.read import read_audio
from mmat.media.tfio import RATES_HZ, audio_files, operations, read_audio_file, read_waveform
from tests.processes import program, run_process

try:
    operations()
    LOADS = True
except InputError:
    LOADS = False

needs_tfio = pytest.mark.skipif(not LOADS, reason="tensorflow-io's operations do not load")

FORMATS = [
    ("a.wav", "PCM_U8"),
    ("a.wav", "PCM_16"),
    ("a.wav", "PCM_24"),
    ("a.wav", "PCM_32"),
    ("a.wav", "FLOAT"),
    ("a.flac", "PCM_S8"),
    ("a.flac", "PCM_16"),
    ("a.flac", "PCM_24"),
    ("a.ogg", "VORBIS"),
    ("a.mp3", "MPEG_LAYER_III"),
]


def write_noise(path, rate=44100, channels=2, subtype=None, seconds=1.0):
    rng = np.random.default_rng(rate + channels)
    sound = 0.3 * rng.standard_normal((int(seconds * rate), channels))
    soundfile.write(path, sound.clip(-0.95, 0.95), rate, subtype=subtype)
    return path


def delay_samples(reference, other):
    """Return by how many samples `other` is behind, where the two correlate best."""
    n = len(reference) + len(other)
    product = np.fft.rfft(other, n) * np.conj(np.fft.rfft(reference, n))
    best = int(np.argmax(np.fft.irfft(product, n)))
    return best if best < n / 2 else best - n


@needs_tfio
@pytest.mark.parametrize(("name", "subtype"), FORMATS)
def test_it_agrees_with_the_default_reader(tmp_path, name, subtype):
    for rate, channels in [(8000, 1), (16000, 2), (44100, 2), (96000, 6)]:
        if name == "a.mp3" and rate > 48000:
            continue
        path = write_noise(tmp_path / name, rate, channels, subtype)
        default, inside = read_audio(path), read_audio_file(path)
        if subtype == "VORBIS":  # FFmpeg is late by the first block, and plays the last to its end
            late = delay_samples(inside, default)
            assert 0 <= late <= 256 * 16000 / rate
            assert len(inside) <= len(default) < len(inside) + 2048 * 16000 / rate
            default, inside = default[late : len(inside)], inside[: len(inside) - late]
            default, inside = default[:-200], inside[:-200]  # what follows is not the same
        assert inside.dtype == np.float32 and inside.shape == default.shape
        assert delay_samples(default, inside) == 0, (rate, channels)
        assert np.abs(inside - default).max() < 1e-5, (rate, channels)


@needs_tfio
def test_every_rate_agrees(tmp_path):
    for rate in RATES_HZ:
        path = write_noise(tmp_path / "a.wav", rate, 1, "PCM_16", seconds=0.3)
        assert np.abs(read_audio_file(path) - read_audio(path)).max() < 1e-5


@needs_tfio
def test_a_range_agrees(tmp_path):
    path = write_noise(tmp_path / "a.flac", seconds=2.0)
    for start, end in [(0.5, 1.25), (None, 0.3), (1.5, None), (1.7, 9.0)]:
        inside = read_audio_file(path, start, end)
        assert np.abs(inside - read_audio(path, start, end)).max() < 1e-5


@needs_tfio
def test_a_wav_header_may_hold_other_chunks_first(tmp_path):
    path = write_noise(tmp_path / "a.wav", subtype="PCM_16")
    before, whole = read_audio(path), path.read_bytes()
    junk = b"JUNK" + (28).to_bytes(4, "little") + bytes(28)
    size = (len(whole) - 8 + len(junk)).to_bytes(4, "little")
    path.write_bytes(b"RIFF" + size + b"WAVE" + junk + whole[12:])
    assert np.abs(read_audio_file(path) - before).max() < 1e-5


@needs_tfio
def test_files_are_read_in_parallel_without_mixing_them_up(tmp_path):
    paths = []
    for i in range(36):
        paths.append(tmp_path / f"{i}{('.wav', '.flac', '.ogg')[i % 3]}")
        rate = (16000, 44100, 8000, 48000)[i % 4]
        soundfile.write(paths[-1], np.full(rate // 10 * (1 + i % 5), i / 50), rate)
    for i, sound in enumerate(audio_files(paths, reader="tfio").as_numpy_iterator()):
        assert sound.shape == (1600 * (1 + i % 5), 1)
        assert np.median(sound) == pytest.approx(i / 50, abs=0.01)


@needs_tfio
def test_the_two_readers_can_be_swapped(tmp_path):
    paths = [write_noise(tmp_path / f"{i}.wav", seconds=0.1 * (i + 1)) for i in range(4)]
    default, inside = audio_files(paths), audio_files(paths, reader="tfio")
    assert default.element_spec == inside.element_spec == tf.TensorSpec((None, 1), tf.float32)
    pairs = zip(default.as_numpy_iterator(), inside.as_numpy_iterator(), strict=True)
    assert max(np.abs(one - other).max() for one, other in pairs) < 1e-5


@needs_tfio
def test_bad_files_give_one_line_with_file_and_reason(tmp_path):
    write_noise(tmp_path / "whole.ogg")
    (tmp_path / "text.wav").write_text("this is no sound\n" * 100)
    (tmp_path / "cut.wav").write_bytes(b"RIFF\0\0\0\0WAVEfmt ")
    (tmp_path / "cut.ogg").write_bytes((tmp_path / "whole.ogg").read_bytes()[:100])
    soundfile.write(tmp_path / "double.wav", np.zeros(100), 16000, subtype="DOUBLE")
    soundfile.write(tmp_path / "rate.wav", np.zeros(100), 12345)
    soundfile.write(tmp_path / "nan.wav", np.full(100, np.nan), 16000, subtype="FLOAT")
    soundfile.write(tmp_path / "none.wav", np.zeros((0, 1)), 16000)
    for name in ("absent", "text", "cut", "double", "rate", "nan", "none"):
        with pytest.raises(InputError, match=f"{name}.wav: ") as caught:
            read_audio_file(tmp_path / f"{name}.wav")
        assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match="cut.ogg: tensorflow-io cannot decode it"):
        read_audio_file(tmp_path / "cut.ogg")
    with pytest.raises(tf.errors.OpError):
        list(audio_files([tmp_path / "text.wav"], reader="tfio"))


def test_a_suffix_that_it_cannot_read_is_named(tmp_path):
    (tmp_path / "a.m4a").write_bytes(b"x")
    with pytest.raises(InputError, match="a.m4a: reader 'tfio' reads .wav, .*use reader='default'"):
        read_audio_file(tmp_path / "a.m4a")
    with pytest.raises(InputError, match="a.m4a: reader 'tfio' reads .wav"):
        audio_files(["a.wav", "a.m4a"][1:], reader="tfio")


def test_the_default_reader_names_the_file_that_it_cannot_read(tmp_path):
    path = write_noise(tmp_path / "a.wav")
    sounds = audio_files([path, tmp_path / "absent.wav"]).as_numpy_iterator()
    assert next(sounds).shape == (16000, 1)
    with pytest.raises(tf.errors.OpError, match="absent.wav: no such file"):
        next(sounds)


def test_no_files_are_no_sounds():
    assert list(audio_files([])) == []


def test_an_unknown_reader_is_named(tmp_path):
    for paths in ([], [tmp_path / "a.wav"]):
        with pytest.raises(InputError, match="unknown reader 'tfoi'"):
            audio_files(paths, reader="tfoi")


@pytest.mark.skipif(LOADS, reason="tensorflow-io's operations load")
def test_where_it_does_not_load_the_way_out_is_said(tmp_path):
    path = write_noise(tmp_path / "a.wav")
    with pytest.raises(InputError, match=r"tensorflow-io.*use reader='default', or install"):
        read_audio_file(path)
    with pytest.raises(InputError, match=r"use reader='default', or install the extra"):
        audio_files([path], reader="tfio")
    assert len(read_audio(path)) == 16000


def test_reading_media_needs_no_tensorflow(tmp_path):
    path = write_noise(tmp_path / "a.wav")
    done = run_process(program("reading_sound", path))
    assert (done.stdout, done.stderr) == ("16000 False\n", "")


@needs_tfio
def test_it_works_inside_a_function_of_the_graph(tmp_path):
    path = write_noise(tmp_path / "a.wav")
    inside = tf.function(read_waveform)(tf.constant(os.fspath(path)))
    assert np.abs(inside.numpy()[:, 0] - read_audio(path)).max() < 1e-5
