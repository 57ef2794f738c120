"""What pretrained networks said behind each class: names, how sure they were, how near they are."""

import numpy as np

from mmat.data.cutting import Window
from mmat.serving.tagging import AUDIO, VIDEO, Reason

MOST_REASONS = 3  # a class and sense
LEAST_PROBABILITY, LEAST_SHARE = 0.01, 0.05  # of the name; of the weightiest reason behind a class
_SENSES = {VIDEO: "image", AUDIO: "sound"}


class Evidence:
    """Keeps, of every name that a network gives, when it was surest of it and how sure.

    maps: the facts of the signature `label_maps`, without which there is nothing to explain.
    """

    def __init__(self, maps: dict[str, np.ndarray]):
        self._maps = maps
        self._best: dict[str, np.ndarray] = {}
        self._seconds: dict[str, np.ndarray] = {}

    def add(self, window: Window, answers: dict[str, np.ndarray]) -> None:
        """Add what was said of one window; a sense that was absent says nothing."""
        media = window.media
        if media.frames is not None:
            self._add(VIDEO, answers, window.picture_seconds)
        if media.waveform is not None and "sound_probabilities" in answers:
            hop, width = (self._maps[f"sound_{name}_seconds"] for name in ("hop", "window"))
            patches = np.arange(len(answers["sound_probabilities"]))
            self._add(AUDIO, answers, window.start_seconds + patches * hop + width / 2)

    def _add(self, sense: str, answers: dict, seconds: np.ndarray) -> None:
        probabilities = answers.get(f"{_SENSES[sense]}_probabilities")  # (moments, names)
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
