"""The sound of containers, written by the test with real codecs: pitch, level and time."""

import fractions

import av
import numpy as np
import pytest
import soundfile

from mmat.files import InputError
from mmat.media.read import read_audio, read_frames, read_media
from tests.media.sounds import amplitude, beep_at, loudest_hz, onset_seconds, staircase

# name, video codec, audio codec, sample rates, channels. The low-frequency channel of 6 and more
# is no place for 1 kHz in lossy codecs.
CONTAINERS = [
    ("a.mp4", "libx264", "aac", (8000, 22050, 44100, 48000, 96000), (1, 2, 3, 4, 5)),
    ("a.m4a", None, "aac", (8000, 22050, 44100, 48000, 96000), (1, 2, 3, 4, 5)),
    ("a.mov", "libx264", "aac", (44100, 48000), (1, 2)),
    ("a.webm", "libvpx-vp9", "libopus", (8000, 16000, 48000), (1, 2, 3, 5)),
    ("a.mka", None, "libopus", (8000, 16000, 48000), (1, 2, 3, 5)),
    ("a.mkv", "libx264", "flac", (8000, 44100, 96000, 192000), (1, 2, 3, 4, 5, 6, 7, 8)),
    ("a.mkv", "mpeg4", "libmp3lame", (16000, 44100, 48000), (1, 2)),
    ("a.avi", "mpeg4", "pcm_s16le", (8000, 44100, 96000, 192000), (1, 2, 4, 6, 8)),
    ("a.ts", "libx264", "aac", (44100, 48000), (1, 2)),
]


@pytest.mark.parametrize(("name", "video", "audio", "rates", "channels"), CONTAINERS)
def test_containers_keep_pitch_level_and_length(
    tmp_path, name, video, audio, rates, channels, write_container, sine
):
    """Every rate with two channels, every number of channels at one rate."""
    for rate, n_channels in [(rate, 2) for rate in rates] + [(rates[-1], n) for n in channels]:
        sound, level = staircase(sine, rate, n_channels)
        path = write_container(tmp_path / name, video, audio, sound, rate, n_pictures=25)
        samples = read_audio(path)
        assert len(samples) == pytest.approx(16000, abs=2100), (rate, n_channels)  # AAC's frames
        middle = samples[4000:12000]
        assert abs(loudest_hz(middle) - 1000) <= 2, (rate, n_channels)
        tolerance = 0.003 if audio in ("flac", "pcm_s16le") else 0.06  # LAME: 5 % less
        assert amplitude(middle) == pytest.approx(level, rel=tolerance), (rate, n_channels)


@pytest.mark.parametrize(("name", "audio"), [("a.mp4", "aac"), ("a.mka", "libopus")])
def test_eight_channels_each_in_a_plane_of_its_own(tmp_path, name, audio, write_container, sine):
    sound = np.zeros((48000, 8), np.float32)
    sound[:, 1] = sine(1.0, 48000)[:, 0]
    middle = read_audio(write_container(tmp_path / name, None, audio, sound, 48000))[4000:12000]
    assert abs(loudest_hz(middle) - 1000) <= 2
    assert amplitude(middle) == pytest.approx(0.5 / 8, rel=0.06)


@pytest.mark.parametrize(("name", "video", "audio"), [case[:3] for case in CONTAINERS])
def test_containers_keep_time(tmp_path, name, video, audio, write_container, sine):
    sound = beep_at(3.0, sine, rate=48000, channels=2)
    path = write_container(tmp_path / name, video, audio, sound, 48000, n_pictures=125)
    samples = read_audio(path)
    assert abs(len(samples) / 16000 - 5.0) < 0.06
    assert abs(onset_seconds(samples) - 3.0) < 0.03
    part = read_audio(path, 2.5, 4.5)
    assert len(part) == 32000
    assert abs(onset_seconds(part) - 0.5) < 0.03


@pytest.mark.parametrize("rate", [22050, 44100])
def test_aac_at_other_rates_keeps_time(tmp_path, rate, write_container, sine):
    path = write_container(tmp_path / "a.mp4", sound=beep_at(3.0, sine, rate=rate), rate=rate)
    assert abs(onset_seconds(read_audio(path)) - 3.0) < 0.03


def test_sound_that_starts_after_the_picture_stays_late(tmp_path, sine):
    """A sound track beginning at 1 s in the container is not moved to 0 s."""
    path = tmp_path / "late.mkv"
    with av.open(str(path), "w") as out:
        v = out.add_stream("libx264", rate=25)
        v.width, v.height, v.pix_fmt = 64, 48, "yuv420p"
        a = out.add_stream("flac", rate=16000, layout="mono")
        for i in range(75):
            frame = av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), format="rgb24")
            frame.pts, frame.time_base = i, fractions.Fraction(1, 25)
            out.mux(v.encode(frame))
        out.mux(v.encode(None))
        tone = (sine(2.0, 16000).T * 32767).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(tone, format="s16p", layout="mono")
        frame.rate, frame.pts, frame.time_base = 16000, 16000, fractions.Fraction(1, 16000)
        resampler = av.AudioResampler("s16", "mono", 16000, frame_size=1024)
        for part in [*resampler.resample(frame), *resampler.resample(None)]:
            out.mux(a.encode(part))
        out.mux(a.encode(None))
    samples = read_audio(path)
    assert abs(onset_seconds(samples) - 1.0) < 0.03
    assert not samples[:15000].any()


def write_two_tracks(path, sine, default):
    """Write 500 Hz and 2 kHz as two tracks; default: the number of the one so marked."""
    with av.open(str(path), "w") as out:
        tracks = [out.add_stream("flac", rate=16000, layout="mono") for _ in range(2)]
        if default is not None:
            tracks[default].disposition = av.stream.Disposition.default
        for track, hz in zip(tracks, (500.0, 2000.0), strict=True):
            tone = (sine(1.0, 16000, hz).T * 32767).astype(np.int16)
            frame = av.AudioFrame.from_ndarray(tone, format="s16", layout="mono")
            frame.rate, frame.pts, frame.time_base = 16000, 0, fractions.Fraction(1, 16000)
            resampler = av.AudioResampler("s16", "mono", 16000, frame_size=1024)
            for part in [*resampler.resample(frame), *resampler.resample(None)]:
                out.mux(track.encode(part))
            out.mux(track.encode(None))
    return path


@pytest.mark.parametrize(("default", "hz"), [(None, 500), (0, 500), (1, 2000)])
def test_of_several_tracks_the_default_one_is_read_or_the_first(tmp_path, default, hz, sine):
    path = write_two_tracks(tmp_path / "a.mkv", sine, default)
    assert abs(loudest_hz(read_audio(path)[4000:12000]) - hz) <= 2


def write_with_cover(path, sine):
    soundfile.write(path.with_suffix(".wav"), sine(1.0), 44100)
    with av.open(str(path.with_suffix(".wav"))) as source, av.open(str(path), "w") as out:
        a = out.add_stream("flac", rate=44100, layout="mono")
        cover = out.add_stream("mjpeg", rate=1)
        cover.width, cover.height, cover.pix_fmt = 64, 64, "yuvj420p"
        cover.disposition = av.stream.Disposition.attached_pic
        frame = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24")
        out.mux(cover.encode(frame.reformat(format="yuvj420p")))
        out.mux(cover.encode(None))
        for frame in source.decode(audio=0):
            out.mux(a.encode(frame))
        out.mux(a.encode(None))
    return path


def test_a_cover_image_is_no_picture_track(tmp_path, sine):
    path = write_with_cover(tmp_path / "song.flac", sine)
    with av.open(str(path)) as container:
        assert len(container.streams.video) == 1
    path = path.rename(tmp_path / "song.mkv")  # so that FFmpeg is asked first
    assert read_media(path).frames is None
    with pytest.raises(InputError, match="no picture track"):
        read_frames(path)


def test_a_movie_cut_off_in_the_middle_gives_what_is_left(tmp_path, sine, write_container):
    whole = write_container(tmp_path / "a.mkv", sound=sine(4.0), n_pictures=100).read_bytes()
    (tmp_path / "cut.mkv").write_bytes(whole[: len(whole) // 2])
    samples = read_audio(tmp_path / "cut.mkv")
    assert 0.5 < len(samples) / 16000 < 3.9
    assert abs(loudest_hz(samples) - 1000) < 3


def test_a_pause_in_the_time_stamps_is_silence_and_what_comes_twice_counts_once(tmp_path, sine):
    """Frame 5 comes 0.5 s late, and frame 10 where frame 9 is."""
    rate, n = 16000, 1024
    tone = (sine(2.0, rate).T * 32767).astype(np.int16)
    places = [i * n + 8000 * (i >= 5) - n * (i >= 10) for i in range(31)]
    with av.open(str(tmp_path / "a.mkv"), "w") as out:
        track = out.add_stream("pcm_s16le", rate=rate, layout="mono")
        for i, place in enumerate(places):
            part = np.ascontiguousarray(tone[:, i * n : (i + 1) * n])
            frame = av.AudioFrame.from_ndarray(part, format="s16", layout="mono")
            frame.rate, frame.pts, frame.time_base = rate, place, fractions.Fraction(1, rate)
            out.mux(track.encode(frame))
        out.mux(track.encode(None))
    samples = read_audio(tmp_path / "a.mkv")
    tone = tone[0] / 32768
    expected = np.concatenate(
        [tone[: 5 * n], np.zeros(8000), tone[5 * n : 10 * n], tone[11 * n : 31 * n]]
    )
    assert len(samples) == len(expected)
    assert np.abs(samples - expected).max() < 1e-6


@pytest.mark.parametrize(("suffix", "codec"), [("aac", "aac"), ("mp3", "libmp3lame")])
def test_a_rate_that_changes_inside_is_resampled_on(tmp_path, suffix, codec, write_container, sine):
    parts = [
        write_container(tmp_path / f"{rate}.{suffix}", None, codec, sine(1.0, rate), rate)
        for rate in (44100, 22050)
    ]
    both = tmp_path / f"both.{suffix}"
    both.write_bytes(b"".join(part.read_bytes() for part in parts))
    samples = read_audio(both)
    assert len(samples) == pytest.approx(sum(len(read_audio(part)) for part in parts), abs=2600)
    for begin in (4000, 22000):
        assert abs(loudest_hz(samples[begin : begin + 6000]) - 1000) <= 2
