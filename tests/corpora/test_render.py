"""Rendered clips: tones and flat pictures in, and what comes out of the real codecs."""

import dataclasses

import numpy as np
import pytest
import soundfile
from PIL import Image

from mmat.corpora.compose import CLIP_SECONDS, ClipPlan, Picture, Sound, plan_clips
from mmat.corpora.render import (
    FRAMES_HZ,
    HEIGHT_PX,
    LONGEST_EVENT_SECONDS,
    NOMINAL_RMS,
    RATE_HZ,
    WIDTH_PX,
    render_clip,
    render_frames,
    render_sound,
)
from mmat.corpora.sources import read_sources
from mmat.files import InputError, data_list
from mmat.media.read import read_media

TONE_HZ = 1000.0
MOVE = (0.2, 0.5, 0.5, 0.8, 0.5, 0.5)


@pytest.fixture(scope="module")
def media(tmp_path_factory):
    """Recordings of tones, faint noise, and pictures of one colour: a file for each source id."""
    folder = tmp_path_factory.mktemp("sources")
    rng = np.random.default_rng(0)

    def recording(name, seconds, hz=None, rate=22050):
        time = np.arange(int(seconds * rate)) / rate
        samples = (
            rng.normal(0, 0.1, len(time)) if hz is None else 0.4 * np.sin(2 * np.pi * hz * time)
        )
        soundfile.write(folder / f"{name}.wav", samples, rate)
        return str(folder / f"{name}.wav")

    def picture(name, colour, size, alpha_box=None):
        image = Image.new("RGBA", size, colour if alpha_box is None else (0, 0, 0, 0))
        if alpha_box:
            image.paste(colour, alpha_box)
        image.save(folder / f"{name}.png")
        return str(folder / f"{name}.png")

    return {
        "short": recording("short", 0.8, TONE_HZ),
        "long": recording("long", 20.0, TONE_HZ),
        "hiss": recording("hiss", 1.5),
        "stereo": recording("stereo", 1.0, TONE_HZ, rate=48000),
        "green": picture("green", (0, 160, 0, 255), (500, 400)),
        "blue photograph": picture("blue", (0, 0, 200, 255), (400, 300)),
        "red cut-out": picture("red", (220, 0, 0, 255), (100, 100), (10, 10, 90, 90)),
    }


def make_plan(*sounds, picture=None, **changes):
    fields = {
        "id": "test-00000",
        "split": "test",
        "sounds": sounds or (make_sound(),),
        "noise": "hiss",
        "noise_excerpt": 0.3,
        "noise_db": -30.0,
        "picture": picture or Picture("scenery", "green", "", MOVE, MOVE),
        "has_audio": True,
        "has_video": True,
    }
    return ClipPlan(**fields | changes)


def make_sound(recording="short", onset=0.5, **changes):
    fields = {"label": "Tone", "excerpt": 0.5, "level_db": 0.0}
    return Sound(recording=recording, onset=onset, **fields | changes)


def part(samples, onset_seconds, offset_seconds, rate=RATE_HZ):
    return samples[int(onset_seconds * rate) : int(offset_seconds * rate)].astype(np.float64)


def rms(samples):
    return np.sqrt(np.mean(np.square(samples)))


def loudest_hz(samples, rate=RATE_HZ):
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return spectrum.argmax() * rate / len(samples)


def band_power(samples):
    """The power from 8 to 10 kHz, and from 0.5 to 2.5 kHz."""
    power = np.abs(np.fft.rfft(samples)) ** 2
    hz = np.fft.rfftfreq(len(samples), 1 / RATE_HZ)
    bands = ((hz > 8000) & (hz < 10000), (hz > 500) & (hz < 2500))
    return np.array([power[band].sum() for band in bands])


@pytest.mark.parametrize("onset", [0.0, 0.37, 0.999])
@pytest.mark.parametrize("level_db", [-6.0, 0.0, 6.0])
def test_the_event_sounds_at_its_time_and_level_and_nowhere_else(media, onset, level_db):
    plan = make_plan(make_sound(onset=onset, level_db=level_db))
    samples, (event,) = render_sound(plan, media)
    assert samples.dtype == np.float32 and len(samples) == CLIP_SECONDS * RATE_HZ
    assert event.label == "Tone"
    assert event.offset_seconds - event.onset_seconds == pytest.approx(0.8, abs=0.002)
    assert event.onset_seconds == pytest.approx(onset * (CLIP_SECONDS - 0.8), abs=0.002)
    inside = part(samples, event.onset_seconds, event.offset_seconds)
    assert loudest_hz(inside) == pytest.approx(TONE_HZ, abs=3)
    assert rms(inside) == pytest.approx(NOMINAL_RMS * 10 ** (level_db / 20), rel=0.05)
    outside = np.r_[part(samples, 0, event.onset_seconds), part(samples, event.offset_seconds, 10)]
    assert rms(outside) == pytest.approx(NOMINAL_RMS * 10 ** (-30 / 20), rel=0.3)


@pytest.mark.parametrize("speed", [0.85, 1.18])
def test_faster_is_shorter_and_higher(media, speed):
    samples, (event,) = render_sound(make_plan(make_sound(speed=speed)), media)
    assert event.offset_seconds - event.onset_seconds == pytest.approx(0.8 / speed, abs=0.002)
    inside = part(samples, event.onset_seconds, event.offset_seconds)
    assert loudest_hz(inside) == pytest.approx(TONE_HZ * speed, abs=5)


def test_a_tilt_raises_the_high_against_the_low(media):
    shares = {}
    for tilt_db in (-9.0, 0.0, 9.0):
        plan = make_plan(make_sound("hiss", tilt_db=tilt_db), noise_db=-60.0)
        samples, (event,) = render_sound(plan, media)
        high, low = band_power(part(samples, event.onset_seconds, event.offset_seconds))
        shares[tilt_db] = 10 * np.log10(high / low)
    expected = 9.0 * (9000 - 1500) / (RATE_HZ / 2)
    assert shares[9.0] - shares[0.0] == pytest.approx(expected, abs=0.3)
    assert shares[0.0] - shares[-9.0] == pytest.approx(expected, abs=0.3)


def test_a_cutoff_takes_the_high_and_leaves_the_low(media):
    power = {}
    for cutoff_hz in (0.0, 3000.0):
        sound = make_sound("hiss", cutoff_hz=cutoff_hz, level_db=0.0)
        samples, (event,) = render_sound(make_plan(sound, noise_db=-90.0), media)
        power[cutoff_hz] = band_power(part(samples, event.onset_seconds, event.offset_seconds))
    high, low = power[3000.0] / power[0.0]
    assert low > 1, "the event keeps its level"
    assert 10 * np.log10(high / low) < -50


@pytest.mark.parametrize("speed", [1.0, 0.85, 1.18])
@pytest.mark.parametrize("excerpt", [0.0, 0.99])
def test_a_long_recording_gives_an_excerpt(media, speed, excerpt):
    sound = make_sound("long", onset=1.0, speed=speed, excerpt=excerpt)
    _, (event,) = render_sound(make_plan(sound), media)
    duration = event.offset_seconds - event.onset_seconds
    assert duration == pytest.approx(LONGEST_EVENT_SECONDS, abs=0.002)
    assert event.offset_seconds <= CLIP_SECONDS


def test_many_loud_events_are_not_clipped(media):
    sounds = [make_sound("long", onset=onset, level_db=20.0) for onset in (0.4, 0.5, 0.6)]
    samples, events = render_sound(make_plan(*sounds), media)
    assert len(events) == 3 and 0.9 < np.abs(samples).max() <= 0.98 + 1e-6


def test_times_lie_in_the_clip_for_real_recordings(mini_sources):
    sources = read_sources(data_list("mini", "sources.csv"))
    files = {source.id: str(mini_sources / source.file) for source in sources}
    for plan in plan_clips(sources, "train", 12, seed=3):
        samples, events = render_sound(plan, files)
        assert np.isfinite(samples).all() and np.abs(samples).max() <= 0.98 + 1e-6
        assert [event.label for event in events] == [sound.label for sound in plan.sounds]
        for event in events:
            assert 0 <= event.onset_seconds < event.offset_seconds <= CLIP_SECONDS
            assert rms(part(samples, event.onset_seconds, event.offset_seconds)) > 0.01


def test_scenery_fills_the_view(media):
    frames = render_frames(make_plan().picture, media)
    assert frames.shape == (CLIP_SECONDS * FRAMES_HZ, HEIGHT_PX, WIDTH_PX, 3)
    assert frames.dtype == np.uint8 and (frames == (0, 160, 0)).all()


def test_a_photograph_takes_the_place_of_the_scene(media):
    frames = render_frames(Picture("sounding", "green", "blue photograph", MOVE, MOVE), media)
    assert (frames == (0, 0, 200)).all()


def test_a_cut_out_lies_before_the_scene_and_moves_slowly(media):
    frames = render_frames(Picture("sounding", "green", "red cut-out", MOVE, MOVE), media)
    red = (frames[..., 0] > 150) & (frames[..., 1] < 80)
    green = (frames[..., 1] > 120) & (frames[..., 0] < 80)
    assert (red.mean(axis=(1, 2)) > 0.1).all() and (green.mean(axis=(1, 2)) > 0.2).all()
    centres = [np.nonzero(frame)[1].mean() for frame in red]
    assert (np.diff(centres) >= -1).all() and 5 < centres[-1] - centres[0] < WIDTH_PX / 3


@pytest.mark.parametrize(("has_audio", "has_video"), [(True, True), (True, False), (False, True)])
def test_the_file_holds_the_planned_tracks(media, tmp_path, has_audio, has_video):
    plan = make_plan(
        make_sound(onset=0.3),
        picture=Picture("sounding", "green", "blue photograph", MOVE, MOVE),
        has_audio=has_audio,
        has_video=has_video,
    )
    (event,) = render_clip(plan, media, tmp_path / "clips" / "a.mp4")
    clip = read_media(tmp_path / "clips" / "a.mp4", n_frames=8)
    assert clip.duration_seconds == pytest.approx(CLIP_SECONDS, abs=0.1)
    assert (clip.waveform is not None) == has_audio and (clip.frames is not None) == has_video
    if has_video:
        assert clip.frames.shape == (8, HEIGHT_PX, WIDTH_PX, 3)
        colours = clip.frames.reshape(-1, 3).mean(axis=0)
        np.testing.assert_allclose(colours, (0, 0, 200), atol=12)
    if has_audio:
        assert len(clip.waveform) == pytest.approx(160_000, abs=1600)
        inside = part(clip.waveform, event.onset_seconds, event.offset_seconds, 16000)
        assert loudest_hz(inside, 16000) == pytest.approx(TONE_HZ, abs=3)
        # The codec shifts nothing: the tone begins and ends where the strong times say.
        loud = np.flatnonzero(np.abs(clip.waveform) > NOMINAL_RMS / 2) / 16000
        assert loud[0] == pytest.approx(event.onset_seconds, abs=0.02)
        assert loud[-1] == pytest.approx(event.offset_seconds, abs=0.02)


def test_the_same_plan_gives_the_same_file_and_an_existing_one_is_kept(media, tmp_path):
    plan = make_plan(picture=Picture("sounding", "green", "red cut-out", MOVE, MOVE))
    events = render_clip(plan, media, tmp_path / "a.mp4")
    assert render_clip(plan, media, tmp_path / "b.mp4") == events
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()
    (tmp_path / "a.mp4").write_bytes(b"there already")
    assert render_clip(plan, media, tmp_path / "a.mp4") == events
    assert (tmp_path / "a.mp4").read_bytes() == b"there already"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.mp4", "b.mp4"]


@pytest.mark.parametrize("source", ["short", "hiss", "green"])
@pytest.mark.parametrize("content", [None, b"", b"neither sound nor picture"])
def test_an_unreadable_source_is_named_and_nothing_is_left(media, tmp_path, source, content):
    damaged = tmp_path / "damaged"
    if content is not None:
        damaged.write_bytes(content)
    plan = dataclasses.replace(make_plan(), id="x")
    with pytest.raises(InputError, match="damaged: not a readable") as error:
        render_clip(plan, media | {source: str(damaged)}, tmp_path / "out.mp4")
    assert "\n" not in str(error.value)
    assert not [path for path in tmp_path.iterdir() if path != damaged]
