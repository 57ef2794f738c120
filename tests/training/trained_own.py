"""Training on own sounds in the way of these tests: without pictures, quietly, in one process."""

from mmat.training.own import Trained, train
from tests.training.made_sounds import NOISE

WRONG = f"{NOISE}/wrong.wav"  # a tone from 1 s on


def trained_on(source, out, cache, **options) -> Trained:
    """Train, with options of `train` where they are others."""
    options = {"image_network": None, "workers": 0, "progress": False} | options
    return train(source, out, cache=cache, **options)
