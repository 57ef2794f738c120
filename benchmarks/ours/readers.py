"""Media read by mmat."""

from collections.abc import Callable

from mmat.media.read import read_audio, read_frames


def sound(path: str) -> Callable:
    def run():
        read_audio(path)

    return run


def pictures(path: str) -> Callable:
    def run():
        read_frames(path)

    return run
