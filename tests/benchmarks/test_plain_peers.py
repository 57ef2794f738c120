"""The peers do the same work: features, thresholds, reading."""

import numpy as np
import pytest

from benchmarks.made_media import write_movies, write_sound
from benchmarks.peers import plain_readers
from benchmarks.peers.plain_mel import librosa_log_mel, tensorflow_log_mel
from benchmarks.peers.plain_thresholds import looped, made_scores, plain_pass
from benchmarks.waveforms import waveforms
from mmat.media.read import read_audio, read_frames
from mmat.metrics.tagging import precision_recall_f1
from mmat.metrics.thresholds import fire, tune_thresholds
from mmat.models.features import log_mel


@pytest.fixture(scope="module")
def clips():
    return waveforms(2)


def test_librosa_and_the_plain_graph_give_our_log_mel(clips):
    ours = log_mel(clips[:, :, None]).numpy()[..., 0]
    assert np.abs(librosa_log_mel(clips) - ours).max() < 1e-3
    assert np.abs(tensorflow_log_mel()(clips).numpy() - ours).max() < 1e-3


def test_a_pass_of_ours_is_no_worse_than_one_of_the_loop():
    truth, scores = made_scores(17, 300)
    thresholds, n_done = plain_pass(truth, scores)
    fired = [fire(scores, t) for t in (thresholds, tune_thresholds(truth, scores, max_passes=1))]
    loop, ours = (precision_recall_f1(truth, each).f1 for each in fired)
    assert n_done == 17
    assert 0 < loop <= ours


def test_the_loop_is_projected_to_all_classes(monkeypatch):
    clock = iter(range(100)).__next__  # each look at it is a second later
    monkeypatch.setattr("benchmarks.peers.plain_thresholds.time.perf_counter", clock)
    monkeypatch.setattr("benchmarks.peers.plain_thresholds.LOOP_SECONDS", 1.5)
    # Two classes are done when the loop finds that it is late; five looks lie around them.
    assert looped(17, 20)() == 4 * 17 / 2


@pytest.mark.parametrize("suffix", ["wav", "flac", "mp3", "mp4"])
def test_plain_readers_hear_what_we_hear(tmp_path, suffix):
    path = write_sound(tmp_path / f"a.{suffix}", seconds=2)
    plain = plain_readers.by_pyav if suffix == "mp4" else plain_readers.by_soundfile
    ours, theirs = read_audio(path), plain(str(path))
    n = min(len(ours), len(theirs))
    assert n > 31_000
    assert np.sqrt(np.mean((ours[:n] - theirs[:n]) ** 2)) < 0.01 * np.sqrt(np.mean(ours**2))


def test_every_picture_is_what_we_see_where_all_are_keyframes(tmp_path):
    (path,) = write_movies(tmp_path, (320, 180), [1], seconds=2)
    ours, theirs = read_frames(path).astype(int), plain_readers.every_picture(str(path)).astype(int)
    assert ours.shape == theirs.shape == (8, 180, 320, 3)
    # A picture earlier or later at most: the layers move by two pixels.
    assert np.abs(ours - theirs).mean() < 12
