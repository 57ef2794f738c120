"""What is known of a file before it is decoded: tracks, lengths, and clocks of all kinds."""

import math
import re

import av
import numpy as np
import pytest

from mmat.media import survey as surveys
from mmat.media.read import read_media
from mmat.media.survey import file_seconds, survey
from mmat.media.windows import MediaStream, WindowSpec
from tests.media.made_joined import made
from tests.media.made_media import write_media_file
from tests.media.made_tracks import FPS, later, one_colour, tone, write_tracks
from tests.media.sounds import loudest_hz, onset_seconds

GREY = one_colour([128], 12 * FPS)
WRAP_SECONDS = 2**33 / 90_000
X265 = {"x265-params": "log-level=none"}
WALL_SECONDS = 172_800.0  # as of a camera that stamps the seconds since it was switched on


def click_at(seconds, total):
    """Return silence with a short tone, 44.1 kHz."""
    sound = np.zeros(round(total * 44100), np.float32)
    at = round(seconds * 44100)
    sound[at : at + 4410] = tone(0.1)
    return sound


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts", "mov", "nut"])
@pytest.mark.parametrize("which", ["audio", "video", "all"])
def test_the_time_of_day_in_stamps_makes_no_film_of_days(tmp_path, suffix, which):
    def stamp(packet, kind, _):
        if which in (kind, "all"):
            later(packet, WALL_SECONDS)

    sound = click_at(7.0, 12.0)
    path = write_tracks(tmp_path / f"a.{suffix}", [sound], GREY, stamp=stamp)
    assert file_seconds(path) == pytest.approx(12.0, abs=0.2)
    media = read_media(path)
    assert media.problem == ""
    assert media.duration_seconds == pytest.approx(12.0, abs=0.2)
    assert onset_seconds(media.waveform) == pytest.approx(7.0, abs=0.05)
    assert len(media.frames) == 8
    with MediaStream(path, WindowSpec(5.0, 5.0, 4)) as stream:
        assert [round(window.start_seconds) for window in stream] in ([0, 5, 7], [0, 5, 8])
        assert stream.problem == ""


@pytest.mark.parametrize("begin", [-3.3, -11.0, -30.0, -3600.0])
def test_a_transport_streams_clock_wraps(tmp_path, begin):
    """After 26.5 hours stamps go on at 0. FFmpeg lets what comes shortly before begin below 0."""

    def stamp(packet, *_):
        later(packet, WRAP_SECONDS + begin)

    sound = click_at(2.0, 12.0) + click_at(9.0, 12.0)
    path = tmp_path / "a.ts"
    write_tracks(path, [sound], GREY, stamp=stamp, container_options={"muxdelay": "0"})
    with av.open(str(path), options={"correct_ts_overflow": "0"}) as container:
        stamps = [packet.dts for packet in container.demux(audio=0) if packet.dts is not None]
        assert (min(np.diff(stamps)) < -(2**32)) == (begin > -12.0)
    media = read_media(path)
    assert media.problem == "" and file_seconds(path) == pytest.approx(12.0, abs=0.2)
    assert onset_seconds(media.waveform[: 5 * 16000]) == pytest.approx(2.0, abs=0.06)
    assert onset_seconds(media.waveform[5 * 16000 :]) == pytest.approx(4.0, abs=0.06)
    part = read_media(path, 8.5, 10.0).waveform
    assert onset_seconds(part) == pytest.approx(0.5, abs=0.06)


@pytest.mark.parametrize("suffix", ["flv", "mkv", "ts"])
def test_a_clock_may_begin_long_before_zero(tmp_path, suffix):
    def stamp(packet, *_):
        later(packet, -3600.0)

    path = tmp_path / f"a.{suffix}"
    options = {"avoid_negative_ts": "disabled"}
    write_tracks(path, [click_at(7.0, 12.0)], GREY, stamp=stamp, options=options)
    media = read_media(path)
    assert media.problem == "" and file_seconds(path) == pytest.approx(12.0, abs=0.2)
    assert onset_seconds(media.waveform) == pytest.approx(7.0, abs=0.06)
    assert onset_seconds(read_media(path, 6.0, 8.0).waveform) == pytest.approx(1.0, abs=0.06)


@pytest.mark.parametrize("hours", [9.0, 300.0])
def test_a_header_that_promises_hours_is_not_believed(tmp_path, hours):
    path = tmp_path / "a.flv"
    write_tracks(path, [click_at(7.0, 12.0)], GREY, codec="aac")
    data = bytearray(path.read_bytes())
    at = data.index(b"duration\0") + 9
    data[at : at + 8] = np.array(hours * 3600, ">f8").tobytes()
    path.write_bytes(data)
    look = survey(path)
    assert look.seconds == pytest.approx(12.0, abs=0.2)
    assert (
        look.missing()
        == f"it ends at {look.seen_seconds:.1f} s of the {hours * 3600:.1f} s "
        + ("that it promises")
    )
    assert file_seconds(path) == pytest.approx(12.0, abs=0.2)
    assert read_media(path).duration_seconds == pytest.approx(12.0, abs=0.2)


@pytest.mark.parametrize("suffix", ["mkv", "mp4", "ts"])
def test_the_first_track_with_sound_is_read(tmp_path, suffix):
    silence = np.zeros(3 * 44100, np.float32)
    loud, louder = tone(3.0, 500.0), tone(3.0, 2000.0)
    for sounds, number, hz, said in [
        ([loud, louder], 0, 500, ""),
        ([silence, loud], 1, 500, "the first of 2 sound tracks is silent: track 2 is read"),
        ([silence, silence, louder], 2, 2000, "the first of 3 sound tracks is silent: track 3"),
        ([silence, silence], 0, None, ""),
        ([loud, silence], 0, 500, ""),
    ]:
        path = write_tracks(tmp_path / f"a.{suffix}", sounds)
        look = survey(path)
        media = read_media(path, n_frames=0)
        assert look.sound_track == number
        assert media.problem.startswith(said) and bool(media.problem) == bool(said)
        if hz is None:
            assert np.abs(media.waveform).max() < 1e-3
        else:
            assert abs(loudest_hz(media.waveform[8000:40000]) - hz) <= 2
        with MediaStream(path, WindowSpec(n_frames=0)) as stream:
            (window,) = stream
            np.testing.assert_array_equal(window.media.waveform, media.waveform)
            assert stream.problem == media.problem


def test_the_default_track_is_the_first(tmp_path):
    silence, low, high = np.zeros(3 * 44100, np.float32), tone(3.0, 500.0), tone(3.0, 2000.0)
    path = tmp_path / "a.mkv"
    for sounds, default, hz in [([low, high], 1, 2000), ([low, silence], 1, 500)]:
        write_tracks(path, sounds, default=default)
        media = read_media(path, n_frames=0)
        assert abs(loudest_hz(media.waveform[8000:40000]) - hz) <= 2
        assert bool(media.problem) == (hz == 500)


def test_a_loud_first_track_is_not_decoded_to_its_end(tmp_path, monkeypatch):
    """The look for silence ends at the first sound, and a single track needs none."""
    decoded = []
    samples_of = surveys.samples_of
    monkeypatch.setattr(
        surveys, "samples_of", lambda frame: decoded.append(frame.samples) or samples_of(frame)
    )
    write_tracks(tmp_path / "two.mkv", [tone(20.0), tone(20.0)])
    survey(tmp_path / "two.mkv")
    assert 0 < sum(decoded) < 44100
    decoded.clear()
    write_tracks(tmp_path / "one.mkv", [tone(20.0)])
    survey(tmp_path / "one.mkv")
    assert not decoded


@pytest.mark.parametrize("suffix", ["mkv", "ts", "mp4", "flv"])
def test_for_a_range_one_looks_no_further(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    write_tracks(path, [tone(12.0)], GREY)
    whole, early, late = survey(path), survey(path, 4.0), survey(path, 11.0)
    assert whole.reached_end and late.reached_end and not early.reached_end
    assert whole.seen_seconds == late.seen_seconds == pytest.approx(12.0, abs=0.2)
    assert 4.0 <= early.seen_seconds < 8.0
    assert early.missing() == whole.missing() == ""
    if suffix != "ts":  # the header says it
        assert early.seconds == whole.seconds == pytest.approx(12.0, abs=0.2)
    cut = path.read_bytes()[: path.stat().st_size * 3 // 4]
    if suffix in ("mkv", "flv"):
        path.write_bytes(cut)
        assert survey(path, 3.0).missing(3.0) == ""
        look = survey(path, 11.9)
        assert look.missing(11.9) == look.missing() != ""
        assert look.missing(look.seen_seconds - 0.5) == ""


@pytest.mark.parametrize(
    "name", ["s16.wav", "a.flac", "xing.mp3", "vorbis.ogg", "h264.mp4", "a.rm"]
)
def test_sound_and_its_length_agree(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(made(name))
    look = survey(path)
    assert look.is_plain and look.notes == ()
    assert look.sound_seconds == pytest.approx(3.0, abs=0.06)
    assert look.sound_seconds <= look.seconds


def test_what_is_no_media_has_no_length(tmp_path):
    (tmp_path / "notes.mp4").write_text("Dear diary,\n" * 99)
    (tmp_path / "empty.wav").touch()
    for name in ("notes.mp4", "empty.wav", "absent.mp3", "."):
        assert math.isnan(file_seconds(tmp_path / name))


@pytest.mark.parametrize("suffix", ["ts", "mkv", "mp4"])
@pytest.mark.parametrize("which", ["audio", "video"])
def test_one_wrong_time_of_showing_makes_nothing_longer(tmp_path, suffix, which):
    """A packet is decoded in its turn, but said to be shown eleven hours later."""

    def stamp(packet, kind, number):
        if kind == which and number == 30:
            packet.pts += round(40_000 / packet.time_base)

    path = tmp_path / f"a.{suffix}"
    write_tracks(path, [click_at(7.0, 12.0)], GREY, stamp=stamp)
    assert file_seconds(path) == pytest.approx(12.0, abs=0.6)
    media = read_media(path)
    assert len(media.waveform) / 16000 == pytest.approx(12.0, abs=0.1)
    assert onset_seconds(media.waveform) == pytest.approx(7.0, abs=0.06)
    with MediaStream(path, WindowSpec(4.0, 4.0, 2)) as stream:
        assert len(list(stream)) <= 4


@pytest.mark.parametrize(("name", "codec"), [("a.h264", "libx264"), ("a.hevc", "libx265")])
def test_pictures_without_any_stamps_last_as_long_as_they_are_many(tmp_path, name, codec):
    """As of cameras that write the bare stream of their encoder."""
    path = write_media_file(
        tmp_path / name, codec, None, size=(96, 64), options=X265 if codec == "libx265" else {}
    )
    with av.open(str(path)) as container:
        assert {packet.pts for packet in container.demux()} == {None}
    assert file_seconds(path) == pytest.approx(2.0, abs=0.1)
    media = read_media(path, n_frames=5)
    assert media.duration_seconds == pytest.approx(2.0, abs=0.1)
    shades = media.frames.mean(axis=(1, 2, 3))
    assert shades == pytest.approx(5 * np.array([5, 15, 25, 35, 45]), abs=12)
    late = read_media(path, 1.0, 2.0, n_frames=1).frames
    assert late.mean() == pytest.approx(5 * 37, abs=12)
    with MediaStream(path, WindowSpec(1.0, 1.0, 2)) as stream:
        assert len(list(stream)) == 2


OTHER_PIDS = {"mpegts_start_pid": "0x200"}
OTHER_PROGRAM = OTHER_PIDS | {"mpegts_service_id": "7", "mpegts_pmt_start_pid": "0x1100"}


@pytest.mark.parametrize(
    "options", [{}, OTHER_PIDS, OTHER_PROGRAM], ids=["same", "pids", "program"]
)
@pytest.mark.parametrize("what", ["sound", "pictures", "both"])
def test_tracks_that_begin_behind_the_others_are_read_or_named(tmp_path, options, what):
    """Transport streams of two senders, joined: the second one's tracks may have other numbers."""
    sounds = [] if what == "pictures" else [tone(12.0)]
    pictures = None if what == "sound" else GREY
    one = write_tracks(tmp_path / "one.ts", sounds, pictures).read_bytes()
    other = write_tracks(tmp_path / "other.ts", sounds, pictures, options=options).read_bytes()
    path = tmp_path / "a.ts"
    path.write_bytes(one + other)
    media = read_media(path)
    if not options:
        assert media.problem == "" and media.duration_seconds == pytest.approx(24.0, abs=0.3)
        return
    assert media.duration_seconds == pytest.approx(12.0, abs=0.3)
    said = re.fullmatch(
        r"behind ([\d.]+) s there are about ([\d.]+) s on tracks that begin there; they .* read",
        media.problem,
    )
    assert [float(number) for number in said.groups()] == pytest.approx([12.0, 12.0], abs=0.7)
    assert read_media(path, 0.0, 5.0).problem == ""


def test_a_second_language_begins_beside_the_first(tmp_path):
    path = write_tracks(tmp_path / "a.ts", [tone(12.0), tone(8.0, 500.0)], GREY)
    assert read_media(path).problem == ""
