"""Find copies of a recording, however loud and wherever cut: the correlation of waveforms."""

import collections
import itertools
import pathlib
from collections.abc import Iterator

import numpy as np
import scipy.fft

from mmat.lists.clip import Clip
from mmat.media.read import read_media

RATE_HZ = 16000
TEMPLATE_SAMPLES = 8000
LONGEST_SAMPLES = 12 * RATE_HZ  # of what is compared


class Recording:
    """A waveform, and its loudest half second (or all of it) as a template."""

    def __init__(self, waveform: np.ndarray):
        self.waveform = np.ravel(waveform)[:LONGEST_SAMPLES].astype(np.float64)
        n = min(TEMPLATE_SAMPLES, len(self.waveform))
        self.sums = np.concatenate([[0], np.cumsum(np.square(self.waveform))])
        first = int(np.argmax(self.sums[n:] - self.sums[:-n]))
        template = self.waveform[first : first + n]
        self.template = template / np.linalg.norm(template)
        # Only whole overlaps are looked at, so what goes round the end does no harm.
        self.n_fft = scipy.fft.next_fast_len(len(self.waveform), real=True)
        self.transform = scipy.fft.rfft(self.waveform, self.n_fft)


def likeness(a: Recording, b: Recording) -> float:
    """The highest correlation of the template of either with any part of the other recording."""
    return max(_slide(a.template, b), _slide(b.template, a))


def _slide(template: np.ndarray, recording: Recording) -> float:
    n, n_all = len(template), len(recording.waveform)
    if n > n_all:
        return 0.0
    n_fft = recording.n_fft
    transform = recording.transform * np.conj(scipy.fft.rfft(template, n_fft))
    products = np.abs(scipy.fft.irfft(transform, n_fft)[: n_all - n + 1])
    norms = np.sqrt(np.maximum(recording.sums[n:] - recording.sums[:-n], 0))
    return float((products / np.maximum(norms, 1e-3 * np.sqrt(n))).max())


def copies_across_groups(clips: list[Clip], folder: pathlib.Path, alike: float) -> Iterator:
    """Yield pairs of ids of clips of one label and of two groups that are more alike than that."""
    by_label = collections.defaultdict(list)
    for clip in clips:
        recording = Recording(read_media(folder / clip.file).waveform)
        by_label[clip.labels].append((clip, recording))
    for own in by_label.values():
        for (clip, recording), (other, other_recording) in itertools.combinations(own, 2):
            apart = clip.source_group != other.source_group
            if apart and likeness(recording, other_recording) > alike:
                yield clip.id, other.id
