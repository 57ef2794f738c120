"""What is taken from a folder: files that FFmpeg wrote are read, others are counted and named."""

import os
import shutil
from fractions import Fraction

import av
import numpy as np
import pytest

from mmat.media.folder import (
    FILM_SUFFIXES,
    MEDIA_SUFFIXES,
    SOUND_SUFFIXES,
    files_in,
    kinds_line,
    left_out_line,
    suffix_kind,
)
from mmat.media.read import read_media

SECONDS = 2.0
RATE_HZ = 48000
SOUNDS = {  # how FFmpeg writes what its suffixes stand for: format, codec, rate in Hz
    ("wav", "pcm_s16le", RATE_HZ): ".wav .wave .bwf .rf64",
    ("w64", "pcm_s16le", RATE_HZ): ".w64",
    ("aiff", "pcm_s16be", RATE_HZ): ".aif .aiff .aifc",
    ("au", "pcm_s16be", RATE_HZ): ".au .snd",
    ("caf", "alac", RATE_HZ): ".caf",
    ("flac", "flac", RATE_HZ): ".flac",
    ("ogg", "flac", RATE_HZ): ".ogg .oga .spx",
    ("opus", "libopus", RATE_HZ): ".opus",
    ("mp3", "libmp3lame", RATE_HZ): ".mp3 .mpga",
    ("mp2", "mp2", RATE_HZ): ".mp2 .mpa .m2a",
    ("ipod", "aac", RATE_HZ): ".m4a .m4b .m4r .isma",
    ("adts", "aac", RATE_HZ): ".aac .adts",
    ("webm", "libopus", RATE_HZ): ".weba",
    ("matroska", "flac", RATE_HZ): ".mka",
    ("asf", "wmav2", RATE_HZ): ".wma",
    ("amr", "libopencore_amrnb", 8000): ".amr",
    ("3gp", "aac", RATE_HZ): ".3ga",
    ("wv", "wavpack", RATE_HZ): ".wv",
    ("tta", "tta", RATE_HZ): ".tta",
    ("ac3", "ac3", RATE_HZ): ".ac3",
    ("eac3", "eac3", RATE_HZ): ".eac3 .ec3",
    ("rm", "ac3", RATE_HZ): ".ra",
    ("ircam", "pcm_s16le", RATE_HZ): ".ircam .sf",
    ("sox", "pcm_s32le", RATE_HZ): ".sox",
    ("voc", "pcm_s16le", RATE_HZ): ".voc",
}
FILMS = {  # format, codec of the pictures, codec of the sound
    ("mp4", "libx264", "aac"): ".mp4 .m4v .ismv .mj2",
    ("mov", "libx264", "aac"): ".mov .qt",
    ("3gp", "libx264", "aac"): ".3gp",
    ("3g2", "libx264", "aac"): ".3g2",
    ("f4v", "libx264", "aac"): ".f4v",
    ("webm", "libvpx", "libopus"): ".webm",
    ("matroska", "libx264", "aac"): ".mkv .mk3d",
    ("ogg", "libvpx", "flac"): ".ogv .ogm .ogx",
    ("avi", "mpeg4", "libmp3lame"): ".avi .divx .xvid",
    ("mpegts", "libx264", "ac3"): ".ts .mts .m2ts .m2t .tp .trp",
    ("mpeg", "mpeg1video", "mp2"): ".mpg .mpeg .mpe",
    ("vob", "mpeg2video", "mp2"): ".vob .m2p .mod .tod",
    ("mpeg2video", "mpeg2video", None): ".m2v",
    ("flv", "flv1", "libmp3lame"): ".flv",
    ("asf", "mpeg4", "libmp3lame"): ".wmv .asf .dvr-ms",
    ("mxf", "mpeg2video", "pcm_s16le"): ".mxf",
    ("nut", "libx264", "aac"): ".nut",
    ("rm", "rv20", "ac3"): ".rm .rmvb",
    ("ivf", "libvpx", None): ".ivf",
    ("dv", "dvvideo", "pcm_s16le"): ".dv",
}
# FFmpeg cannot write these; what stands for them in a folder is read by libsndfile or FFmpeg.
NOT_WRITTEN = {".mp1", ".awb", ".ape", ".dts", ".dtshd", ".mpc", ".sph", ".nist"}


def write_media(path, container, video, audio, rate=RATE_HZ):
    """Write two seconds of a sine, of grey pictures, or of both."""
    with av.open(str(path), "w", format=container) as out:
        pictures = out.add_stream(video, rate=25) if video else None
        layout = "stereo" if container == "dv" else "mono"  # DV knows no other
        sound = out.add_stream(audio, rate=rate, layout=layout) if audio else None
        if pictures:
            width, height = (720, 576) if container == "dv" else (352, 288)
            pictures.width, pictures.height, pictures.pix_fmt = width, height, "yuv420p"
            for i in range(round(25 * SECONDS)):
                grey = np.full((height, width, 3), 2 * i, np.uint8)
                frame = av.VideoFrame.from_ndarray(grey, format="rgb24")
                frame.pts, frame.time_base = i, Fraction(1, 25)
                out.mux(pictures.encode(frame))
            out.mux(pictures.encode(None))
        if sound:
            for frame in sine_frames(sound.codec_context, rate, layout):
                out.mux(sound.encode(frame))
            out.mux(sound.encode(None))


def sine_frames(codec, rate, layout):
    """Yield a sine of 440 Hz in the codec's own sample format and frame length."""
    codec.bit_rate = 128_000 if rate > 8000 else 12_200
    if not codec.is_open:
        codec.open()
    wave = 0.5 * np.sin(2 * np.pi * 440 * np.arange(round(SECONDS * rate)) / rate)
    whole = av.AudioFrame.from_ndarray(np.float32(wave[None]), format="flt", layout="mono")
    whole.rate, whole.pts, whole.time_base = rate, 0, Fraction(1, rate)
    fifo, n_written = av.AudioFifo(), 0
    for frame in av.AudioResampler(codec.format.name, layout, rate).resample(whole):
        fifo.write(frame)
    while fifo.samples:
        frame = fifo.read(min(codec.frame_size or 1024, fifo.samples))
        frame.pts, frame.rate, frame.time_base = n_written, rate, Fraction(1, rate)
        n_written += frame.samples
        yield frame


@pytest.mark.parametrize("form", SOUNDS, ids=lambda form: form[0])
def test_sounds_are_taken_and_read(form, tmp_path):
    container, codec, rate = form
    write_media(tmp_path / "sound", container, None, codec, rate)
    for suffix in SOUNDS[form].split():
        path = shutil.copy(tmp_path / "sound", tmp_path / f"a{suffix.upper()}")
        waveform = read_media(path, n_frames=0).waveform
        assert len(waveform) / 16000 == pytest.approx(SECONDS, abs=0.1)
        assert waveform[8000:24000].std() == pytest.approx(0.5 / 2**0.5, rel=0.2)
        assert str(path) in files_in(tmp_path).media


@pytest.mark.parametrize("form", FILMS, ids=lambda form: f"{form[0]} {form[1]}")
def test_films_are_taken_and_read(form, tmp_path):
    write_media(tmp_path / "film", *form)
    for suffix in FILMS[form].split():
        path = shutil.copy(tmp_path / "film", tmp_path / f"a{suffix.upper()}")
        media = read_media(path, n_frames=2)
        assert media.frames.shape[0] == 2
        assert (media.waveform is not None) == bool(form[2])
        if form[2]:
            assert len(media.waveform) / 16000 == pytest.approx(SECONDS, abs=0.1)
        assert str(path) in files_in(tmp_path).media


def test_every_suffix_is_tried_above():
    tried = {suffix for names in [*SOUNDS.values(), *FILMS.values()] for suffix in names.split()}
    assert tried | NOT_WRITTEN == MEDIA_SUFFIXES and not tried & NOT_WRITTEN
    assert not FILM_SUFFIXES & SOUND_SUFFIXES


def test_media_are_sorted_and_the_rest_is_counted(tmp_path):
    for name in (
        "b/00001.MTS",
        "b/a.amr",
        "a.WAV",
        "c.pdf",
        "b/c.PDF",
        "notes.txt",
        "film.mp4.part",
        ".DS_Store",
        "._a.WAV",
        ".cache/x.wav",
        "README",
        "Mr. and Mrs. Bear",
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found = files_in(tmp_path)
    assert [os.path.relpath(path, tmp_path) for path in found.media] == [
        "a.WAV",
        "b/00001.MTS",
        "b/a.amr",
    ]
    assert left_out_line(found.left_out) == (
        "9 files left out: 3 hidden, 2 .pdf, 2 without a suffix, 1 .part, 1 .txt"
    )
    assert files_in(str(tmp_path)) == found


def test_only_the_commonest_suffixes_are_named():
    kinds = {f".{letter}": 10 - i for i, letter in enumerate("abcdefgh")}
    assert kinds_line(kinds) == "10 .a, 9 .b, 8 .c, 7 .d, 6 .e, 5 .f, 7 others"
    assert left_out_line({".a": 1}) == "1 file left out: 1 .a"
    assert left_out_line({}) == ""


def test_links_are_followed_each_folder_once_and_broken_ones_stay(tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "disk" / "a.wav").touch()
    (tmp_path / "media").mkdir()
    os.symlink(tmp_path / "disk", tmp_path / "media" / "x")
    os.symlink(tmp_path / "media", tmp_path / "disk" / "loop")
    os.symlink(tmp_path / "gone.wav", tmp_path / "media" / "b.wav")
    media, left_out = files_in(tmp_path / "media")
    assert [os.path.relpath(path, tmp_path / "media") for path in media] == ["b.wav", "x/a.wav"]
    assert not left_out


def test_a_suffix_is_short_and_of_letters():
    assert suffix_kind("a.dvr-ms") == ".dvr-ms"
    for name in ("a.b c", "a.\n", "a." + "x" * 13, "a."):
        assert suffix_kind(name) == "without a suffix"
