"""The sound of a file: mono, 16 kHz, in [-1, 1], without gaps, block by block.

Second 0 is where the file starts, so sound and pictures keep their places in relation to each
other, whatever the codec's delay. Sound is resampled by soxr.
"""

import contextlib
import itertools
import math
from collections.abc import Iterable, Iterator

import numpy as np

from mmat.files import InputError
from mmat.labels import FRAME_HZ
from mmat.media.containers import Losses, samples_of, scaled
from mmat.media.survey import Survey, frames_from

SAMPLE_RATE_HZ = 16000
FRAME_SAMPLES = round(SAMPLE_RATE_HZ / FRAME_HZ)  # from one of a model's frame scores to the next
LONGEST_SECONDS = 48 * 3600.0  # a damaged file may promise samples without end
_RATES_HZ = (1000, 768_000)  # of sound that is resampled
_SILENCE_SAMPLES = 2048  # before it, at least
_BLOCK_SAMPLES = 1 << 16
# Containers round their times, Matroska to a millisecond, and FFmpeg's for Vorbis are 14 ms off, at
# most, where long blocks follow short ones.
_SAME_PLACE_SECONDS = 0.015
_FRAMES_AT_ONCE = 16  # converted together: a call of NumPy costs as much as a frame's arithmetic
_CANCELLED_SHARE = 0.05  # of the channels' energy that is left in their sum
_OVERSHOOT = 2.0  # lossy codecs exceed the full scale, but not by as much
_WORTH_SAYING_SECONDS = 0.1


class Sound:
    """The blocks of a range of a file's sound, float32 (samples,) at 16 kHz; iterate once.

    problems: after the last block, what a user should know of it, in sentences.
    """

    def __init__(self, track, frames: Iterator, losses: Losses, look: Survey, span: tuple):
        self._frames, self._losses = frames, losses
        self._places, self._span = _Places(look, span[0]), span
        # What was never compressed has no excuse.
        self._allowed_peak = 1.0 if track.codec_context.name.startswith("pcm_f") else _OVERSHOOT
        self._peak = 0.0
        self._cancelled_seconds = 0.0

    def __iter__(self) -> Iterator[np.ndarray]:
        start, end = self._span
        for rate, frames in itertools.groupby(self._frames, key=lambda frame: frame.sample_rate):
            first = round(start * rate)
            last = None if end is None else round(end * rate)
            placed = self._places.placed(frames, rate)
            section = _Section(_contiguous(self._runs(placed, last), first, last))
            for block in resampled_blocks(section, rate, LONGEST_SECONDS):
                yield np.clip(block, -1.0, 1.0)  # as shards keep it
            start += section.n_samples / rate
            if end is not None and self._places.end_seconds >= end:
                return

    @property
    def problems(self) -> list[str]:
        """What was changed or left out, in sentences."""
        said = []
        if self._losses.seconds >= _WORTH_SAYING_SECONDS:
            said.append(
                f"{self._losses.n_packets} damaged packets, {self._losses.seconds:.1f} s of sound, "
                "cannot be decoded"
            )
        if self._places.twice_seconds >= _WORTH_SAYING_SECONDS:
            said.append(
                f"{self._places.twice_seconds:.1f} s of sound lie where other sound is already, "
                "and are left out"
            )
        if self._cancelled_seconds >= _WORTH_SAYING_SECONDS:
            said.append(
                f"the channels cancel each other out for {self._cancelled_seconds:.1f} s: the "
                "louder one is heard there"
            )
        said.append(beyond_full_scale(self._peak, self._allowed_peak))
        return list(filter(None, said))

    def _runs(self, placed: Iterator[tuple], last: int | None) -> Iterator[tuple]:
        """Yield (place, mono samples) of several frames each that follow without a gap."""
        run, begin, cursor, kind = [], 0, 0, None
        for place, frame in placed:
            if last is not None and place >= last:
                if run:
                    yield begin, self._mono(run)
                yield last, np.zeros(0, np.float32)  # so that a pause reaches up to there
                return
            own = frame.format.name, frame.layout.nb_channels
            if run and (place != cursor or own != kind or len(run) == _FRAMES_AT_ONCE):
                yield begin, self._mono(run)
                run = []
            if not run:
                begin = cursor = place
                kind = own
            run.append(frame)
            cursor += frame.samples
        if run:
            yield begin, self._mono(run)

    def _mono(self, frames: list) -> np.ndarray:
        """Return one channel, float32 (samples,), of audio frames of one kind."""
        samples = np.concatenate([samples_of(frame) for frame in frames], axis=1)
        mixed, is_cancelled = mixdown(samples)
        if is_cancelled:
            self._cancelled_seconds += samples.shape[1] / frames[0].sample_rate
        mono = scaled(mixed, samples.dtype)
        if samples.dtype.kind == "f" and len(mono):
            self._peak = max(self._peak, float(np.abs(mono).max()))
        return mono


class _Places:
    """Where frames lie, rate after rate; end_seconds: of those so far, 0 before the first.

    twice_seconds: how much from `start_seconds` on lies where others lie already.
    """

    def __init__(self, look: Survey, start_seconds: float):
        self._look, self._start_seconds = look, start_seconds
        self.end_seconds, self.twice_seconds, self._is_begun = 0.0, 0.0, False

    def placed(self, frames: Iterable, rate: int) -> Iterator[tuple]:
        """Yield (place in samples, frame) of each frame of one rate.

        Where time stamps are counts of samples, they are wrong after a change of the rate, and
        where such files were joined. In a file whose time stamps restart nothing comes twice: what
        would lie before the last frame's end follows it.
        """
        look, shift, begin = self._look, 0, round(self._start_seconds * rate)
        cursor = end = round(self.end_seconds * rate)
        has_times = look.has_times or (look.is_plain and not self._is_begun)
        for frame in frames:
            if frame.time is not None and (has_times or not self._is_begun):
                place = round((frame.time - look.origin_seconds) * rate) + shift
                if not look.is_plain and self._is_begun and place < cursor:
                    shift += cursor - place
                    place = cursor
                if not self._is_begun or abs(place - cursor) > _SAME_PLACE_SECONDS * rate:
                    cursor = place
            if self._is_begun and begin <= cursor < end:
                self.twice_seconds += min(end - cursor, frame.samples) / rate
            self._is_begun = True
            end = max(end, cursor + frame.samples)
            self.end_seconds = end / rate
            yield cursor, frame
            cursor += frame.samples


class _Section:
    """Blocks of one rate, counted as they pass."""

    def __init__(self, blocks: Iterator[np.ndarray]):
        self._blocks, self.n_samples = blocks, 0

    def __iter__(self) -> Iterator[np.ndarray]:
        for block in self._blocks:
            self.n_samples += len(block)
            yield block


def beyond_full_scale(peak: float, allowed: float) -> str:
    """Return what is said of samples beyond 1, or nothing.

    >>> beyond_full_scale(32767.0, allowed=1.0)
    'samples reach 32767, where 1 is full scale: they are cut off there; store them in [-1, 1]'
    """
    if not peak > allowed:
        return ""
    return (
        f"samples reach {peak:.5g}, where 1 is full scale: they are cut off there; store them in "
        "[-1, 1]"
    )


@contextlib.contextmanager
def sound_from(look: Survey, start_seconds: float = 0.0, end_seconds: float | None = None):
    """Open a file's `Sound`, or give None without a sound track.

    Raises NotReadable, while it is iterated, for what FFmpeg cannot decode, and InputError for a
    rate that no sound has.
    """
    losses = Losses(math.inf if end_seconds is None else look.origin_seconds + end_seconds)
    with frames_from(look, look.sound_track, start_seconds, losses) as (track, frames):
        if track is None:
            yield None
            return
        span = start_seconds, end_seconds
        yield Sound(track, frames, losses, look, span)


def mixdown(samples: np.ndarray) -> tuple[np.ndarray, bool]:
    """Return one channel of (channels, samples), and whether the channels cancelled each other.

    It is their mean, floats as float32, whole numbers as float64; where they are in antiphase, so
    that nearly nothing is left of their sum, the louder one.

    >>> mixdown(np.int16([[1, 2], [2, 4]]))[0].tolist()
    [1.5, 3.0]
    >>> mixdown(np.float32([[0.5, -0.25], [-0.5, 0.25]]))
    (array([ 0.5 , -0.25], dtype=float32), True)
    """
    kind = np.float32 if samples.dtype.kind == "f" else np.float64
    with np.errstate(all="ignore"):  # damage, which the caller checks for
        # Channel by channel: NumPy's mean takes ten times as long where the channels of a sample
        # lie side by side.
        mean = samples[0].astype(kind)
        for channel in samples[1:]:
            mean += channel
        mean /= len(samples)
        if len(samples) > 1:
            middle = 128 if samples.dtype == np.uint8 else 0
            energies = [_energy(channel, middle) for channel in samples]
            left = _energy(mean, middle) * len(samples) ** 2
            if left < _CANCELLED_SHARE * sum(energies) < math.inf:
                return samples[int(np.argmax(energies))].astype(kind), True
    return mean, False


def _energy(samples: np.ndarray, middle: int) -> float:
    samples = samples.astype(np.float32)
    if middle:
        samples -= middle
    return float(np.dot(samples, samples))


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
    chunk_samples: int = _BLOCK_SAMPLES,
) -> Iterator[np.ndarray]:
    """Yield float32 (samples,) at 16 kHz, part by part, of a sound that comes in blocks.

    It is resampled as if silence came before it: soxr's first samples are off by some per cent
    otherwise. chunk_samples: how many samples are collected, at least, before they are resampled.
    Raises InputError for a rate that no sound has, and for a sound longer than `longest_seconds`,
    since a damaged file may yield one without end.
    """
    import soxr

    if not _RATES_HZ[0] <= rate_hz <= _RATES_HZ[1]:
        raise InputError(f"a sample rate of {rate_hz} Hz is outside {_RATES_HZ} Hz")
    # The silence is a whole number of samples at both rates.
    common = math.gcd(rate_hz, SAMPLE_RATE_HZ)
    n_periods = -(-_SILENCE_SAMPLES // (rate_hz // common))
    n_silent = n_periods * SAMPLE_RATE_HZ // common  # of the output, still to be left out
    stream = soxr.ResampleStream(rate_hz, SAMPLE_RATE_HZ, 1, dtype="float32")
    n_seconds = 0.0
    for chunk, last in _chunks(blocks, n_periods * rate_hz // common, chunk_samples):
        n_seconds += len(chunk) / rate_hz
        if not last and n_seconds > longest_seconds:
            hours = longest_seconds / 3600
            raise InputError(f"the sound is longer than {hours:g} hours; read a range of it")
        output = stream.resample_chunk(chunk, last=last)
        yield output[n_silent:]
        n_silent -= min(n_silent, len(output))


def _chunks(
    blocks: Iterable[np.ndarray], n_zeros: int, chunk_samples: int
) -> Iterator[tuple[np.ndarray, bool]]:
    """Yield blocks, with zeros before them, joined to longer ones, and whether each is the last."""
    waiting, n_waiting = [np.zeros(n_zeros, np.float32)], 0
    for block in blocks:
        waiting.append(block)
        n_waiting += len(block)
        if n_waiting >= chunk_samples:
            yield np.concatenate(waiting), False
            waiting, n_waiting = [], 0
    yield np.concatenate([*waiting, np.zeros(0, np.float32)]), True


def _contiguous(placed: Iterator, first: int, last: int | None) -> Iterator[np.ndarray]:
    """Yield the samples between two places, gaps filled with zeros, overlaps once."""
    cursor = first
    for place, mono in placed:
        while place > cursor:
            silence = np.zeros(min(place - cursor, _BLOCK_SAMPLES), np.float32)
            yield silence
            cursor += len(silence)
        mono = mono[cursor - place : None if last is None else max(0, last - place)]
        yield mono
        cursor += len(mono)
