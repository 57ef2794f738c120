"""The list of the mini corpus: enough of every class, and nothing in two splits."""

import collections
import itertools

import librosa
import numpy as np
import pytest
import soundfile
import soxr

from mmat.corpora.sources import read_sources
from mmat.files import data_list
from mmat.labels import LabelSet

SPLITS = {"train", "validation", "test"}
TEMPLATE_FRAMES = 60  # 1.5 s
ALIKE = 0.9


@pytest.fixture(scope="module")
def sources():
    return read_sources(data_list("mini", "sources.csv"))


@pytest.fixture(scope="module")
def waveforms(sources, mini_sources):
    """Recordings and noises at 16 kHz, float32 (samples,), by id."""
    read = {}
    for source in sources:
        if source.kind in ("recording", "noise"):
            samples, rate = soundfile.read(
                mini_sources / source.file, dtype="float32", always_2d=True
            )
            read[source.id] = soxr.resample(samples.mean(axis=1), rate, 16000)
    return read


def of_kind(sources, *kinds):
    return [source for source in sources if source.kind in kinds]


def splits_by(sources, key):
    """The splits in which each value of a key occurs."""
    found = collections.defaultdict(set)
    for source in sources:
        found[key(source)].add(source.split)
    return found


def test_ids_and_files_are_unique(sources):
    assert len({(source.kind, source.id) for source in sources}) == len(sources)
    assert len({source.sha256 for source in sources}) == len(sources)
    ids = [source.id for source in sources]
    assert len(set(ids)) == len(ids), "plans name a source by its id alone"


def test_enough_of_ten_classes(sources, waveforms):
    recordings = collections.Counter(
        source.label
        for source in of_kind(sources, "recording")
        if len(waveforms[source.id]) >= 0.3 * 16000
    )
    photographs = collections.Counter(source.label for source in of_kind(sources, "photograph"))
    full = [label for label in recordings if recordings[label] >= 4 and photographs[label] >= 3]
    assert len(full) >= 10
    assert set(full) == set(photographs) == {s.label for s in of_kind(sources, "recording")}


def test_the_label_set_is_that_of_the_list(sources):
    labels = LabelSet.from_csv(data_list("mini", "labels.csv"))
    assert set(labels.names) == {source.label for source in of_kind(sources, "recording")}


def test_every_class_is_in_every_split(sources):
    for kind in ("recording", "photograph"):
        found = splits_by(of_kind(sources, kind), lambda source: source.label)
        assert all(splits == SPLITS for splits in found.values()), kind
    for kind in ("noise", "scenery", "distractor"):
        assert {source.split for source in of_kind(sources, kind)} == SPLITS, kind


def test_an_original_work_is_in_one_split(sources):
    assert all(source.source_group and source.split in SPLITS for source in sources)
    found = splits_by(of_kind(sources, "recording", "noise"), lambda source: source.source_group)
    assert all(len(splits) == 1 for splits in found.values())
    found = splits_by(sources, lambda source: source.source_group)
    assert [group for group, splits in found.items() if len(splits) > 1] == []


def test_a_file_is_in_one_split(sources):
    assert all(len(splits) == 1 for splits in splits_by(sources, lambda s: s.sha256).values())
    assert all(len(splits) == 1 for splits in splits_by(sources, lambda s: s.member).values())


def test_licence_and_credit_are_named(sources):
    assert all(source.license and source.credit and source.package for source in sources)


def log_mels(samples):
    """64-band log-mel (bands, frames) at a hop of 25 ms."""
    power = librosa.feature.melspectrogram(
        y=samples, sr=16000, n_fft=1024, hop_length=400, n_mels=64
    )
    return librosa.power_to_db(power + 1e-8, top_db=None)


class Slide:
    """A recording's log-mel, made ready to be slid over all others by Fourier transforms."""

    def __init__(self, mel: np.ndarray, n_padded: int):
        self.n_frames = mel.shape[1]
        mel = mel - mel.mean(axis=1, keepdims=True)
        self.transform = np.fft.rfft(mel, n_padded)
        sums = np.cumsum(np.pad(mel, ((0, 0), (1, 0))), axis=1)
        squares = np.cumsum(np.pad(np.square(mel).sum(axis=0), (1, 0)))
        n = self.n_template = min(TEMPLATE_FRAMES, self.n_frames)
        template = mel[:, :n] - mel[:, :n].mean(axis=1, keepdims=True)
        self.template = np.conj(np.fft.rfft(template, n_padded))
        self.norm = np.linalg.norm(template)
        self.sums, self.squares = sums, squares

    def window_norms(self, n: int) -> np.ndarray:
        """The norm of each window of n frames, less its own mean in each band."""
        means = (self.sums[:, n:] - self.sums[:, :-n]) / n
        squares = self.squares[n:] - self.squares[:-n]
        return np.sqrt(np.maximum(squares - n * np.square(means).sum(axis=0), 1e-6))


def likeness(a: Slide, b: Slide) -> float:
    """The highest correlation of the shorter's first 1.5 s (or all of it) with the longer."""
    if a.n_frames > b.n_frames:
        a, b = b, a
    products = np.fft.irfft(np.einsum("bf,bf->f", b.transform, a.template))
    norms = b.window_norms(a.n_template)
    return float((products[: len(norms)] / (norms * a.norm + 1e-9)).max())


def slides(waveforms):
    mels = {name: log_mels(samples) for name, samples in waveforms.items()}
    n_padded = 1 << (max(mel.shape[1] for mel in mels.values()) + TEMPLATE_FRAMES).bit_length()
    return {name: Slide(mel, n_padded) for name, mel in mels.items()}


def test_no_recording_of_one_split_sounds_like_one_of_another(sources, waveforms):
    split_of = {source.id: source.split for source in of_kind(sources, "recording", "noise")}
    found = slides(waveforms)
    alike = [
        (round(score, 3), first, second)
        for first, second in itertools.combinations(found, 2)
        if split_of[first] != split_of[second]
        and (score := likeness(found[first], found[second])) > ALIKE
    ]
    assert alike == []


def test_likeness_equals_a_loop():
    rng = np.random.default_rng(0)
    short, long = rng.normal(size=(8, 20)), rng.normal(size=(8, 90))
    best = -1.0
    for first in range(90 - 20 + 1):
        windows = [x - x.mean(axis=1, keepdims=True) for x in (short, long[:, first : first + 20])]
        norms = [np.linalg.norm(window) for window in windows]
        best = max(best, (windows[0] * windows[1]).sum() / (norms[0] * norms[1]))
    a, b = Slide(short, 256), Slide(long, 256)
    assert likeness(a, b) == pytest.approx(best, abs=1e-6)
    assert likeness(b, a) == pytest.approx(best, abs=1e-6)


def test_most_edits_of_a_recording_are_found_out(sources, waveforms):
    """Cut, softer, without the highest band and with faint hiss: five in six are recognised."""
    rng = np.random.default_rng(0)
    originals = {source.id: waveforms[source.id] for source in of_kind(sources, "recording")}
    edits = {}
    for name, samples in originals.items():
        cut = samples[len(samples) // 10 :]
        low = soxr.resample(soxr.resample(cut, 16000, 14000), 14000, 16000)
        hiss = rng.normal(0, 0.0005 * np.abs(low).max(), len(low))
        edits[f"{name}/edit"] = np.float32(0.4 * (low + hiss))
    found = slides(originals | edits)
    scores = {name: likeness(found[name], found[f"{name}/edit"]) for name in originals}
    assert np.mean([score > ALIKE for score in scores.values()]) > 0.8, scores
