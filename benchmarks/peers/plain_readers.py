"""Media read by the plainest loops: soundfile and soxr, PyAV, librosa, OpenCV."""

from collections.abc import Callable

import numpy as np

N_FRAMES, SHOWN_SIZE = 8, (320, 180)
RATE_HZ = 16_000


def sound(path: str, reader: str) -> Callable:
    """Return a run that reads the sound of a file at 16 kHz, one channel."""

    def run():
        SOUND[reader](path)

    return run


def pictures(path: str, reader: str) -> Callable:
    """Return a run that reads 8 pictures, evenly spaced."""

    def run():
        PICTURES[reader](path)

    return run


def by_soundfile(path: str) -> np.ndarray:
    import soundfile
    import soxr

    samples, rate = soundfile.read(path, dtype="float32")
    return soxr.resample(samples.mean(axis=1), rate, RATE_HZ)


def by_pyav(path: str) -> np.ndarray:
    import av
    import soxr

    with av.open(path) as container:
        rate = container.streams.audio[0].rate
        parts = [frame.to_ndarray().mean(axis=0) for frame in container.decode(audio=0)]
    return soxr.resample(np.concatenate(parts), rate, RATE_HZ)


def by_librosa(path: str) -> np.ndarray:
    import librosa

    return librosa.load(path, sr=RATE_HZ)[0]


def by_tensorflow_io(path: str) -> np.ndarray:
    from mmat.media.tfio import read_audio_file

    return read_audio_file(path)


def every_picture(path: str) -> np.ndarray:
    """Decode all, and scale eight; in one thread, as mmat does."""
    import av

    with av.open(path) as container:
        track = container.streams.video[0]
        track.codec_context.thread_count = 1
        wanted = _places(track.frames)
        frames = enumerate(container.decode(video=0))
        return np.stack([_scaled(frame) for number, frame in frames if number in wanted])


def _scaled(frame) -> np.ndarray:
    return frame.to_ndarray(format="rgb24", width=SHOWN_SIZE[0], height=SHOWN_SIZE[1])


def sought_by_opencv(path: str) -> np.ndarray:
    """Set the position to each of eight pictures, and read; OpenCV takes all cores."""
    import cv2

    film, found = cv2.VideoCapture(path), []
    for place in sorted(_places(int(film.get(cv2.CAP_PROP_FRAME_COUNT)))):
        film.set(cv2.CAP_PROP_POS_FRAMES, place)
        _, picture = film.read()
        found.append(cv2.cvtColor(cv2.resize(picture, SHOWN_SIZE), cv2.COLOR_BGR2RGB))
    film.release()
    return np.stack(found)


def _places(n_pictures: int) -> set[int]:
    return {round((i + 0.5) * n_pictures / N_FRAMES) for i in range(N_FRAMES)}


SOUND = {
    "soundfile and soxr": by_soundfile,
    "PyAV and soxr": by_pyav,
    "librosa.load": by_librosa,
    "tensorflow-io, by mmat": by_tensorflow_io,
}
PICTURES = {"every picture, PyAV": every_picture, "OpenCV, sought": sought_by_opencv}
