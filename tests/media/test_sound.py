"""The sound of files: channels, full scale, damage, pauses, and codecs that fail in odd ways."""

import re

import av
import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from mmat.files import InputError
from mmat.media.read import SAMPLE_RATE_HZ, read_audio, read_media
from mmat.media.sound import mixdown, resampled
from mmat.media.windows import ArrayStream, MediaStream, WindowSpec
from mmat.shards.record import to_float32, to_int16
from tests.media.made_tracks import FPS, later, one_colour, tone, write_tracks
from tests.media.sounds import amplitude, loudest_hz, onset_seconds

GREY = one_colour([128], 4 * FPS)
SAID_OF_ANTIPHASE = r"the channels cancel each other out for ([\d.]+) s: the louder one is heard"
SAID_OF_PEAKS = r"samples reach ([\d.e+]+), where 1 is full scale: they are cut off there; store"


def in_windows(path, n_frames=0):
    """Return (waveform, problem) of a file, read in windows that follow each other."""
    parts = []
    with MediaStream(path, WindowSpec(1.0, 1.0, n_frames)) as stream:
        for window in stream:
            begin = round(window.start_seconds * SAMPLE_RATE_HZ) - sum(map(len, parts))
            parts.append(window.media.waveform[-begin if begin < 0 else 0 :])
    return np.concatenate(parts), stream.problem


def sine(channels, seconds=3.0, rate_hz=SAMPLE_RATE_HZ):
    """Return 1 kHz times a gain for each channel: float32 (samples, channels)."""
    return tone(seconds, 1000.0, rate_hz)[:, None] * np.float32(channels)


# Gains of the channels, the level that is heard, whether they cancel each other out.
MIXES = [
    ((1.0, -1.0), 1.0, True),
    ((0.5, -0.5), 0.5, True),
    ((1.0, -0.9), 1.0, True),
    ((0.8, -1.0), 1.0, True),
    ((1.0, -0.5), 0.25, False),
    ((1.0, 1.0), 1.0, False),
    ((1.0, 0.0), 0.5, False),
    ((1.0, -1.0, 0.0, 0.0), 1.0, True),
    ((1.0, -1.0, 1.0, 1.0), 0.5, False),
    ((0.0, 0.0, 0.0, 1.0, 0.0, 0.0), 1 / 6, False),  # six channels, one of them alive
]


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "FLOAT"])
@pytest.mark.parametrize(("gains", "level", "cancels"), MIXES)
def test_channels_are_averaged_unless_they_cancel(tmp_path, subtype, gains, level, cancels):
    path = tmp_path / "a.wav"
    soundfile.write(path, sine(gains), SAMPLE_RATE_HZ, subtype=subtype)
    media = read_media(path)
    assert amplitude(media.waveform) == pytest.approx(0.5 * level, rel=0.03)
    said = re.findall(SAID_OF_ANTIPHASE, media.problem)
    assert list(map(float, said)) == ([3.0] if cancels else [])
    waveform, problem = in_windows(path)
    np.testing.assert_array_equal(waveform, media.waveform)
    assert problem == media.problem


def test_antiphase_for_a_while_is_said_for_how_long(tmp_path):
    """It is decided about 16 frames at once, here 1.02 s."""
    sound = sine((1.0, 1.0), 12.0)
    sound[3 * SAMPLE_RATE_HZ : 8 * SAMPLE_RATE_HZ, 1] *= -1
    path = tmp_path / "a.wav"
    soundfile.write(path, sound, SAMPLE_RATE_HZ)
    media = read_media(path)
    (seconds,) = re.findall(SAID_OF_ANTIPHASE, media.problem)
    assert float(seconds) == pytest.approx(5.0, abs=1.1)
    for begin, end in ((0, 2.5), (4.1, 6.9), (9.1, 12)):
        part = media.waveform[round(begin * SAMPLE_RATE_HZ) : round(end * SAMPLE_RATE_HZ)]
        assert amplitude(part) == pytest.approx(0.5, rel=0.01)
    assert read_media(path, 9.1, 12.0).problem == ""


@settings(max_examples=60, deadline=None)
@given(
    n_channels=st.integers(1, 8),
    kind=st.sampled_from([np.uint8, np.int16, np.int32, np.float32, np.float64]),
    seed=st.integers(0, 99),
)
def test_the_mean_is_the_mean_and_the_louder_one_a_channel(n_channels, kind, seed):
    rng = np.random.default_rng(seed)
    if np.dtype(kind).kind == "f":
        samples, middle = rng.uniform(-1, 1, (n_channels, 500)).astype(kind), 0
    else:
        limits = np.iinfo(kind)
        samples = rng.integers(limits.min, limits.max, (n_channels, 500), kind, endpoint=True)
        middle = 128 if kind == np.uint8 else 0
    mixed, cancels = mixdown(samples)
    if not cancels:
        np.testing.assert_allclose(mixed, samples.mean(axis=0), rtol=1e-4, atol=1e-5)
    own = (samples[0].astype(np.float64) - middle) / 2  # so that what is mirrored fits
    own = np.trunc(own) if np.dtype(kind).kind != "f" else own
    mirrored = np.stack([middle + own, middle - own]).astype(kind)
    mixed, cancels = mixdown(mirrored)
    assert cancels
    assert any((mixed == channel.astype(mixed.dtype)).all() for channel in mirrored)


def test_silence_in_all_channels_is_no_antiphase():
    for kind, value in ((np.int16, 0), (np.float32, 0.0), (np.uint8, 128)):
        mixed, cancels = mixdown(np.full((2, 100), value, kind))
        assert not cancels and (mixed == value).all()


@pytest.mark.parametrize("subtype", ["FLOAT", "DOUBLE"])
@pytest.mark.parametrize("rate_hz", [SAMPLE_RATE_HZ, 44100])
@pytest.mark.parametrize("peak", [1.01, 4.0, 23143.0, 3e29])
def test_one_rule_for_samples_beyond_full_scale(tmp_path, subtype, rate_hz, peak):
    """What is read, in windows or at once, what shards keep, and what comes from an array."""
    path = tmp_path / "a.wav"
    sound = tone(3.0, 440.0, rate_hz, peak)
    soundfile.write(path, sound, rate_hz, subtype=subtype)
    media = read_media(path)
    assert np.abs(media.waveform).max() == 1.0
    (said,) = re.findall(SAID_OF_PEAKS, media.problem)
    assert float(said) == pytest.approx(peak, rel=0.01)
    waveform, problem = in_windows(path)
    np.testing.assert_array_equal(waveform, media.waveform)
    assert problem == media.problem
    kept = to_float32(to_int16(media.waveform))
    assert np.abs(kept - media.waveform).max() <= 1 / 32768
    if rate_hz == SAMPLE_RATE_HZ:
        with ArrayStream(sound, WindowSpec(4.0, 4.0, 0)) as stream:
            (window,) = stream
        np.testing.assert_array_equal(window.media.waveform, media.waveform)
        assert stream.problem == media.problem


def test_full_scale_and_what_lossy_codecs_make_of_it_need_no_word(tmp_path):
    soundfile.write(tmp_path / "a.wav", tone(3.0, level=1.0), 44100, subtype="FLOAT")
    assert read_media(tmp_path / "a.wav").problem == ""
    square = np.sign(tone(3.0, 440.0))
    for name, codec in (("a.mp3", "libmp3lame"), ("a.m4a", "aac"), ("a.mka", "libopus")):
        rate_hz = 48000 if codec == "libopus" else 44100
        path = write_tracks(tmp_path / name, [square], codec=codec, rate_hz=rate_hz)
        with av.open(str(path)) as container:
            peak = max(np.abs(frame.to_ndarray()).max() for frame in container.decode(audio=0))
        assert peak > 1.0
        media = read_media(path)
        assert np.abs(media.waveform).max() == 1.0 and media.problem == ""


@pytest.mark.parametrize("rate_hz", [16000, 32000, 44100, 48000])
def test_vorbis_has_no_holes_where_its_blocks_change(tmp_path, rate_hz):
    """It is what libvorbis decodes: clicks let short blocks follow long ones."""
    sound = 0.01 * np.random.default_rng(0).standard_normal(6 * rate_hz)
    for at in np.arange(0.3, 5.9, 0.37):
        sound[round(at * rate_hz) : round((at + 0.01) * rate_hz)] += 0.7
    path = tmp_path / "a.ogg"
    soundfile.write(path, sound, rate_hz)
    expected = resampled([soundfile.read(path, dtype="float32")[0]], rate_hz)
    media = read_media(path)
    assert media.problem == "" and len(media.waveform) >= len(expected)
    both = len(expected) - 200
    differences = [
        np.abs(media.waveform[100 + n :][:both] - expected[100:][:both]).max()
        for n in range(-40, 41)
    ]
    assert min(differences) < 0.02


def spoil(path, kind, numbers=None):
    """Fill packets of a track with zeros, behind their head in the file, and keep their sizes."""
    with av.open(str(path)) as container:
        track = getattr(container.streams, kind)[0]
        places = [(p.pos, bytes(p)) for p in container.demux(track) if p.size]
    data = bytearray(path.read_bytes())
    for number, (pos, content) in enumerate(places):
        if numbers is None or number in numbers:
            at = data.index(content[:32], pos)
            data[at : at + len(content)] = bytes(len(content))
    path.write_bytes(data)


def test_sound_that_cannot_be_decoded_leaves_the_pictures(tmp_path):
    path = tmp_path / "a.mkv"
    write_tracks(path, [tone(4.0, rate_hz=48000)], GREY, codec="ac3", rate_hz=48000)
    spoil(path, "audio")
    media = read_media(path, n_frames=4)
    assert media.waveform is None and len(media.frames) == 4
    assert "the sound cannot be decoded (FFmpeg: " in media.problem
    with MediaStream(path, WindowSpec(2.0, 2.0, 2)) as stream:
        assert [window.media.waveform for window in stream] == [None, None]
    assert "the sound cannot be decoded (FFmpeg: " in stream.problem
    for read in (read_audio, lambda path: in_windows(path)):
        with pytest.raises(InputError) as caught:
            read(path)
        assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_damaged_packets_are_counted_with_their_seconds(tmp_path):
    """Of AC-3 a packet is 32 ms; ten of them are silence in their place."""
    path = tmp_path / "a.mkv"
    write_tracks(path, [tone(4.0, rate_hz=48000)], codec="ac3", rate_hz=48000)
    whole = read_media(path)
    spoil(path, "audio", range(60, 70))
    media = read_media(path)
    assert media.problem == "10 damaged packets, 0.3 s of sound, cannot be decoded"
    assert len(media.waveform) == pytest.approx(len(whole.waveform), abs=16)  # 1 ms
    silent = media.waveform[round(1.97 * 16000) : round(2.2 * 16000)]
    assert np.abs(silent).max() < 0.02
    np.testing.assert_allclose(media.waveform[:28000], whole.waveform[:28000], atol=1e-4)
    assert amplitude(media.waveform[40000:]) == pytest.approx(0.5, rel=0.03)
    assert read_media(path, 0.0, 1.5).problem == read_media(path, 3.0, 4.0).problem == ""
    assert in_windows(path)[1] == media.problem


def test_a_range_may_begin_and_end_in_a_pause(tmp_path):
    """Sound from 2 to 2.9 and from 4.9 to 6 s; a range is as long as asked for."""

    def stamp(packet, kind, number):
        if kind == "audio":
            later(packet, 2.0 if number < 3 else 4.0)

    sound = tone(2.0, rate_hz=16000)  # in frames of a whole number of milliseconds
    path = tmp_path / "a.mkv"
    write_tracks(path, [sound], GREY, codec="flac", rate_hz=16000, stamp=stamp)
    whole = read_media(path, n_frames=0).waveform
    for begin, end in [(0.5, 1.5), (1.0, 2.5), (2.5, 4.0), (3.3, 4.4), (3.5, 5.5), (0.0, 1.0)]:
        part = read_media(path, begin, end, n_frames=0).waveform
        expected = whole[round(begin * 16000) : round(end * 16000)]
        assert len(part) == len(expected)
        assert np.abs(part - expected).max() < 0.01, (begin, end)


def test_sound_in_one_place_counts_once_and_is_said(tmp_path):
    """Forty packets of 64 ms that all lie at second 2, as a damaged table of stamps has it."""

    def stamp(packet, kind, number):
        if kind == "audio" and number > 31:
            later(packet, -0.064 * min(number - 31, 40))

    sound = tone(6.0, rate_hz=16000)
    path = write_tracks(tmp_path / "a.mkv", [sound], codec="pcm_s16le", rate_hz=16000, stamp=stamp)
    media = read_media(path)
    assert len(media.waveform) / 16000 == pytest.approx(6.0 - 40 * 0.064, abs=0.07)
    assert media.problem == "2.6 s of sound lie where other sound is already, and are left out"
    assert in_windows(path)[1] == media.problem
    assert read_media(path, 0.0, 1.5).problem == read_media(path, 2.5, 3.0).problem == ""


def test_a_track_that_begins_late_in_the_file_costs_no_traceback(tmp_path):
    """The header of an FLV file may leave out the sound, which then comes as a new track."""

    def stamp(packet, kind, _):
        if kind == "audio":
            later(packet, 100.0)

    path = tmp_path / "a.flv"
    write_tracks(path, [tone(4.0)], one_colour([128], 104 * FPS), stamp=stamp)
    data = bytearray(path.read_bytes())
    data[4] = 1  # pictures alone
    path.write_bytes(data)
    media = read_media(path, n_frames=4)
    assert len(media.frames) == 4
    with MediaStream(path, WindowSpec(10.0, 10.0, 2)) as stream:
        found = list(stream)
    assert found[-1].start_seconds + found[-1].media.duration_seconds >= 99.0


KINDS = [  # codec, container
    *[(f"pcm_{kind}le", "wav") for kind in ("s16", "s24", "s32", "s64", "f32", "f64")],
    *[(f"pcm_{kind}", "nut") for kind in ("s8", "u16le", "u24be", "u32le", "s64be", "f64be")],
    *[("pcm_s8", "aiff"), ("pcm_s24be", "caf"), ("g722", "wav"), ("pcm_s16be_planar", "nut")],
]


@pytest.mark.parametrize(("codec", "suffix"), KINDS)
def test_samples_of_all_kinds_are_read(tmp_path, codec, suffix):
    path = tmp_path / f"a.{suffix}"
    write_tracks(path, [tone(1.0, rate_hz=16000)], codec=codec, rate_hz=16000)
    media = read_media(path)
    assert media.problem == "" and len(media.waveform) == 16000
    assert abs(loudest_hz(media.waveform) - 1000) < 1
    assert amplitude(media.waveform[4000:12000]) == pytest.approx(0.5, rel=0.02)
    assert onset_seconds(media.waveform) < 0.01


@pytest.mark.parametrize("rate_hz", [100, 999, 800_000])
def test_rates_of_no_sound_are_one_line(tmp_path, rate_hz):
    path = tmp_path / "a.wav"
    soundfile.write(path, np.zeros(2000), rate_hz)
    for read in (read_media, in_windows):
        with pytest.raises(InputError, match=rf"a\.wav: a sample rate of {rate_hz} Hz is outside"):
            read(path)
