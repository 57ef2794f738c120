"""Synthesized sounds in a folder of folders, of labels that YAMNet has names for."""

import pathlib

import numpy as np
import soundfile

RATE_HZ = 16000
TONE, NOISE, NOTHING = "Sine wave", "White noise", "_noise"


def tone(seconds: float, seed: int = 0) -> np.ndarray:
    """Return a sine wave, of another pitch for every seed."""
    times = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    return np.sin(2 * np.pi * (300 + 110 * seed) * times) / 4


def noise(seconds: float, seed: int = 0) -> np.ndarray:
    """Return uniform noise."""
    return np.random.default_rng(seed).uniform(-0.2, 0.2, round(seconds * RATE_HZ))


def silence(seconds: float, seed: int = 0) -> np.ndarray:
    """Return all but silence."""
    return noise(seconds, seed) / 5000


def write_sound(path: pathlib.Path, waveform: np.ndarray) -> pathlib.Path:
    """Write a WAV file, and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, waveform, RATE_HZ)
    return path


def write_sounds(top: pathlib.Path, seeds: range, seconds: float = 2.0) -> pathlib.Path:
    """Write a file of each label for every seed; their lengths differ a little."""
    for seed in seeds:
        for label, make in ((TONE, tone), (NOISE, noise), (NOTHING, silence)):
            write_sound(top / label / f"{seed}.wav", make(seconds + seed / 10, seed))
    return top
