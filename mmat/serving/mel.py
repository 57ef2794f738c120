"""The log-mel of a long file, window by window, for a plot."""

import numpy as np

from mmat.data.cutting import Window
from mmat.data.media import SAMPLE_RATE_HZ

FRAMES_HZ = 40
MOST_FRAMES = 24_000  # ten minutes of them; of longer files every second one, or fourth, …


class MelStrip:
    """Gathers decibels `(mel_time, bands)` of windows; silence where a file has no sound.

    The time resolution is halved whenever there would be more than `MOST_FRAMES`.
    """

    def __init__(self):
        self._parts: list[np.ndarray] = []
        self._n_done, self._n_kept, self._every = 0, 0, 1

    def add(self, window: Window) -> None:
        """Add what a window has beyond those before it."""
        from mmat.models.features import log_mel

        waveform = np.zeros(round(window.media.duration_seconds * SAMPLE_RATE_HZ), np.float32)
        if window.media.waveform is not None:
            heard = window.media.waveform[: len(waveform)]
            waveform[: len(heard)] = heard
        decibels = np.asarray(log_mel(waveform[None, :, None]))[0, :, :, 0]
        new = decibels[self._n_done - round(window.start_seconds * FRAMES_HZ) :]
        kept = new[-self._n_done % self._every :: self._every]
        self._n_done += len(new)
        self._parts.append(kept)
        self._n_kept += len(kept)
        if self._n_kept > MOST_FRAMES:
            self._parts = [np.concatenate(self._parts)[::2]]
            self._n_kept, self._every = len(self._parts[0]), 2 * self._every

    def result(self) -> np.ndarray:
        """Return the whole strip."""
        return np.concatenate(self._parts)
