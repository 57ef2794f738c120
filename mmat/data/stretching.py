"""Log-mel of other voices: spoken faster or slower, in a shorter or longer throat, nearer or off."""

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class Voices:
    """How far a random voice goes from the one that was recorded.

    tempo, throat: greatest change of time and of frequency, as a logarithm: 0.2 is 22 %. level_db:
    greatest change of level. What a longer throat does to a voice, all resonances lower by one
    factor, is stretched along the bands as they stand, which is a longer throat above 1 kHz, where
    they are logarithmic, and a shift below.
    """

    tempo: float = 0.2
    throat: float = 0.15
    level_db: float = 3.0


def other_voice(log_mel: np.ndarray, rng: np.random.Generator, voices: Voices) -> np.ndarray:
    """Return decibels `(frames, bands)` as a random other voice would give, in as many bands.

    Source: vocal tract length perturbation (Jaitly and Hinton, ICML workshop 2013) and speed
    perturbation (Ko et al., INTERSPEECH 2015), here on the log-mel.

    >>> mel = np.zeros((40, 64))
    >>> other_voice(mel, np.random.default_rng(0), Voices(0.0, 0.0, 0.0)).shape
    (40, 64)
    """
    tempo, throat = (rng.uniform(-most, most) for most in (voices.tempo, voices.throat))
    n_frames = max(1, round(len(log_mel) * np.exp(tempo)))
    slower = _resampled(log_mel, n_frames, np.exp(-tempo))
    longer = _resampled(slower.T, log_mel.shape[1], np.exp(throat)).T
    return (longer + rng.uniform(-voices.level_db, voices.level_db)).astype(np.float32)


def _resampled(rows: np.ndarray, count: int, step: float) -> np.ndarray:
    """Return rows at 0, step, 2 · step and so on, linearly between; beyond the end the last one."""
    places = np.minimum(np.arange(count) * step, len(rows) - 1)
    before = places.astype(int)
    after = np.minimum(before + 1, len(rows) - 1)
    share = (places - before)[:, None]
    return rows[before] * (1 - share) + rows[after] * share
