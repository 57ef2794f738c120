"""Tags of sound as it comes in: from a microphone or a stream."""

import time
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

import numpy as np

from mmat.files import InputError
from mmat.labels import FRAME_HZ
from mmat.media.read import Media
from mmat.media.sound import SAMPLE_RATE_HZ, resampled_blocks
from mmat.media.windows import Sound
from mmat.metrics.decisions import decide, pool_windows
from mmat.tagging.tagger import Tagger

_RATES_HZ = (8000, 192_000)
_BLOCK_SECONDS = 0.02  # resampling holds back a little, for which a longer one would have to come


class Moment(NamedTuple):
    """What sounds in the newest stretch of a stream.

    seconds: where the stretch ends in the stream. tags: (label, highest frame score) of the classes
    whose frame scores reach their threshold in it, the surest first; where classes exclude each
    other the best one alone, with its mean score; of a regression every label and its mean value.
    compute_seconds: how long the model took.
    """

    seconds: float
    tags: tuple[tuple[str, float], ...]
    compute_seconds: float


def listen(tagger: Tagger, stream: BinaryIO, rate_hz: int, hop_seconds: float) -> Iterator[Moment]:
    """Yield what sounds, every `hop_seconds` of a stream of 16-bit little-endian mono PCM.

    The model hears the last `tagger.clip_seconds`, of which the newest hop is reported: a sound is
    reported at most a hop, and the time of computing, after it begins. Raises InputError
    for a rate that no microphone has, for a model that does not hear and for a hop that is not
    within 0.1 s and the length of a clip.

    >>> import io
    >>> from mmat.labels import LabelSet
    >>> from mmat.models.audio import audio_branch
    >>> from mmat.models.bundle import Bundle
    >>> tagger = Tagger.of(Bundle(audio_branch(1), LabelSet.of(["Dog"]), thresholds=[0.0]))
    >>> silence = io.BytesIO(bytes(2 * 2 * 16000))
    >>> [(m.seconds, m.tags[0][0]) for m in listen(tagger, silence, 16000, hop_seconds=1.0)]
    [(1.0, 'Dog'), (2.0, 'Dog')]
    """
    if not _RATES_HZ[0] <= rate_hz <= _RATES_HZ[1]:
        raise InputError(f"a rate of {rate_hz} Hz: outside {_RATES_HZ[0]} to {_RATES_HZ[1]} Hz")
    if "waveform" not in tagger.inputs:
        raise InputError(
            "this model looks at pictures alone; a stream of sound needs one that hears"
        )
    if not 1 / FRAME_HZ <= hop_seconds <= tagger.clip_seconds:
        longest = tagger.clip_seconds
        raise InputError(f"a hop of {hop_seconds:g} s is not within 0.1 and {longest:g} s")
    n_bytes = 2 * round(_BLOCK_SECONDS * rate_hz)
    # A model's first prediction takes seconds: not to be waited for when the stream has begun.
    seconds = min(1.0, tagger.clip_seconds)  # a LiteRT file takes no longer ones
    silence = np.zeros(round(seconds * SAMPLE_RATE_HZ), np.float32)
    tagger.predict(Media(silence, None, seconds))
    sound = Sound(resampled_blocks(_pcm(stream, n_bytes), rate_hz, chunk_samples=1))
    end, heard = hop_seconds, 0.0
    while not sound.ended:
        sound.read_until(end)
        began = time.perf_counter()
        if sound.seconds <= heard:
            return
        heard = min(end, sound.seconds)
        start = max(0.0, heard - tagger.clip_seconds)
        waveform = sound.between(start, heard)
        outputs = tagger.predict(Media(waveform, None, len(waveform) / SAMPLE_RATE_HZ))
        frames = outputs["frame"][-max(1, round(hop_seconds * FRAME_HZ)) :]
        yield Moment(round(heard, 3), _tags(tagger, frames), time.perf_counter() - began)
        sound.forget(start)
        end += hop_seconds


def _tags(tagger: Tagger, frames: np.ndarray) -> tuple[tuple[str, float], ...]:
    """Return the tags of a stretch of frame scores `(time, classes)`, the surest first."""
    newest = pool_windows(tagger.task, frames, np.ones(len(frames)))
    fired = np.flatnonzero(decide(tagger.task, newest, tagger.thresholds))
    if not tagger.task.is_regression:
        fired = fired[np.argsort(-newest[fired], kind="stable")]
    return tuple((tagger.labels[c], float(newest[c])) for c in fired)


def _pcm(stream: BinaryIO, n_bytes: int) -> Iterator[np.ndarray]:
    while block := stream.read(n_bytes):
        whole = len(block) // 2 * 2  # a stream that is cut off may end in half a sample
        yield np.frombuffer(block[:whole], "<i2").astype(np.float32) / 32768
