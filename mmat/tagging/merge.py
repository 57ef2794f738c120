"""The outputs of a model for the windows of one file, merged window by window in bounded memory.

`WindowMerger` keeps scores, decisions and pictures; of the parts it is made of, `FrameMerger` joins
frame scores without seams and `Explanations` keeps the names that pretrained networks gave.
`MelStrip` gathers the log-mel for a plot.
"""

import collections
from collections.abc import Callable

import numpy as np

from mmat.labels import FRAME_HZ, Task
from mmat.media.read import SAMPLE_RATE_HZ
from mmat.media.windows import Window
from mmat.metrics.decisions import NO_SCORE, decide, pool_windows
from mmat.tagging.result import AUDIO, VIDEO, Picture, Reason

MOST_PICTURES, THUMBNAIL_HEIGHT_PX = 12, 120
MOST_REASONS = 3  # a class and sense
LEAST_PROBABILITY, LEAST_SHARE = 0.01, 0.05  # of the name; of the weightiest reason behind a class
MEL_HZ, MOST_MEL_FRAMES = 40, 24_000  # ten minutes; of longer files every second frame, or fourth
_SENSES = {VIDEO: "image", AUDIO: "sound"}  # as the signature `label_maps` names them
_PIECES_A_BLOCK = 256


class WindowMerger:
    """Merges the outputs of a file's windows.

    Of several labels each has its best score of all windows; classes that exclude each other, and
    values, have the mean by the windows' durations.

    outputs: `clip`, and the senses that any window had → `(classes,)`; has: sense → whether any
    window had it; explanations: the names that pretrained networks gave; timed_by_sound: bool
    `(classes,)`, which labels are when they are heard, wherever there is sound: those that a name
    of the sound network is mapped to, and all of an audio branch that was trained.
    """

    def __init__(self, task: Task, thresholds: np.ndarray, maps: dict[str, np.ndarray]):
        self.outputs: dict[str, np.ndarray] = {}
        self.has = {AUDIO: False, VIDEO: False}
        self.seconds = 0.0
        self.explanations = Explanations(maps)
        names = maps.get("sound_similarities", np.ones((1, len(thresholds))))
        self.timed_by_sound = names.any(axis=0)
        self._task, self._thresholds = task, thresholds
        self._merged_seconds: dict[str, float] = {}
        self._frames = FrameMerger()
        # Of a sense alone only its decisions are kept, frame by frame.
        self._decides = {sense: FrameMerger(self._decided, NO_SCORE) for sense in self.has}
        self._sounds = FrameMerger(lambda sounds: sounds[:, 0] > 0)
        self._seen_best = np.full(len(thresholds), NO_SCORE, np.float32)
        self._seen: dict[int, tuple[float, np.ndarray, float]] = {}

    def add(self, window: Window, outputs: dict[str, np.ndarray]) -> None:
        """Add the outputs for one window, without their batch axis."""
        media, start = window.media, window.start_seconds
        present = {AUDIO: media.waveform is not None, VIDEO: media.frames is not None}
        for sense in self.has:
            self.has[sense] |= present[sense]
        for name in ("clip", *(sense for sense in present if present[sense])):
            if name in outputs:
                self._merge(name, outputs[name], max(media.duration_seconds, 1 / FRAME_HZ))
        self.seconds = start + media.duration_seconds
        span = start, media.duration_seconds
        self._frames.add(*span, outputs["frame"])
        for sense, merger in self._decides.items():
            alone = self._alone(outputs, sense, present)
            merger.add(*span, np.full_like(outputs["frame"], NO_SCORE) if alone is None else alone)
            if sense == AUDIO:
                sounds = NO_SCORE if alone is None else 1.0
                self._sounds.add(*span, np.full((len(outputs["frame"]), 1), sounds, np.float32))
        if media.frames is not None:
            self._look(window, outputs)
        self.explanations.add(window, outputs)

    def frame_scores(self) -> np.ndarray:
        """Return float32 `(time, classes)` at 10 Hz; call it once, after the last window."""
        return self._frames.result()

    def decided(self) -> np.ndarray:
        """Return the decision on the file, bool `(classes,)`."""
        return self._decided(self.outputs["clip"])

    def decided_alone(self) -> dict[str, np.ndarray]:
        """Return sense → bool `(time, classes)`, what it decides by itself; call it once."""
        return {sense: merger.result() for sense, merger in self._decides.items()}

    def has_sound(self) -> np.ndarray:
        """Return when there is sound and a model that hears it, bool `(time,)`; call it once."""
        return self._sounds.result()

    def pictures(self, fired: np.ndarray, labels, aspect: float) -> tuple[Picture, ...]:
        """Return the pictures in which classes that fired were seen best, by time."""
        by_time: dict[float, list[int]] = {}
        for c in sorted((c for c in self._seen if fired[c]), key=lambda c: -self._seen_best[c]):
            by_time.setdefault(self._seen[c][0], []).append(c)
        shown = []
        for seconds, classes in list(by_time.items())[:MOST_PICTURES]:
            scores = tuple((labels[c], float(self._seen_best[c])) for c in classes)
            shown.append(Picture(seconds, _thumbnail(self._seen[classes[0]][1], aspect), scores))
        return tuple(sorted(shown, key=lambda picture: picture.seconds))

    def _merge(self, name: str, scores: np.ndarray, seconds: float) -> None:
        before = self._merged_seconds.get(name, 0.0)
        both = np.stack([self.outputs.get(name, scores), scores])
        self.outputs[name] = pool_windows(self._task, both, (before, seconds))
        self._merged_seconds[name] = before + seconds

    def _decided(self, scores: np.ndarray) -> np.ndarray:
        return decide(self._task, scores, self._thresholds)

    def _alone(self, outputs: dict, sense: str, present: dict) -> np.ndarray | None:
        """Return the frame scores of a sense alone, or None where there are none."""
        if not present[sense]:
            return None
        if f"{AUDIO}_frame" in outputs:
            return outputs.get(f"{sense}_frame")
        if AUDIO in outputs:  # a fused model from before it had frame scores of each sense
            return None
        # A model of one sense, which is sight if an image network is in it.
        own = VIDEO if "image_probabilities" in outputs else AUDIO
        return outputs["frame"] if sense == own else None

    def _look(self, window: Window, outputs: dict) -> None:
        """Keep the picture in which each class is seen best, where it is decided at all."""
        scores = self._alone(outputs, VIDEO, {VIDEO: True})
        if scores is None:
            return
        steps = ((window.picture_seconds - window.start_seconds) * FRAME_HZ).astype(int)
        seen = scores[np.minimum(steps, len(scores) - 1)]  # (n_frames, classes)
        seen = np.where(self._decided(seen), seen, NO_SCORE)
        which = seen.argmax(axis=0)
        for c in np.flatnonzero(seen.max(axis=0) > self._seen_best):
            n = which[c]
            self._seen_best[c] = seen[n, c]
            # A copy: a view would keep all pictures of the window.
            self._seen[c] = float(window.picture_seconds[n]), window.media.frames[n].copy()


class FrameMerger:
    """Joins the frame scores of windows that come by their start, without seams.

    Where windows overlap, a frame's score is their weighted mean: a window counts by how far the
    frame is from the window's nearer end, since what lies beyond an end is not heard in it. finish:
    applied to `(time, classes)` that no further window touches, such as a comparison. nothing: the
    score where no window has one. A window of scores of minus infinity has none: it lasts, but is
    ignored where another one has scores.

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


class Explanations:
    """Keeps, of every name that a pretrained network gives, its highest probability and when.

    maps: the facts of the signature `label_maps`, without which there is nothing to explain.
    """

    def __init__(self, maps: dict[str, np.ndarray]):
        self._maps = maps
        self._best: dict[str, np.ndarray] = {}
        self._seconds: dict[str, np.ndarray] = {}

    def add(self, window: Window, outputs: dict[str, np.ndarray]) -> None:
        """Add the outputs for one window; of an absent sense they are ignored."""
        media = window.media
        if media.frames is not None:
            self._add(VIDEO, outputs, window.picture_seconds)
        if media.waveform is not None and "sound_probabilities" in outputs:
            hop, width = (self._maps[f"sound_{name}_seconds"] for name in ("hop", "window"))
            patches = np.arange(len(outputs["sound_probabilities"]))
            self._add(AUDIO, outputs, window.start_seconds + patches * hop + width / 2)

    def _add(self, sense: str, outputs: dict, seconds: np.ndarray) -> None:
        probabilities = outputs.get(f"{_SENSES[sense]}_probabilities")  # (moments, names)
        if probabilities is None or f"{_SENSES[sense]}_weights" not in self._maps:
            return
        best, when = probabilities.max(axis=0), seconds[probabilities.argmax(axis=0)]
        if sense in self._best:
            better = best > self._best[sense]
            best = np.where(better, best, self._best[sense])
            when = np.where(better, when, self._seconds[sense])
        self._best[sense], self._seconds[sense] = best, when

    def reasons(self, labels) -> tuple[Reason, ...]:
        """Return the weightiest names behind each class, those of the pictures first."""
        found = []
        for c, label in enumerate(labels):
            for sense, best in self._best.items():
                kind = _SENSES[sense]
                certain = np.where(best >= LEAST_PROBABILITY, best, 0.0)
                weights = certain * self._maps[f"{kind}_weights"][:, c]
                for n in np.argsort(-weights, kind="stable")[:MOST_REASONS]:
                    if weights[n] <= LEAST_SHARE * weights.max():
                        break
                    similarity = float(self._maps[f"{kind}_similarities"][n, c])
                    name = self._maps[f"{kind}_labels"][n].decode()
                    when = round(float(self._seconds[sense][n]), 3)
                    found.append(Reason(label, sense, name, float(best[n]), similarity, when))
        return tuple(found)


class MelStrip:
    """Gathers decibels `(mel_time, bands)` of windows; silence where a file has no sound.

    The time resolution is halved whenever there would be more than `MOST_MEL_FRAMES`.
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
        new = decibels[self._n_done - round(window.start_seconds * MEL_HZ) :]
        kept = new[-self._n_done % self._every :: self._every]
        self._n_done += len(new)
        self._parts.append(kept)
        self._n_kept += len(kept)
        if self._n_kept > MOST_MEL_FRAMES:
            self._parts = [np.concatenate(self._parts)[::2]]
            self._n_kept, self._every = len(self._parts[0]), 2 * self._every

    def result(self) -> np.ndarray:
        """Return the whole strip."""
        return np.concatenate(self._parts)


def _thumbnail(picture: np.ndarray, aspect: float) -> np.ndarray:
    """Return a small picture with square pixels, of one that was squeezed to a square."""
    from PIL import Image

    size = max(1, round(THUMBNAIL_HEIGHT_PX * aspect)), THUMBNAIL_HEIGHT_PX
    return np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.LANCZOS))
