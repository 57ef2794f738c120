"""What a model says of the windows of one file, joined window by window in bounded memory."""

import numpy as np

from mmat.data.cutting import Window
from mmat.metrics.decisions import NO_SCORE, decide, pool_windows
from mmat.serving.evidence import Evidence
from mmat.serving.tagging import AUDIO, BOTH, VIDEO, Picture
from mmat.serving.windows import FrameMerger
from mmat.tasks import FRAME_HZ, Task

THUMBNAIL_HEIGHT_PX = 120
MOST_PICTURES = 12


class Joined:
    """Joins the answers to a file's windows: of several labels each has its best score of all
    windows, of classes and values it is the mean, by the windows' durations.

    said: `clip`, and the senses that any window had → `(classes,)`; has: sense → whether any window
    had it; evidence: what the pretrained networks said behind it.
    """

    def __init__(self, task: Task, thresholds: np.ndarray, maps: dict[str, np.ndarray]):
        self.said: dict[str, np.ndarray] = {}
        self.has = {AUDIO: False, VIDEO: False}
        self.seconds = 0.0
        self.evidence = Evidence(maps)
        self._task, self._thresholds = task, thresholds
        self._said_seconds: dict[str, float] = {}
        self._frames = FrameMerger()
        # Whether a sense alone decides so, frame by frame: all that is kept of it.
        self._decides = {sense: FrameMerger(self._decided, NO_SCORE) for sense in self.has}
        self._seen_best = np.full(len(thresholds), NO_SCORE, np.float32)
        self._seen: dict[int, tuple[float, np.ndarray, float]] = {}

    def add(self, window: Window, answers: dict[str, np.ndarray]) -> None:
        """Add the answers to one window, without their batch axis."""
        media, start = window.media, window.start_seconds
        present = {AUDIO: media.waveform is not None, VIDEO: media.frames is not None}
        for sense in self.has:
            self.has[sense] |= present[sense]
        for name in ("clip", *(sense for sense in present if present[sense])):
            if name in answers:
                self._join(name, answers[name], max(media.duration_seconds, 1 / FRAME_HZ))
        self.seconds = start + media.duration_seconds
        span = start, media.duration_seconds
        self._frames.add(*span, answers["frame"])
        for sense, merger in self._decides.items():
            alone = self._alone(answers, sense, present)
            merger.add(*span, np.full_like(answers["frame"], NO_SCORE) if alone is None else alone)
        if media.frames is not None:
            self._look(window, answers)
        self.evidence.add(window, answers)

    def frame_scores(self) -> np.ndarray:
        """Return float32 `(time, classes)` at 10 Hz; call it once, after the last window."""
        return self._frames.result()

    def decided(self) -> np.ndarray:
        """Return what is decided of the file, bool `(classes,)`."""
        return self._decided(self.said["clip"])

    def decided_alone(self) -> dict[str, np.ndarray]:
        """Return sense → bool `(time, classes)`, where it decides so alone; once."""
        return {sense: merger.result() for sense, merger in self._decides.items()}

    def pictures(self, fired: np.ndarray, labels, aspect: float) -> tuple[Picture, ...]:
        """Return the pictures in which classes that fired were seen best, by time."""
        spoke = [c for c in self._seen if fired[c]]
        spoke = sorted(spoke, key=lambda c: -self._seen_best[c])
        by_time: dict[float, list[int]] = {}
        for c in spoke:
            by_time.setdefault(self._seen[c][0], []).append(c)
        shown = []
        for seconds, classes in list(by_time.items())[:MOST_PICTURES]:
            said = tuple((labels[c], float(self._seen_best[c])) for c in classes)
            shown.append(Picture(seconds, _thumbnail(self._seen[classes[0]][1], aspect), said))
        return tuple(sorted(shown, key=lambda picture: picture.seconds))

    def _join(self, name: str, scores: np.ndarray, seconds: float) -> None:
        before = self._said_seconds.get(name, 0.0)
        both = np.stack([self.said.get(name, scores), scores])
        self.said[name] = pool_windows(self._task, both, (before, seconds))
        self._said_seconds[name] = before + seconds

    def _decided(self, scores: np.ndarray) -> np.ndarray:
        return decide(self._task, scores, self._thresholds)

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
        """Keep the picture in which each class is seen best, where it is decided at all."""
        scores = self._alone(answers, VIDEO, {VIDEO: True})
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


def modality(heard: bool, seen: bool) -> str:
    """Say whose own scores decide so: one's, or both; both also where neither's do.

    >>> modality(True, False), modality(False, False)
    ('audio', 'both')
    """
    return BOTH if heard == seen else AUDIO if heard else VIDEO


def _thumbnail(picture: np.ndarray, aspect: float) -> np.ndarray:
    """Return a small picture with square pixels, of one that was squeezed to a square."""
    from PIL import Image

    size = max(1, round(THUMBNAIL_HEIGHT_PX * aspect)), THUMBNAIL_HEIGHT_PX
    return np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.LANCZOS))
