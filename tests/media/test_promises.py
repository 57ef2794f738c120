"""What headers promise: WAV files of all recorders and accidents, MP3 with and without counts."""

import itertools
import re
import struct

import numpy as np
import pytest
import soundfile

from mmat.files import InputError
from mmat.media.containers import NotReadable, open_container
from mmat.media.promises import promise_of
from mmat.media.read import SAMPLE_RATE_HZ, read_media
from mmat.media.survey import survey
from tests.media.made_joined import FORMATS, made
from tests.media.made_media import make_sine

RATE_HZ = 16000
SECONDS = 3.0
LIST = b"LIST" + struct.pack("<I", 26) + b"INFOISFT" + struct.pack("<I", 14) + b"Lavf61.7.100\0\0"


UNREADABLE = {"NMS_ADPCM_16", "NMS_ADPCM_24", "NMS_ADPCM_32", "DWVW_12", "DWVW_16", "DWVW_24"}
COMPRESSED = {"GSM610", "IMA_ADPCM", "ALAC_16", "ALAC_20", "ALAC_24", "ALAC_32"}


def wav(data_bytes=None, riff_bytes=None, *, channels=1, before=b"", behind=b"", cut=0, bits=16):
    """Return a WAV file of a sine; data_bytes, riff_bytes: what its header says, else the truth."""
    sound = make_sine(SECONDS, RATE_HZ, channels=channels)
    whole = {16: np.int16(sound * 32767), 8: np.uint8(sound * 127 + 128)}[bits].tobytes()
    width = channels * bits // 8
    fmt = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, channels, RATE_HZ, RATE_HZ * width, width, bits)
    data = struct.pack("<4sI", b"data", len(whole) if data_bytes is None else data_bytes) + whole
    body = b"WAVE" + fmt + before + (data[:-cut] if cut else data) + behind
    return struct.pack("<4sI", b"RIFF", len(body) if riff_bytes is None else riff_bytes) + body


N_BYTES = round(SECONDS * RATE_HZ * 2)
# What the file is, the seconds that are read, and what is said of it: a part of it, or nothing.
WAVS = {
    "whole": (wav(), 3.0, ""),
    "streamed, of unknown size": (wav(0xFFFFFFFF, 0xFFFFFFFF), 3.0, ""),
    "streamed by sox": (wav(0x7FFFF000, 0x7FFFF024), 3.0, ""),
    "streamed and cut": (wav(0xFFFFFFFF, 0xFFFFFFFF, cut=32000), 2.0, ""),
    "a recorder that crashed": (wav(0, 0), 3.0, ""),
    "a recorder that crashed, with the size of the head": (wav(0, 36), 3.0, ""),
    "tags before the data": (wav(before=LIST), 3.0, ""),
    "tags behind the data": (wav(behind=LIST), 3.0, ""),
    "a few bytes behind the data": (wav(behind=bytes(7)), 3.0, ""),
    "too small": (
        wav(N_BYTES // 2),
        1.5,
        "the header counts too little: bytes for 1.5 s are not read",
    ),
    "too small, with tags behind": (
        wav(N_BYTES // 2, behind=LIST),
        1.5,
        "the header counts too little: bytes for 1.5 s are not read",
    ),
    "too large, with tags behind": (
        wav(2 * N_BYTES, behind=LIST),
        3.0,
        "it ends at 3.0 s of the 6.0 s that it promises",
    ),
    "too large": (wav(2 * N_BYTES), 3.0, "it ends at 3.0 s of the 6.0 s that it promises"),
    "cut": (wav(cut=32000), 2.0, "it ends at 2.0 s of the 3.0 s that it promises"),
    "cut in the middle of a sample": (wav(cut=16001), 2.5, "it ends at 2.5 s of the 3.0 s"),
    "cut, 8 bits": (wav(bits=8, cut=16000), 2.0, "it ends at 2.0 s of the 3.0 s"),
    "cut, 5 channels": (wav(channels=5, cut=160_000), 2.0, "it ends at 2.0 s of the 3.0 s"),
    "an odd number of bytes": (wav(bits=8, data_bytes=47999), 3.0, ""),
    "an odd number of bytes, and tags": (
        wav(bits=8, data_bytes=47999, behind=LIST),
        3.0,
        "",
    ),
    "joined": (wav() + wav(), 3.0, "the header counts too little: bytes for 3.0 s are not read"),
    "joined to one with tags": (wav(behind=LIST) + wav(), 3.0, "bytes for 3.0 s are not read"),
    "thrice": (wav() * 3, 3.0, "bytes for 6.0 s are not read"),
}


@pytest.mark.parametrize("name", WAVS)
def test_wav_headers(tmp_path, name):
    data, seconds, said = WAVS[name]
    path = tmp_path / "a.wav"
    path.write_bytes(data)
    media = read_media(path)
    assert len(media.waveform) / RATE_HZ == pytest.approx(seconds, abs=0.01)
    assert said in media.problem and bool(said) == bool(media.problem)
    # A range that does not reach the end cannot miss anything of it.
    if "promises" in said or not said:
        assert not read_media(path, 0.0, 1.0).problem


@pytest.mark.parametrize("place", [12, 16, 20, 24, 28, 32, 36, 40, 44])
@pytest.mark.parametrize("number", [0, 1, 0x7FFFFFFF, 0xFFFFFFFF])
def test_any_four_bytes_of_the_header_may_be_anything(tmp_path, place, number):
    path = tmp_path / "a.wav"
    data = wav()
    path.write_bytes(data[:place] + struct.pack("<I", number) + data[place + 4 :])
    try:
        look = survey(path)
        media = read_media(path)
    except (NotReadable, InputError) as error:
        assert "\n" not in str(error)
        return
    assert look.promise.seconds is None or look.promise.seconds >= 0
    assert 0 <= look.promise.unread_seconds <= len(data)
    assert len(media.waveform) <= len(data) * SAMPLE_RATE_HZ  # at 1 Hz, at most


def id3(n_bytes):
    """Return a tag of an MP3 file, its size in four times seven bits."""
    sevens = [n_bytes >> shift & 127 for shift in (21, 14, 7, 0)]
    return b"ID3\4\0\0" + bytes(sevens) + bytes(n_bytes)


def promised_seconds(path):
    with open_container(path) as container:
        seconds = container.duration and container.duration / 1e6
        return promise_of(path, container, seconds).seconds


@pytest.mark.parametrize("tag_bytes", [None, 0, 300, 70_000])
def test_mp3_promises_a_length_where_it_counts_its_frames(tmp_path, tag_bytes):
    tag = b"" if tag_bytes is None else id3(tag_bytes)
    for name, counts in (("xing.mp3", True), ("plain.mp3", False)):
        data = made(name)
        begin = data.index(b"\xff\xfb")  # behind the tag that the muxer writes
        path = tmp_path / name
        path.write_bytes(tag + data[begin:])
        assert promised_seconds(path) == (pytest.approx(3.0, abs=0.06) if counts else None)
        cut = path.read_bytes()[: len(tag) + (len(data) - begin) * 2 // 3]
        path.write_bytes(cut)
        problem = read_media(path).problem
        assert ("of the 3.0 s that it promises" in problem) == counts, problem


# Formats whose header says how long they are, and that FFmpeg opens without their end.
WITH_PROMISE = {"wav", "w64", "aiff", "au", "flac", "wv", "tta", "matroska", "webm", "avi", "flv"}
WITH_PROMISE |= {"asf", "mxf", "rm"}
PROMISING = [name for name, row in FORMATS.items() if row.muxer in WITH_PROMISE]


@pytest.mark.parametrize("name", [*PROMISING, "s16.caf", "xing.mp3"])
def test_cut_files_miss_what_their_headers_promise(tmp_path, name):
    path = tmp_path / name
    whole = made(name)
    path.write_bytes(whole)
    assert read_media(path, n_frames=2).problem == ""
    for share in (0.4, 0.7):
        path.write_bytes(whole[: round(len(whole) * share)])
        media = read_media(path, n_frames=2)
        (said,) = re.findall(r"it ends at ([\d.]+) s of the (3\.[\d]) s that it", media.problem)
        damaged = re.findall(r"packets, ([\d.]+) s of sound, cannot be decoded", media.problem)
        end = media.duration_seconds + sum(map(float, damaged))
        assert float(said[0]) == pytest.approx(end, abs=0.25), media.problem
        # The rest is bytes that are not there; a bit of it lies between sound and pictures.
        assert float(said[0]) == pytest.approx(3.0 * share, abs=1.0)
        assert float(said[1]) == pytest.approx(3.1, abs=0.11)
        assert not read_media(path, 0.0, 0.5, n_frames=2).problem


@pytest.mark.parametrize("name", ["a.aac", "a.ac3", "a.amr", "vorbis.ogg", "mp2.ts", "plain.mp3"])
def test_streams_promise_nothing(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(made(name))
    assert promised_seconds(path) is None


@pytest.mark.parametrize("form", ["WAV", "WAVEX", "RF64", "W64", "AIFF", "AU", "CAF", "FLAC"])
def test_whole_files_keep_their_promise_and_cut_ones_do_not(tmp_path, form):
    """Of all kinds of samples that libsndfile writes, of odd lengths."""
    kinds = [kind for kind in soundfile.available_subtypes(form) if kind not in UNREADABLE]
    path = tmp_path / f"a.{form.lower()}"
    for kind, n_samples in itertools.product(kinds, (48001, 40000)):
        try:
            sound = make_sine(n_samples / RATE_HZ, RATE_HZ)
            soundfile.write(path, sound, RATE_HZ, subtype=kind, format=form)
        except soundfile.LibsndfileError:  # it writes some at other rates alone
            continue
        media = read_media(path)
        assert media.problem == "", (kind, n_samples)
        assert len(media.waveform) == pytest.approx(n_samples, abs=1500), kind
        path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
        if form not in ("AIFF", "CAF") or kind not in COMPRESSED:
            assert "it ends at " in read_media(path).problem, (kind, n_samples)
