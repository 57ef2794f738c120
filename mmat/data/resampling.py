"""Sound of any rate, in blocks, to one waveform of 16 kHz; only the outcome is held in memory."""

from collections.abc import Iterable

import numpy as np

from mmat.errors import InputError

SAMPLE_RATE_HZ = 16000
_RATES_HZ = (1000, 768_000)
_CHUNK_SAMPLES = 1 << 16
_LONGEST_SECONDS = 4 * 3600


def resampled(blocks: Iterable[np.ndarray], rate_hz: int) -> np.ndarray:
    """Return float32 (samples,) at 16 kHz of a sound that comes in float32 (samples,) blocks.

    The same bits as `soxr.resample` of the whole. Raises InputError for a rate that no sound has
    and for more than four hours, which damaged files promise too.

    >>> resampled([np.zeros(44100, np.float32), np.zeros(22050, np.float32)], 44100).shape
    (24000,)
    """
    import soxr

    if not _RATES_HZ[0] <= rate_hz <= _RATES_HZ[1]:
        raise InputError(f"a sample rate of {rate_hz} Hz is outside {_RATES_HZ} Hz")
    stream = soxr.ResampleStream(rate_hz, SAMPLE_RATE_HZ, 1, dtype="float32")
    waiting, n_waiting, n_seconds = [], 0, 0.0
    parts = []
    for block in blocks:
        waiting.append(block)
        n_waiting += len(block)
        if n_waiting >= _CHUNK_SAMPLES:
            n_seconds += n_waiting / rate_hz
            if n_seconds > _LONGEST_SECONDS:
                hours = _LONGEST_SECONDS // 3600
                raise InputError(f"the sound is longer than {hours} hours; read a range of it")
            parts.append(stream.resample_chunk(np.concatenate(waiting)))
            waiting, n_waiting = [], 0
    rest = np.concatenate(waiting) if waiting else np.zeros(0, np.float32)
    parts.append(stream.resample_chunk(rest, last=True))
    return np.concatenate(parts)
