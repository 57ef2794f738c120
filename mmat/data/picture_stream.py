"""The pictures of a film from its front to its end, in constant memory."""

import contextlib
import pathlib

import numpy as np

from mmat.data.containers import NotReadable, first_track, frames_from, one_line, opened
from mmat.data.keyframes import SAME_INSTANT_SECONDS
from mmat.data.pictures import (
    Shown,
    Size,
    Unclear,
    Upright,
    Video,
    duration_seconds,
)

LONGEST_SECONDS = 48 * 3600.0  # a damaged file may promise pictures without end
_FAR_SECONDS = 20.0  # a keyframe so long before the asked pictures makes seeking dear


class PictureStream:
    """Reads evenly spaced pictures, range after range, and keeps those of the last ranges.

    range_seconds and n_frames: of one range. seconds: until when the file promises pictures; less,
    once it is seen that they end before. problem: why they could not be read any further, else
    empty. As in `mmat.data.media.read_frames` a picture is the nearest keyframe where those are
    dense; from where they are over 20 s apart all is decoded, once. Raises NotReadable for a file
    that FFmpeg cannot open.
    """

    def __init__(self, path: pathlib.Path, range_seconds: float, n_frames: int, size: Size):
        self.seconds, self.problem = 0.0, ""
        self._path, self._range_seconds, self._n_frames = path, range_seconds, n_frames
        self._kept: list[tuple[float, np.ndarray]] = []
        self._done_seconds = 0.0
        self._last_seconds: float | None = None  # when the last picture begins, once it was met
        self._shown: Shown | None = None
        with contextlib.ExitStack() as stack:
            container, origin = stack.enter_context(opened(path))
            track = first_track(container, "video")
            if track is not None:
                self.seconds = min(LONGEST_SECONDS, duration_seconds(path, container, origin))
                self._upright = Upright(size, track)
                self._video = Video(container, track, origin, self._upright)
            self._open = stack.pop_all()

    def close(self) -> None:
        """Close the file."""
        self._open.close()

    @property
    def aspect(self) -> float:
        """Width by height of the upright pictures."""
        return self._upright.aspect

    def read_until(self, seconds: float) -> None:
        """Read the ranges that begin before a time."""
        while self._done_seconds < min(seconds, self.seconds):
            begin = self._done_seconds
            end = min(begin + self._range_seconds, self.seconds)
            share = (end - begin) / self._range_seconds
            n = max(1, round(self._n_frames * share)) if begin else self._n_frames
            times = begin + (np.arange(n) + 0.5) * ((end - begin) / n)
            pictures = self._until_damage(times, end)
            if not pictures:
                self.seconds = begin
                return
            self._kept += zip(times, pictures, strict=True)
            self._done_seconds = end

    def end_with_the_sound(self, seconds: float) -> None:
        """Let the pictures end with the sound, where the last one has been read by then.

        A picture may be meant to stay, but a film that is cut off promises its whole length.
        Without sound (0 seconds) the last picture stays for a range.
        """
        if self._last_seconds is not None:
            stays = self._range_seconds / (self._n_frames if seconds else 1)
            self.seconds = min(self.seconds, max(seconds, self._last_seconds + stays))

    def between(self, begin_seconds: float, end_seconds: float, n_frames: int):
        """Return uint8 (n_frames, height, width, 3) for the centres of n parts, and their times.

        Of what was read, the nearest. (None, no times) where there are no pictures.
        """
        end_seconds = min(end_seconds, self.seconds)
        if end_seconds - begin_seconds < SAME_INSTANT_SECONDS or not self._kept:
            return None, np.zeros(0)
        part = (end_seconds - begin_seconds) / n_frames
        asked = begin_seconds + (np.arange(n_frames) + 0.5) * part
        times = np.array([time for time, _ in self._kept])
        nearest = np.abs(times[None] - asked[:, None]).argmin(axis=1)
        return np.stack([self._kept[n][1] for n in nearest]), asked

    def forget(self, before_seconds: float) -> None:
        """Let go of the pictures before a time."""
        self._kept = [(time, picture) for time, picture in self._kept if time >= before_seconds]

    def _until_damage(self, times: np.ndarray, end: float) -> list[np.ndarray]:
        import av

        try:
            return self._read(times, end)
        except (NotReadable, av.error.FFmpegError) as error:
            self.problem = f"the pictures end at {self._done_seconds:.1f} s: {one_line(error)}"
            return []

    def _read(self, times: np.ndarray, end: float) -> list[np.ndarray]:
        if self._shown is None:
            try:
                return self._read_sought(times, end)
            except Unclear:
                frames = frames_from(self._path, "video", float(times[0]))
                origin, _, frames = self._open.enter_context(frames)
                self._shown = Shown(frames, origin, self._upright)
        pictures = self._shown.at(times + SAME_INSTANT_SECONDS)
        self._last_seconds = self._shown.last_seconds
        return pictures

    def _read_sought(self, times: np.ndarray, end: float) -> list[np.ndarray]:
        begin = times[0]
        packets = self._video.packets(begin if begin > self._range_seconds else None, end)
        last = max(packet.seconds for packet in packets)
        if last > begin > packets[0].seconds + _FAR_SECONDS:
            raise Unclear
        if last <= end:  # or there would be one more
            self._last_seconds = last
        return self._video.pictures_of(packets, times, end)
