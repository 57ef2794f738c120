"""Sound that comes in bit by bit: which tags it has, and when."""

import io

import numpy as np
import pytest

from mmat.files import InputError
from mmat.labels import LabelSet
from mmat.models.audio import audio_branch
from mmat.models.bundle import Bundle
from mmat.tagging.live import listen
from mmat.tagging.tagger import Tagger
from tests.export.converting import export_tflite_here
from tests.tagging.levels import shares, sound

pytest_plugins = ["tests.export.tiny", "tests.export.tiny_tasks"]


@pytest.fixture(scope="module")
def tagger(exports) -> Tagger:
    return Tagger(exports["audio"])


def noise(seconds: float, rate_hz: int = 16000) -> np.ndarray:
    rng = np.random.default_rng(0)
    return np.round(rng.normal(0, 3000, round(seconds * rate_hz))).astype("<i2")


def test_every_moment_is_the_end_of_its_last_window(tagger):
    samples = noise(12.5)
    moments = list(listen(tagger, io.BytesIO(samples.tobytes()), 16000, hop_seconds=1.0))
    assert [moment.seconds for moment in moments] == [*range(1, 13), 12.5]
    waveform = samples.astype(np.float32) / 32768
    for moment in (moments[0], moments[11], moments[12]):
        end = round(moment.seconds * 16000)
        window = waveform[max(0, end - 160_000) : end]
        newest = tagger.tag(window).frame_scores[-10:].max(axis=0)
        expected = {
            label: float(score)
            for label, score, threshold in zip(
                tagger.labels, newest, tagger.thresholds, strict=True
            )
            if score >= threshold
        }
        assert dict(moment.tags) == pytest.approx(expected, abs=1e-3)
        scores = [score for _, score in moment.tags]
        assert scores == sorted(scores, reverse=True)
        assert moment.compute_seconds > 0


@pytest.mark.parametrize("rate_hz", [8000, 16000, 48000])
def test_a_moment_waits_for_no_more_than_its_hop(rate_hz, tagger):
    """The stream is a pipe that counts what was taken."""

    class Microphone(io.BytesIO):
        taken = 0

        def read(self, size=-1):
            block = super().read(size)
            Microphone.taken += len(block)
            return block

    stream = Microphone(noise(2.0, rate_hz).tobytes())
    for moment in listen(tagger, stream, rate_hz, hop_seconds=0.5):
        # Resampling holds back some hundred samples of the lower rate.
        assert Microphone.taken / 2 / rate_hz - moment.seconds <= 0.15


def test_half_a_sample_at_the_end_is_left_out(tagger):
    whole, cut = (
        list(listen(tagger, io.BytesIO(noise(1.5).tobytes()[: 48000 - n]), 16000, 1.0))
        for n in (2, 1)
    )
    assert [m.tags for m in whole] == [m.tags for m in cut]


@pytest.mark.parametrize(
    ("rate", "hop", "words"),
    [(100, 1.0, "a rate of 100 Hz"), (16000, 0.01, "a hop of 0.01 s"), (16000, 11, "a hop of 11")],
)
def test_impossible_streams_are_bad_input(rate, hop, words, tagger):
    with pytest.raises(InputError, match=words):
        list(listen(tagger, io.BytesIO(b""), rate, hop))


def test_a_model_of_pictures_alone_cannot_listen(exports):
    with pytest.raises(InputError, match="pictures alone"):
        list(listen(Tagger(exports["video"]), io.BytesIO(b""), 16000, 1.0))


def test_a_stream_has_its_best_class_or_its_value(level_taggers):
    samples = np.round(32768 * sound((0.5, 2.0), (-0.25, 1.0), (0.0, 1.0))).astype("<i2")
    found = {
        name: [m.tags for m in listen(tagger, io.BytesIO(samples.tobytes()), 16000, 1.0)]
        for name, tagger in level_taggers.items()
    }
    assert [[label for label, _ in tags] for tags in found["classes"]] == [
        ["high"],
        ["high"],
        ["low"],
        ["still"],
    ]
    scores = [tags[0][1] for tags in found["classes"]]
    expected = [shares(level).max() for level in (0.5, 0.5, -0.25, 0.0)]
    assert scores == pytest.approx(expected, abs=1e-3)
    assert [[label for label, _ in tags] for tags in found["values"]] == [["mood"]] * 4
    assert [tags[0][1] for tags in found["values"]] == pytest.approx([1.5, 1.5, -0.75, 0], abs=1e-3)


def test_a_file_of_clips_shorter_than_a_second_listens(tmp_path):
    labels, samples = LabelSet.of(["Dog"]), io.BytesIO(noise(1.3).tobytes())
    bundle = Bundle(audio_branch(1), labels, [0.0], clip_seconds=0.5)
    tagger = Tagger(export_tflite_here(bundle, tmp_path / "a.tflite"))
    moments = list(listen(tagger, samples, 16000, hop_seconds=0.5))
    assert [moment.seconds for moment in moments] == [0.5, 1.0, 1.3]
