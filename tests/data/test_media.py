"""Files are written with real codecs by the test, and read back: sound, times and pictures."""

import fractions
import time

import av
import numpy as np
import pytest
import soundfile

from mmat.data.media import read_audio, read_frames, read_media
from mmat.errors import InputError

SUBTYPES = [
    ("a.wav", "PCM_U8"),
    ("a.wav", "PCM_16"),
    ("a.wav", "PCM_24"),
    ("a.wav", "PCM_32"),
    ("a.wav", "FLOAT"),
    ("a.flac", "PCM_16"),
    ("a.flac", "PCM_24"),
    ("a.ogg", "VORBIS"),
    ("a.opus", "OPUS"),
    ("a.mp3", "MPEG_LAYER_III"),
]
CONTAINERS = [
    ("a.mp4", "libx264", "aac"),
    ("a.mov", "libx264", "aac"),
    ("a.mkv", "libx264", "flac"),
    ("a.mkv", "mpeg4", "libmp3lame"),
    ("a.webm", "libvpx-vp9", "libopus"),
    ("a.avi", "mpeg4", "pcm_s16le"),
    ("a.ts", "libx264", "aac"),
    ("a.m4a", None, "aac"),
    ("a.mka", None, "libopus"),
]


def loudest_hz(samples, rate=16000):
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return np.argmax(spectrum) * rate / len(samples)


def onset_seconds(samples, rate=16000):
    """Return when the level first passes half of its peak (in windows of 5 ms)."""
    width = rate // 200
    level = np.abs(samples[: len(samples) // width * width]).reshape(-1, width).max(axis=1)
    return np.argmax(level > level.max() / 2) * width / rate


def beep_at(seconds, sine, total=5.0, rate=44100, channels=1):
    """Silence with one second of 1 kHz."""
    sound = np.zeros((int(total * rate), channels), np.float32)
    first = int(seconds * rate)
    sound[first : first + rate] = sine(1.0, rate, channels=channels)
    return sound


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize(("name", "subtype"), SUBTYPES)
def test_audio_files_keep_pitch_level_and_length(tmp_path, name, subtype, channels, sine):
    rate = 48000 if subtype == "OPUS" else 44100
    sound, kind = sine(2.0, rate, channels=channels), None if subtype != "OPUS" else "OGG"
    soundfile.write(tmp_path / name, sound, rate, subtype=subtype, format=kind)
    samples = read_audio(tmp_path / name)
    assert samples.dtype == np.float32 and samples.ndim == 1
    assert abs(len(samples) - 32000) <= 0.03 * 16000
    middle = samples[8000:24000]
    assert abs(loudest_hz(middle) - 1000) < 2
    assert np.sqrt(np.mean(middle**2)) == pytest.approx(0.5 / np.sqrt(2), rel=0.03)


@pytest.mark.parametrize("rate", [8000, 16000, 22050, 44100, 48000, 96000, 192000])
def test_every_rate_comes_out_at_16_khz(tmp_path, rate, sine):
    soundfile.write(tmp_path / "a.wav", sine(1.0, rate), rate, subtype="PCM_16")
    samples = read_audio(tmp_path / "a.wav")
    assert len(samples) == 16000
    assert abs(loudest_hz(samples) - 1000) < 2


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


@pytest.mark.parametrize(("name", "video", "audio"), CONTAINERS)
def test_containers_keep_pitch_level_and_time(tmp_path, name, video, audio, write_container, sine):
    rate = 48000
    path = write_container(
        tmp_path / name,
        video,
        audio,
        beep_at(3.0, sine, rate=rate, channels=2),
        rate,
        n_pictures=125,
    )
    samples = read_audio(path)
    assert abs(len(samples) / 16000 - 5.0) < 0.06
    assert abs(onset_seconds(samples) - 3.0) < 0.03
    beep = samples[int(3.2 * 16000) : int(3.8 * 16000)]
    assert abs(loudest_hz(beep) - 1000) < 2
    assert np.sqrt(np.mean(beep**2)) == pytest.approx(0.5 / np.sqrt(2), rel=0.06)  # LAME: 5 % less
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


@pytest.mark.parametrize(("name", "video", "audio"), [c for c in CONTAINERS if c[1]])
def test_frames_are_those_of_the_asked_times(tmp_path, name, video, audio, sine, write_container):
    path = write_container(tmp_path / name, video, audio, sine(2.0, 48000), 48000, n_pictures=50)
    frames = read_frames(path, n_frames=5)
    assert frames.shape == (5, 48, 64, 3) and frames.dtype == np.uint8
    shown = frames.mean(axis=(1, 2, 3)) / 5  # the grey level is five times the picture's number
    assert shown == pytest.approx([5, 15, 25, 35, 45], abs=1.3)
    later = read_frames(path, n_frames=2, start_seconds=1.0, end_seconds=1.4)
    assert later.mean(axis=(1, 2, 3)) / 5 == pytest.approx([27, 32], abs=1.3)


def corner_picture(_):
    """Red in the upper left corner, black elsewhere."""
    picture = np.zeros((48, 96, 3), np.uint8)
    picture[:24, :24, 0] = 255
    return picture


@pytest.mark.parametrize(("rotation", "corner"), [(0, "ul"), (90, "ll"), (-90, "ur"), (180, "lr")])
def test_rotated_video_comes_out_upright(tmp_path, rotation, corner, write_container):
    path = write_container(
        tmp_path / "a.mp4", audio=None, picture=corner_picture, size=(96, 48), rotation=rotation
    )
    (frame,) = read_frames(path, n_frames=1)
    assert frame.shape == ((96, 48, 3) if rotation % 180 else (48, 96, 3))
    rows = {"u": slice(2, 22), "l": slice(-22, -2)}[corner[0]]
    columns = {"l": slice(2, 22), "r": slice(-22, -2)}[corner[1]]
    assert frame[rows, columns, 0].min() > 180
    assert frame[..., 0].mean() < 60


def test_wide_pixels_are_made_square(tmp_path, write_container):
    path = write_container(tmp_path / "a.mp4", audio=None, aspect=fractions.Fraction(2, 1))
    assert read_frames(path, 1).shape == (1, 48, 128, 3)


def test_large_pictures_are_scaled_down(tmp_path, write_container):
    path = write_container(tmp_path / "a.mp4", audio=None, size=(640, 360), n_pictures=5)
    assert read_frames(path, 2).shape == (2, 180, 320, 3)
    assert read_frames(path, 2, max_side_px=1000).shape == (2, 360, 640, 3)


def test_the_square_holds_the_whole_picture(tmp_path, write_container):
    def picture(_):
        wide = np.zeros((48, 96, 3), np.uint8)
        wide[:, :12], wide[:, -12:] = 200, 100
        return wide

    path = write_container(tmp_path / "a.mp4", audio=None, picture=picture, size=(96, 48))
    (frame,) = read_frames(path, 1, square_px=64)
    assert frame.shape == (64, 64, 3)
    assert frame[:, :6].mean() == pytest.approx(200, abs=8)
    assert frame[:, -6:].mean() == pytest.approx(100, abs=8)
    assert frame[:, 16:48].mean() < 5


def test_read_media_gives_both_or_says_what_is_missing(tmp_path, write_container):
    both = read_media(write_container(tmp_path / "both.mp4"), n_frames=3)
    assert len(both.frames) == 3
    assert both.duration_seconds == pytest.approx(2.0, abs=0.05)
    assert len(both.waveform) == pytest.approx(32000, abs=800)
    silent = read_media(write_container(tmp_path / "silent.mp4", audio=None))
    assert silent.waveform is None and len(silent.frames) == 8
    blind = read_media(write_container(tmp_path / "blind.mp4", video=None))
    assert blind.frames is None and len(blind.waveform) == pytest.approx(32000, abs=800)


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


def test_a_movie_cut_off_in_the_middle_gives_what_is_left(tmp_path, sine, write_container):
    whole = write_container(tmp_path / "a.mkv", sound=sine(4.0), n_pictures=100).read_bytes()
    (tmp_path / "cut.mkv").write_bytes(whole[: len(whole) // 2])
    samples = read_audio(tmp_path / "cut.mkv")
    assert 0.5 < len(samples) / 16000 < 3.9
    assert abs(loudest_hz(samples) - 1000) < 3


def test_ten_seconds_of_mp4_sound_are_read_fast(tmp_path, sine, write_container):
    path = write_container(tmp_path / "a.mp4", sound=sine(10.0, channels=2), n_pictures=250)
    read_audio(path)
    seconds = []
    for _ in range(5):
        begin = time.process_time()
        read_audio(path)
        seconds.append(time.process_time() - begin)
    assert min(seconds) < 0.06  # 17 ms on an idle core
