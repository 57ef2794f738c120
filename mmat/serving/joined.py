"""What a model says of the windows of one file, joined window by window in bounded memory."""

import numpy as np

from mmat.data.cutting import Window
from mmat.metrics.thresholds import fire
from mmat.serving.evidence import Evidence
from mmat.serving.tagging import AUDIO, BOTH, VIDEO, Picture
from mmat.serving.windows import FRAME_HZ, FrameMerger

THUMBNAIL_HEIGHT_PX = 120
MOST_PICTURES = 12
_BEST = ("clip", "fired", AUDIO, VIDEO)


class Joined:
    """Joins the answers to a file's windows: a class has its best score of all windows.

    best: name of an output → `(classes,)`; has: sense → whether any window had it; evidence: what
    the pretrained networks said behind it.
    """

    def __init__(self, thresholds: np.ndarray, maps: dict[str, np.ndarray]):
        self.best: dict[str, np.ndarray] = {}
        self.has = {AUDIO: False, VIDEO: False}
        self.seconds = 0.0
        self.evidence = Evidence(maps)
        self._thresholds = thresholds
        self._frames = FrameMerger()
        # Whether a sense alone reaches the threshold, frame by frame: all that is kept of it.
        self._reaches = {sense: FrameMerger(self._reached) for sense in self.has}
        self._seen_best = np.full(len(thresholds), -1.0, np.float32)
        self._seen: dict[int, tuple[float, np.ndarray, float]] = {}

    def add(self, window: Window, answers: dict[str, np.ndarray]) -> None:
        """Add the answers to one window, without their batch axis."""
        media, start = window.media, window.start_seconds
        present = {AUDIO: media.waveform is not None, VIDEO: media.frames is not None}
        for sense in self.has:
            self.has[sense] |= present[sense]
        for name in _BEST:
            if name in answers:
                before = self.best.get(name, answers[name])
                self.best[name] = np.maximum(before, answers[name])
        self.seconds = start + media.duration_seconds
        span = start, media.duration_seconds
        self._frames.add(*span, answers["frame"])
        for sense, merger in self._reaches.items():
            alone = self._alone(answers, sense, present)
            # Below any threshold, also one of 0.
            merger.add(*span, np.full_like(answers["frame"], -1) if alone is None else alone)
        if media.frames is not None:
            self._look(window, answers)
        self.evidence.add(window, answers)

    def frame_scores(self) -> np.ndarray:
        """Return float32 `(time, classes)` at 10 Hz; call it once, after the last window."""
        return self._frames.result()

    def reached(self) -> dict[str, np.ndarray]:
        """Return sense → bool `(time, classes)`, where it reaches the threshold alone; once."""
        return {sense: merger.result() for sense, merger in self._reaches.items()}

    def pictures(self, fired: np.ndarray, labels, aspect: float) -> tuple[Picture, ...]:
        """Return the pictures in which classes that fired were seen best, by time."""
        seen = fired & fire(self._seen_best, self._thresholds)
        spoke = [c for c in self._seen if seen[c]]
        spoke = sorted(spoke, key=lambda c: -self._seen_best[c])
        by_time: dict[float, list[int]] = {}
        for c in spoke:
            by_time.setdefault(self._seen[c][0], []).append(c)
        shown = []
        for seconds, classes in list(by_time.items())[:MOST_PICTURES]:
            said = tuple((labels[c], float(self._seen_best[c])) for c in classes)
            shown.append(Picture(seconds, _thumbnail(self._seen[classes[0]][1], aspect), said))
        return tuple(sorted(shown, key=lambda picture: picture.seconds))

    def _reached(self, scores: np.ndarray) -> np.ndarray:
        return fire(scores, self._thresholds)

    def _alone(self, answers: dict, sense: str, present: dict) -> np.ndarray | None:
        """Return the frame scores of a sense alone, or None where it had nothing to go by."""
        if not present[sense]:
            return None
        if f"{AUDIO}_frame" in answers:
            return answers[f"{sense}_frame"]
        if AUDIO in answers:  # a fused model of before the senses' frame scores were told
            return None
        # A model of one sense: it looks, if it knows what the pictures show.
        own = VIDEO if "image_probabilities" in answers else AUDIO
        return answers["frame"] if sense == own else None

    def _look(self, window: Window, answers: dict) -> None:
        """Keep the picture in which each class is seen best."""
        scores = self._alone(answers, VIDEO, {VIDEO: True})
        if scores is None:
            return
        steps = ((window.picture_seconds - window.start_seconds) * FRAME_HZ).astype(int)
        seen = scores[np.minimum(steps, len(scores) - 1)]  # (n_frames, classes)
        which = seen.argmax(axis=0)
        for c in np.flatnonzero(seen.max(axis=0) > self._seen_best):
            n = which[c]
            self._seen_best[c] = seen[n, c]
            # A copy: a view would keep all pictures of the window.
            self._seen[c] = float(window.picture_seconds[n]), window.media.frames[n].copy()


def modality(heard: bool, seen: bool) -> str:
    """Say whose own scores reach a threshold: one's, or both; both also where neither's does.

    >>> modality(True, False), modality(False, False)
    ('audio', 'both')
    """
    return BOTH if heard == seen else AUDIO if heard else VIDEO


def _thumbnail(picture: np.ndarray, aspect: float) -> np.ndarray:
    """Return a small picture with square pixels, of one that was squeezed to a square."""
    from PIL import Image

    size = max(1, round(THUMBNAIL_HEIGHT_PX * aspect)), THUMBNAIL_HEIGHT_PX
    return np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.LANCZOS))
