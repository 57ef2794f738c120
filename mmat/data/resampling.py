"""Sound of any rate to 16 kHz, by soxr, block by block."""

import math
from collections.abc import Iterable, Iterator

import numpy as np

from mmat.errors import InputError

SAMPLE_RATE_HZ = 16000
_RATES_HZ = (1000, 768_000)
_CHUNK_SAMPLES = 1 << 16
_SILENCE_SAMPLES = 2048


def resampled(
    blocks: Iterable[np.ndarray], rate_hz: int, longest_seconds: float = 4 * 3600.0
) -> np.ndarray:
    """Return float32 (samples,) at 16 kHz of a sound that comes in float32 (samples,) blocks.

    Raises InputError as `resampled_blocks` does.

    >>> resampled([np.zeros(44100, np.float32), np.zeros(22050, np.float32)], 44100).shape
    (24000,)
    """
    return np.concatenate(list(resampled_blocks(blocks, rate_hz, longest_seconds)))


def resampled_blocks(
    blocks: Iterable[np.ndarray],
    rate_hz: int,
    longest_seconds: float = math.inf,
    chunk_samples: int = _CHUNK_SAMPLES,
) -> Iterator[np.ndarray]:
    """Yield float32 (samples,) at 16 kHz, bit by bit, of a sound that comes in blocks.

    It is resampled as if silence came before it: soxr's first samples are off by some per cent
    otherwise. chunk_samples: of the sound that are waited for at least. Raises InputError for a
    rate that no sound has, and for a sound longer than longest_seconds, since a damaged file may
    yield one without end.
    """
    import soxr

    if not _RATES_HZ[0] <= rate_hz <= _RATES_HZ[1]:
        raise InputError(f"a sample rate of {rate_hz} Hz is outside {_RATES_HZ} Hz")
    # So much silence that it is a whole number of samples at both rates.
    common = math.gcd(rate_hz, SAMPLE_RATE_HZ)
    n_periods = -(-_SILENCE_SAMPLES // (rate_hz // common))
    n_silent = n_periods * SAMPLE_RATE_HZ // common  # of the answer, still to be left out
    stream = soxr.ResampleStream(rate_hz, SAMPLE_RATE_HZ, 1, dtype="float32")
    n_seconds = 0.0
    for chunk, last in _chunks(blocks, n_periods * rate_hz // common, chunk_samples):
        n_seconds += len(chunk) / rate_hz
        if not last and n_seconds > longest_seconds:
            hours = longest_seconds / 3600
            raise InputError(f"the sound is longer than {hours:g} hours; read a range of it")
        answer = stream.resample_chunk(chunk, last=last)
        yield answer[n_silent:]
        n_silent -= min(n_silent, len(answer))


def _chunks(
    blocks: Iterable[np.ndarray], n_zeros: int, chunk_samples: int
) -> Iterator[tuple[np.ndarray, bool]]:
    """Yield blocks, with zeros before them, in longer pieces, and which of these is the last."""
    waiting, n_waiting = [np.zeros(n_zeros, np.float32)], 0
    for block in blocks:
        waiting.append(block)
        n_waiting += len(block)
        if n_waiting >= chunk_samples:
            yield np.concatenate(waiting), False
            waiting, n_waiting = [], 0
    yield np.concatenate([*waiting, np.zeros(0, np.float32)]), True
