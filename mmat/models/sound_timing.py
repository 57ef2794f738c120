"""Frames of a clip that is heard and seen: when the sound says, as sure as both senses are.

A picture says that something is there, the sound says when. So the log-odds of what is heard are
shifted over the whole clip by what the picture adds to the sound's belief, or takes from it.
"""

from collections.abc import Sequence

import keras
import numpy as np
from keras import ops

from mmat.models.scores import ScoreLayer, log_odds, shifted

MOST_SHIFT = 4.0  # log-odds by which a clip's belief moves what is heard; chosen on validation


@keras.saving.register_keras_serializable(package="mmat")
class LogitsTimedBySound(ScoreLayer):
    """Frames that are when the sound says, as sure as both senses are of the clip: their log-odds.

    A picture says that something is there, the sound says when. So what is heard is shifted over
    the whole clip by what the picture adds to its belief, or takes from it, `most` at most. Inputs,
    log-odds: of what is heard `(batch, time, classes)`, of the clip by the sound alone and by both
    senses `(batch, classes)`, and of the frames by both senses, which stay for labels that the
    sound does not know. heard: bool `(classes,)`, those that it knows.

    >>> heard, sound, both = np.float32([[[2], [-2]]]), np.float32([[-1]]), np.float32([[0]])
    >>> LogitsTimedBySound([True])([heard, sound, both, heard]).numpy().ravel().tolist()
    [3.0, -1.0]
    """

    def __init__(self, heard: Sequence[bool], most: float = MOST_SHIFT, **kwargs):
        super().__init__(**kwargs)
        self.heard = [bool(knows) for knows in heard]
        self.most = most

    def call(self, inputs):
        frames, sound, both, frames_of_both = inputs
        timed = frames + clip_shift(sound, both, self.most)
        return ops.where(np.array(self.heard), timed, frames_of_both)

    def get_config(self):
        return super().get_config() | {"heard": self.heard, "most": self.most}


@keras.saving.register_keras_serializable(package="mmat")
class TimedBySound(LogitsTimedBySound):
    """The same of scores in [0, 1]; what is heard with 0 stays 0.

    >>> heard, sound, both = np.float32([[[0.5], [0.0]]]), np.float32([[0.5]]), np.float32([[0.75]])
    >>> TimedBySound([True])([heard, sound, both, heard]).numpy().round(4).ravel().tolist()
    [0.75, 0.0]
    """

    def call(self, inputs):
        frames, sound, both, frames_of_both = inputs
        return timed_by_sound(frames, sound, both, frames_of_both, np.array(self.heard), self.most)


def timed_by_sound(frames, sound, both, frames_of_both, heard, most: float = MOST_SHIFT):
    """Return what `TimedBySound` does of these scores; heard: bool `(classes,)`."""
    timed = shifted(frames, clip_shift(log_odds(sound), log_odds(both), most))
    return ops.where(heard, timed, frames_of_both)


def clip_shift(sound, both, most: float):
    """Return what both senses add to the sound's log-odds of a clip: `(batch, 1, classes)`.

    sound, both: log-odds `(batch, classes)`; most: of the shift, up or down.
    """
    return ops.expand_dims(ops.clip(both - sound, -most, most), 1)
