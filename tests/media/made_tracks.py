"""Media files of several tracks whose time stamps say what a test wants them to say."""

import fractions

import av
import numpy as np

FPS = 10


def tone(seconds, hz=1000.0, rate_hz=44100, level=0.5):
    """Return a sine, float32 (samples,)."""
    times = np.arange(round(seconds * rate_hz)) / rate_hz
    return (level * np.sin(2 * np.pi * hz * times)).astype(np.float32)


def write_tracks(
    path,
    sounds=(),
    pictures=None,
    *,
    codec="aac",
    rate_hz=44100,
    default=None,
    stamp=None,
    **av_open,
):
    """Write a file of sound tracks and of one with pictures, its packets by their decoding time.

    sounds: float (samples,) each. pictures: uint8 RGB (n, height, width, 3), 10 a second. default:
    the number of the sound track that is marked so. stamp: changes a packet's time stamps, called
    with the packet, its track's kind and its number there.
    """
    with av.open(str(path), "w", **av_open) as out:
        tracks = []
        if pictures is not None:
            track = out.add_stream("libx264", rate=FPS, options={"g": "5", "bf": "0"})
            track.height, track.width, track.pix_fmt = *pictures[0].shape[:2], "yuv420p"
            tracks.append((track, _picture_frames(pictures)))
        for number, sound in enumerate(sounds):
            track = out.add_stream(codec, rate=rate_hz, layout="mono")
            if default is not None:
                track.disposition = av.stream.Disposition.default if number == default else 0
            tracks.append((track, _sound_frames(sound, rate_hz)))
        packets = []
        for track, frames in tracks:
            encoded = [packet for frame in [*frames, None] for packet in track.encode(frame)]
            for number, packet in enumerate(encoded):
                packets.append((packet.dts * packet.time_base, packet))
                if stamp is not None:
                    stamp(packet, track.type, number)
        for _, packet in sorted(packets, key=lambda pair: pair[0]):
            out.mux(packet)
    return path


def later(packet, seconds):
    """Move a packet's time stamps."""
    ticks = round(seconds / packet.time_base)
    packet.pts, packet.dts = packet.pts + ticks, packet.dts + ticks


def one_colour(colours, n_each, size=(48, 64)):
    """Return pictures of one colour after the other, uint8 (n, height, width, 3)."""
    pictures = [np.full((*size, 3), colour, np.uint8) for colour in colours for _ in range(n_each)]
    return np.stack(pictures)


def _picture_frames(pictures):
    for number, picture in enumerate(pictures):
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
        frame.pts, frame.time_base = number, fractions.Fraction(1, FPS)
        yield frame


def _sound_frames(sound, rate_hz):
    for begin in range(0, len(sound), 1024):
        part = np.ascontiguousarray(sound[None, begin : begin + 1024])
        frame = av.AudioFrame.from_ndarray(part, "fltp", "mono")
        frame.sample_rate, frame.pts = rate_hz, begin
        frame.time_base = fractions.Fraction(1, rate_hz)
        yield frame
