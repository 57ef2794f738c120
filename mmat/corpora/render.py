"""Render planned clips as `.mp4` files, H.264 pictures and AAC sound, and their strong times."""

import functools
import pathlib
from collections.abc import Mapping
from fractions import Fraction

import numpy as np

from mmat.corpora.compose import CLIP_SECONDS, ClipPlan, Picture, Sound
from mmat.files import InputError, atomic_path
from mmat.lists.clip import Event

RATE_HZ = 44_100
WIDTH_PX, HEIGHT_PX, FRAMES_HZ = 320, 240, 5
NOMINAL_RMS = 0.1
LONGEST_EVENT_SECONDS = 6.0


def render_clip(plan: ClipPlan, media: Mapping[str, str], path: pathlib.Path) -> list[Event]:
    """Write the clip of a plan and return its strong times.

    media: a file for each source id. An existing file is kept, its times are computed again.
    Raises InputError for a source that cannot be read.
    """
    mix, events = render_sound(plan, media)
    if not path.exists():
        frames = render_frames(plan.picture, media) if plan.has_video else None
        with atomic_path(path) as part:
            write_mp4(part, mix if plan.has_audio else None, frames)
    return events


def render_sound(plan: ClipPlan, media: Mapping[str, str]) -> tuple[np.ndarray, list[Event]]:
    """Mix a plan's events over its noise: float32 `(samples,)` at 44.1 kHz, and the times."""
    n_samples = int(CLIP_SECONDS * RATE_HZ)
    noise = _loop(_recording(media[plan.noise]), n_samples, plan.noise_excerpt)
    mix = _levelled(noise, plan.noise_db)
    events = []
    for sound in plan.sounds:
        event = _event(sound, media[sound.recording])
        start = int(sound.onset * (n_samples - len(event)))
        mix[start : start + len(event)] += event
        onset, offset = start / RATE_HZ, (start + len(event)) / RATE_HZ
        events.append(Event(sound.label, round(onset, 3), round(offset, 3)))
    peak = np.abs(mix).max()
    return (mix / max(1.0, peak / 0.98)).astype(np.float32), events


@functools.lru_cache(maxsize=128)
def _recording(path: str) -> np.ndarray:
    import soundfile
    import soxr

    try:
        samples, rate_hz = soundfile.read(path, dtype="float32", always_2d=True)
    except (OSError, soundfile.SoundFileError) as error:
        raise InputError(f"{path}: not a readable recording: {error}") from error
    return soxr.resample(samples.mean(axis=1), rate_hz, RATE_HZ)


def _event(sound: Sound, path: str) -> np.ndarray:
    import soxr

    samples = _recording(path)
    longest = int(LONGEST_EVENT_SECONDS * RATE_HZ * sound.speed)
    first = int(sound.excerpt * max(0, len(samples) - longest))
    samples = samples[first : first + longest]
    if sound.speed != 1.0:
        samples = soxr.resample(samples, RATE_HZ * sound.speed, RATE_HZ)
    if sound.tilt_db or sound.cutoff_hz:
        samples = _filtered(samples, sound.tilt_db, sound.cutoff_hz)
    fade = min(len(samples) // 4, RATE_HZ // 100)
    samples = samples.copy()
    samples[:fade] *= np.linspace(0, 1, fade)
    samples[len(samples) - fade :] *= np.linspace(1, 0, fade)
    return _levelled(samples, sound.level_db)


def _filtered(samples: np.ndarray, tilt_db: float, cutoff_hz: float) -> np.ndarray:
    """Tilt the spectrum, and cut it off above a frequency as a Butterworth filter would."""
    frequency_hz = np.fft.rfftfreq(len(samples), 1 / RATE_HZ)
    gain = 10 ** (tilt_db * (frequency_hz / (RATE_HZ / 2) - 0.5) / 20)
    if cutoff_hz:
        gain = gain / np.sqrt(1 + (frequency_hz / cutoff_hz) ** 12)
    return np.fft.irfft(np.fft.rfft(samples) * gain, len(samples))


def _levelled(samples: np.ndarray, level_db: float) -> np.ndarray:
    rms = np.sqrt(np.mean(np.square(samples, dtype=np.float64)))
    return samples * (NOMINAL_RMS * 10 ** (level_db / 20) / max(rms, 1e-6))


def _loop(samples: np.ndarray, n_samples: int, excerpt: float) -> np.ndarray:
    """Repeat a recording, forwards and backwards so that the seams are smooth."""
    period = np.concatenate([samples, samples[::-1]])
    start = int(excerpt * len(samples))
    repeats = -(-(n_samples + start) // len(period))
    return np.tile(period, repeats)[start : start + n_samples]


def render_frames(picture: Picture, media: Mapping[str, str]) -> np.ndarray:
    """Draw a picture track: uint8 RGB `(n_frames, 240, 320, 3)` at 5 Hz."""
    from PIL import Image

    scene = _image(media[picture.scene])
    subject = _image(media[picture.subject]) if picture.subject else None
    if subject is not None and subject.getchannel("A").getextrema()[0] == 255:
        scene, subject = subject, None  # a whole photograph fills the view
    scene = scene.convert("RGB")
    times = np.linspace(0.0, 1.0, int(CLIP_SECONDS * FRAMES_HZ))
    frames = []
    for time in times:
        box = _view(scene, picture.scene_move, time)
        frame = scene.resize((WIDTH_PX, HEIGHT_PX), Image.Resampling.BILINEAR, box)
        if subject is not None:
            _place(frame, subject, picture.subject_move, time)
        frames.append(np.asarray(frame))
    return np.stack(frames)


@functools.lru_cache(maxsize=64)
def _image(path: str):
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as file:
            image = file.convert("RGBA")
    except (OSError, UnidentifiedImageError) as error:
        raise InputError(f"{path}: not a readable picture: {error}") from error
    image.thumbnail((640, 640), Image.Resampling.LANCZOS)
    return image


def _between(move: tuple[float, ...], time: float) -> tuple[float, float, float]:
    # Slow: the end of a move is at most a third of the way to where it could go.
    x0, y0, z0, x1, y1, z1 = move
    return tuple(a + (b - a) * time / 3 for a, b in ((x0, x1), (y0, y1), (z0, z1)))


def _view(image, move: tuple[float, ...], time: float) -> tuple[float, float, float, float]:
    """Crop a view of the frame's shape, between 75 and 100 % of the largest that fits."""
    x, y, zoom = _between(move, time)
    scale = min(image.width / WIDTH_PX, image.height / HEIGHT_PX) * (0.75 + 0.25 * zoom)
    width, height = WIDTH_PX * scale, HEIGHT_PX * scale
    left, top = x * (image.width - width), y * (image.height - height)
    return left, top, left + width, top + height


def _place(frame, subject, move: tuple[float, ...], time: float) -> None:
    """Paste a cut-out, 50 to 90 % of the frame's height or width."""
    from PIL import Image

    x, y, zoom = _between(move, time)
    scale = min(WIDTH_PX / subject.width, HEIGHT_PX / subject.height) * (0.5 + 0.4 * zoom)
    width, height = max(1, round(subject.width * scale)), max(1, round(subject.height * scale))
    small = subject.resize((width, height), Image.Resampling.BILINEAR)
    frame.paste(small, (round(x * (WIDTH_PX - width)), round(y * (HEIGHT_PX - height))), small)


def write_mp4(path: pathlib.Path, samples: np.ndarray | None, frames: np.ndarray | None) -> None:
    """Write sound `(samples,)` at 44.1 kHz and frames at 5 Hz as AAC and H.264, either or both."""
    import av

    with av.open(str(path), "w", format="mp4") as container:
        video = audio = None
        if frames is not None:
            options = {"preset": "veryfast", "crf": "25", "threads": "1", "g": "10"}
            video = container.add_stream("libx264", rate=FRAMES_HZ, options=options)
            video.width, video.height, video.pix_fmt = frames.shape[2], frames.shape[1], "yuv420p"
        if samples is not None:
            audio = container.add_stream("aac", rate=RATE_HZ, layout="mono")
            audio.bit_rate = 96_000
        if video is not None:
            for image in frames:
                frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
                container.mux(video.encode(frame))
            container.mux(video.encode(None))
        if audio is not None:
            frame = av.AudioFrame.from_ndarray(
                np.ascontiguousarray(samples[None], dtype=np.float32), format="fltp", layout="mono"
            )
            frame.sample_rate, frame.time_base, frame.pts = RATE_HZ, Fraction(1, RATE_HZ), 0
            container.mux(audio.encode(frame))
            container.mux(audio.encode(None))
