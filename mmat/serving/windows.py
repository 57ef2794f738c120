"""The frame scores of overlapping windows as one course over time, in memory for it alone."""

import collections
from collections.abc import Callable

import numpy as np

from mmat.tasks import FRAME_HZ

_PIECES_A_BLOCK = 256


class FrameMerger:
    """Joins the frame scores of windows that come by their start, without seams.

    Where windows overlap, a frame's score is their weighted mean: a window counts by how far the
    frame is from the window's nearer end, since what lies beyond an end is not heard in it. finish:
    applied to `(time, classes)` that no further window touches, such as a comparison. nothing: what
    is said where no window has a score. A window of scores of minus infinity has none: it lasts,
    but takes no part where another one has scores.

    >>> merger = FrameMerger()
    >>> merger.add(0.0, 0.3, np.float32([[0], [0], [0]]))
    >>> merger.add(0.1, 0.3, np.float32([[1], [1], [1]]))
    >>> merger.result().ravel().tolist()
    [0.0, 0.3333333432674408, 0.6666666865348816, 1.0]
    """

    def __init__(
        self,
        finish: Callable[[np.ndarray], np.ndarray] = lambda scores: scores,
        nothing: float = 0.0,
    ):
        self._finish, self._nothing = finish, nothing
        self._finished: collections.deque[np.ndarray] = collections.deque()
        self._pieces: list[np.ndarray] = []  # the newest, not joined to a larger one yet
        self._first = 0  # frame of the sums' first row
        self._sums = self._weights = np.zeros((0, 1))

    def add(self, start_seconds: float, duration_seconds: float, scores: np.ndarray) -> None:
        """Add a window's scores `(steps, classes)`; other than ten a second, they are held."""
        n = max(1, int(np.ceil(round(duration_seconds * FRAME_HZ, 3))))
        held = scores[np.arange(n) * len(scores) // n]
        first = round(start_seconds * FRAME_HZ)
        self._take_finished(first - self._first)
        longer = first + n - self._first - len(self._sums)
        if longer > 0:
            self._sums = np.pad(self._sums, ((0, longer), (0, held.shape[1] - self._sums.shape[1])))
            self._weights = np.pad(self._weights, ((0, longer), (0, 0)))
        weights = np.minimum(np.arange(1, n + 1), np.arange(n, 0, -1))[:, None]
        weights = np.where(np.isneginf(held).all(axis=1, keepdims=True), 0, weights)
        part = slice(first - self._first, first - self._first + n)
        self._sums[part] += weights * np.where(weights, held, 0)
        self._weights[part] += weights

    def result(self) -> np.ndarray:
        """Return `(time, classes)` of all windows; nothing can be added after it."""
        self._take_finished(len(self._sums))
        self._join_pieces()
        n_frames = sum(map(len, self._finished))
        _, *shape = self._finished[0].shape
        whole, n_done = np.empty((n_frames, *shape), self._finished[0].dtype), 0
        while self._finished:  # each is let go of as soon as it is copied
            part = self._finished.popleft()
            whole[n_done : n_done + len(part)] = part
            n_done += len(part)
        return whole

    def _join_pieces(self) -> None:
        # Large blocks go back to the system when they are freed, thousands of small ones do not.
        if self._pieces:
            self._finished.append(np.concatenate(self._pieces))
            self._pieces = []

    def _take_finished(self, n: int) -> None:
        if n > 0:
            weights = self._weights[:n]
            mean = np.where(weights, self._sums[:n] / np.maximum(weights, 1), self._nothing)
            self._pieces.append(self._finish(mean.astype(np.float32)))
            if len(self._pieces) == _PIECES_A_BLOCK:
                self._join_pieces()
            self._sums, self._weights = self._sums[n:], self._weights[n:]
            self._first += n
