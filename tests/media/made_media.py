"""Real media files, written by the tests with real codecs."""

import fractions

import av
import numpy as np
import pytest

LAYOUTS = {1: "mono", 2: "stereo", 3: "3.0", 4: "4.0", 5: "5.0", 6: "5.1", 7: "6.1", 8: "7.1"}


@pytest.fixture(scope="session")
def sine():
    """A function that makes a sine, float32 (samples, channels)."""
    return make_sine


@pytest.fixture(scope="session")
def write_container():
    """A function that writes a media file with sound, pictures or both."""
    return write_media_file


def make_sine(seconds=2.0, rate=44100, hz=1000.0, channels=1):
    wave = 0.5 * np.sin(2 * np.pi * hz * np.arange(int(seconds * rate)) / rate)
    return np.repeat(wave[:, None].astype(np.float32), channels, axis=1)


def write_media_file(
    path,
    video="libx264",
    audio="aac",
    sound=None,
    rate=44100,
    n_pictures=50,
    fps=25,
    picture=None,
    size=(64, 48),
    rotation=0,
    aspect=None,
    options=None,
    first=0,
    file_options=None,
):
    """Write a real media file; picture(i) is the RGB picture number i.

    options: of the video codec. first: the first picture's number on the clock, in pictures.
    """
    picture = picture or (lambda i: np.full((size[1], size[0], 3), 5 * i % 256, np.uint8))
    with av.open(str(path), "w", options=file_options or {}) as out:
        if video:
            v = out.add_stream(video, rate=fps, options=options or {})
            v.width, v.height, v.pix_fmt = *size, "yuv420p"
            v.bit_rate = 2_000_000
            if aspect:
                v.codec_context.sample_aspect_ratio = aspect
            if rotation:
                v.set_display_rotation(rotation)
        if audio:
            sound = make_sine() if sound is None else sound
            layout = LAYOUTS[sound.shape[1]]
            a = out.add_stream(audio, rate=rate, layout=layout)
        if video:
            for i in range(n_pictures):
                frame = av.VideoFrame.from_ndarray(picture(i), format="rgb24")
                frame.pts, frame.time_base = first + i, 1 / fractions.Fraction(fps)
                out.mux(v.encode(frame))
            out.mux(v.encode(None))
        if audio:
            block = 1024
            for i in range(0, len(sound), block):
                part = np.ascontiguousarray(sound[i : i + block]).reshape(1, -1)
                frame = av.AudioFrame.from_ndarray(part, format="flt", layout=layout)
                frame.rate, frame.pts = rate, i
                frame.time_base = fractions.Fraction(1, rate)
                out.mux(a.encode(frame))
            out.mux(a.encode(None))
    return path
