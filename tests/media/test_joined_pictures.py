"""Pictures of joined files come from the right part; a leap of hours costs seconds of work."""

import itertools

import numpy as np
import pytest

from mmat.media.pictures import PictureStream, Size
from mmat.media.read import read_frames, read_media
from mmat.media.survey import survey
from mmat.media.windows import MediaStream, WindowSpec
from tests.media.made_tracks import FPS, later, one_colour, tone, write_tracks

COLOURS = {"red": (220, 30, 30), "green": (30, 180, 30), "blue": (40, 40, 220)}
PART_SECONDS = 4.0


def colour_of(picture):
    mean = picture.reshape(-1, 3).mean(axis=0)
    return min(COLOURS, key=lambda name: np.abs(np.array(COLOURS[name]) - mean).sum())


def write_part(path, name, with_sound=True, **kind):
    pictures = one_colour([COLOURS[name]], round(PART_SECONDS * FPS))
    return write_tracks(path, [tone(PART_SECONDS)] if with_sound else [], pictures, **kind)


def write_joined(path, with_sound=True):
    """Write three parts of a colour each, one after the other, as segments are joined by `cat`."""
    parts = [write_part(path, name, with_sound).read_bytes() for name in COLOURS]
    path.write_bytes(b"".join(parts))
    return path


def expected_colours(seconds):
    """Return the colours of times, of none that is near a seam."""
    names = list(COLOURS)
    far = [abs(s - round(s / PART_SECONDS) * PART_SECONDS) > 0.3 or s < 1 for s in seconds]
    return [
        names[int(s // PART_SECONDS)] if ok else None for s, ok in zip(seconds, far, strict=True)
    ]


def agree(pictures, seconds):
    expected = expected_colours(seconds)
    return [colour_of(p) for p, e in zip(pictures, expected, strict=True) if e] == [
        name for name in expected if name
    ]


@pytest.mark.parametrize("with_sound", [True, False])
def test_pictures_come_from_their_part(tmp_path, with_sound):
    path = write_joined(tmp_path / "a.ts", with_sound)
    seconds = 3 * PART_SECONDS
    for n_frames in (3, 8, 24):
        times = (np.arange(n_frames) + 0.5) * seconds / n_frames
        assert agree(read_frames(path, n_frames), times), n_frames
    with MediaStream(path, WindowSpec(2.0, 2.0, 4)) as stream:
        windows = list(stream)
    assert len(windows) in (6, 7)
    for window in windows:
        assert agree(window.media.frames, window.picture_seconds)


@pytest.mark.parametrize("name", ["plain", "joined"])
def test_a_range_holds_the_pictures_of_its_times(tmp_path, name):
    if name == "joined":
        path = write_joined(tmp_path / "a.ts")
    else:
        pictures = one_colour(COLOURS.values(), round(PART_SECONDS * FPS))
        path = write_tracks(tmp_path / "a.ts", [tone(3 * PART_SECONDS)], pictures)
    whole = read_media(path).waveform
    for begin, end in itertools.combinations([0.0, 1.7, 3.0, 5.1, 7.7, 9.3, 12.0], 2):
        media = read_media(path, begin, end, n_frames=5)
        times = begin + (np.arange(5) + 0.5) * (end - begin) / 5
        assert agree(media.frames, times), (begin, end)
        part = whole[round(begin * 16000) : round(end * 16000)]
        assert abs(len(part) - len(media.waveform)) <= 32
        assert media.duration_seconds == pytest.approx(end - begin, abs=0.05)


@pytest.mark.parametrize("suffix", ["ts", "mkv", "mp4", "flv"])
@pytest.mark.parametrize("hours", [3.0, 11.0, 30.0])
@pytest.mark.parametrize("which", ["video", "all"])
def test_a_leap_of_hours_costs_seconds_of_work(tmp_path, suffix, hours, which):
    """Windows and pictures are as many as there are packets for, wherever their stamps lie."""
    n_pictures = 12 * FPS

    def stamp(packet, kind, number):
        late = number >= n_pictures // 2 if kind == "video" else number >= 258  # from 6 s on
        if which in (kind, "all") and late:
            later(packet, hours * 3600)

    path = tmp_path / f"a.{suffix}"
    pictures = one_colour(COLOURS.values(), n_pictures // 3)
    # In the file packets still lie where they were recorded.
    write_tracks(path, [tone(12.0)], pictures, stamp=stamp, options={"max_interleave_delta": "1"})
    # FFmpeg gives an MP4's packets by their stamps: what leapt comes behind all other tracks.
    seconds = 18.0 if (suffix, which) == ("mp4", "video") else 12.0
    assert survey(path).seconds == pytest.approx(seconds, abs=0.6)
    with MediaStream(path, WindowSpec(2.0, 2.0, 4)) as stream:
        windows = list(stream)
    assert len(windows) - seconds / 2 in (0, 1)
    media = read_media(path, n_frames=6)
    assert media.duration_seconds == pytest.approx(seconds, abs=0.6)
    assert stream.problem == media.problem != ""
    if seconds == 12.0:
        assert agree(media.frames, (np.arange(6) + 0.5) * media.duration_seconds / 6)
        for window in windows[:6]:
            assert agree(window.media.frames, window.picture_seconds), window.start_seconds


def test_a_stream_of_pictures_decodes_each_once(tmp_path):
    """In a joined file, which is read from the front: never more frames than packets."""
    path = write_joined(tmp_path / "a.ts", with_sound=False)
    stream = PictureStream(survey(path), 1.0, 4, Size())
    for second in range(1, 14):
        stream.read_until(second)
    pictures, times = stream.between(0.0, 12.0, 24)
    assert agree(pictures, times)
    assert stream.problem == "" and stream.seconds == pytest.approx(12.0, abs=0.3)
    number, _ = next(stream._shown._frames, (120, None))
    assert number == 120
    stream.close()
