"""Taggings that the tests of `mmat.tagging` write."""

import numpy as np

from mmat.labels import regression
from mmat.tagging.result import Reason, Tag, Tagging, TimedTag

LABELS = ("Dog", "Fire engine, fire truck (siren)")


def tagging(file: str, **more) -> Tagging:
    tags = (
        Tag(LABELS[1], 0.75, True, 0.5, 0.875, 0.75),
        Tag(LABELS[0], 0.25, False, 0.25, None, 0.25),
    )
    events = (
        TimedTag(LABELS[1], 0.5, 1.2, 0.9, "both", 0.9),
        TimedTag(LABELS[1], 2.0, 2.5, 0.8, confidence=0.8),
    )
    reasons = (Reason(LABELS[1], "video", "fire engine", 0.9, 1.0, 0.6),)
    frames = np.full((30, 2), 0.25, np.float32)
    scores = np.float32([0.25, 0.75])
    fired = np.array([False, True])
    record = (file, 3.0, LABELS, np.float32([0.5, 0.5]), scores, frames, fired, tags, events)
    return Tagging(*record, True, True, reasons=reasons, **more)


FILES = ["a b.mp4", 'tab\tand "quote".wav']


def value_tagging(**more) -> Tagging:
    """A mood that is -1.5 over the clip: 1 at first, then 0, then -2."""
    tags = (Tag("mood", -1.5, True, -1.5, None),)
    stretches = [(0.0, 1.0, 1.25), (1.0, 1.5, -0.125), (1.5, 3.0, -2.25)]
    events = tuple(TimedTag("mood", *stretch) for stretch in stretches)
    frames = np.repeat(np.float32([[1.25], [-0.125], [-2.25]]), [10, 5, 15], axis=0)
    record = ("a.wav", 3.0, ("mood",), np.ones(1), np.float32([-1.5]), frames, np.array([True]))
    return Tagging(*record, tags, events, True, False, task=regression(-3, 3), **more)
