"""Speech instead of sounds: folds, what is kept of them, figures; and CMU-MOSI end to end."""

import dataclasses
import json
import pathlib
import subprocess

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score

from experiments import sentiment
from mmat.cli.common import BAD_INPUT
from mmat.metrics.decisions import decide
from mmat.pretrained.registry import yamnet
from mmat.tagging.tagger import load
from tests.experiments.conftest import run
from tests.lists.made_mosi import VIDEOS, make_videos, write_csd

EMOTIONS = {"a": "anger", "s": "fear", "n": "neutral"}
ROOT = pathlib.Path(__file__).parents[2]


def test_the_package_names_the_word_in_labels_metrics_and_the_reader_alone():
    """The same branches, data path, training and export: what is particular stands in one place."""
    command = ["git", "grep", "-il", "sentiment", "--", "mmat/"]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    named = found.stdout.split()
    assert set(named) == {"mmat/labels.py", "mmat/lists/cmu_mosi.py", "mmat/metrics/regression.py"}


@pytest.fixture(scope="module")
def all_speech(speech_emotion) -> sentiment.Speech:
    return sentiment.fetched_speech(progress=False)


@pytest.fixture(scope="module")
def few(all_speech) -> sentiment.Speech:
    """Every eighth recording, shortened to half a second."""
    few = part_of(all_speech, np.arange(0, 450, 8))
    n_samples = np.minimum(few.n_samples, 8000)
    return dataclasses.replace(few, waveform=few.waveform[:, :8000], n_samples=n_samples)


def part_of(whole: sentiment.Speech, clips: np.ndarray) -> sentiment.Speech:
    arrays = ("waveform", "n_samples", "truth", "speakers")
    own = {name: getattr(whole, name)[clips] for name in arrays}
    return dataclasses.replace(whole, ids=[whole.ids[clip] for clip in clips], **own)


def test_the_recordings_are_those_that_are_told_of(all_speech):
    assert len(set(all_speech.ids)) == 450
    assert all_speech.truth.sum(axis=0).tolist() == [150, 150, 150]
    assert (all_speech.truth.sum(axis=1) == 1).all()
    names, counts = np.unique(all_speech.speakers, return_counts=True)
    assert names.tolist() == ["m1", "m2", "m3", "m4", "m5"] and set(counts) == {90}
    assert all(i.startswith(s) for i, s in zip(all_speech.ids, all_speech.speakers, strict=True))


def test_a_fold_leaves_one_speaker_out_and_all_are_left_out_once(all_speech):
    tested = []
    for speaker, train, test in all_speech.folds():
        assert set(all_speech.speakers[test]) == {speaker}
        assert speaker not in all_speech.speakers[train]
        assert len(train) + len(test) == 450
        tested += list(test)
    assert sorted(tested) == list(range(450))


class Spy:
    """A system that records what it was given, and decides rightly for the clips of training."""

    name, about, n_weights, is_random = "spy", "as it is", 0, False

    def __init__(self, of: sentiment.Speech):
        self.speech, self.trainings = of, []

    def fit_predict(self, train, seed):
        self.trainings.append(set(self.speech.speakers[train]))
        scores = np.zeros(self.speech.truth.shape, np.float32)
        scores[train] = self.speech.truth[train]
        return sentiment.Fitted(scores, {"seed": seed})


def test_scores_come_from_the_fold_without_the_speaker_and_are_kept(few, tmp_path):
    spy = Spy(few)
    scores, infos = sentiment.left_out(few, spy, 3, tmp_path)
    assert not scores.any()  # none was given for a clip that a training had
    everyone = {"m1", "m2", "m3", "m4", "m5"}
    assert spy.trainings == [everyone - {speaker} for speaker in sorted(everyone)]
    assert [of["seed"] for of in infos.values()] == [3] * 5
    again, infos_again = sentiment.left_out(few, spy, 3, tmp_path)
    assert len(spy.trainings) == 5 and infos_again == infos
    np.testing.assert_array_equal(again, scores)
    others = dataclasses.replace(few, ids=[f"other {i}" for i in few.ids])
    with pytest.raises(sentiment.InputError, match="of other recordings or settings; --again"):
        sentiment.left_out(others, spy, 3, tmp_path)
    spy.about = "with another recipe"
    with pytest.raises(sentiment.InputError, match="of other recordings or settings; --again"):
        sentiment.left_out(few, spy, 3, tmp_path)


def test_from_recordings_to_the_table_an_export_and_a_tagged_recording(
    few, tmp_path, monkeypatch, capfd
):
    """The command itself, on few recordings and for one epoch."""
    short = dataclasses.replace(sentiment.CRNN_RECIPE, epochs=1, batch_size=4)
    monkeypatch.setattr(sentiment, "CRNN_RECIPE", short)
    monkeypatch.setattr(sentiment, "SYSTEMS", sentiment.SYSTEMS[:3])
    three = part_of(few, np.flatnonzero(np.isin(few.speakers, ["m1", "m2", "m3"]))[::2])
    monkeypatch.setattr(sentiment, "fetched_speech", lambda: three)
    out = tmp_path / "out"
    assert run(sentiment.main, ["--out", str(out)]) == 0
    said = capfd.readouterr().out
    names = ["most frequent class", "ridge on YAMNet", "CRNN from scratch"]
    report = json.loads((out / "report.json").read_text())
    assert list(report["systems"]) == names
    assert list(report["over_reference"]) == [names[0], names[2]]
    assert all(name in said for name in names) and "left out in turn, %" in said
    first = three.ids.index(next(clip for clip in three.ids if clip.startswith("m1")))
    assert f"acted as: {EMOTIONS[three.ids[first].split('.')[1][0]]}" in said
    for picture in ("systems.png", "tagged.png"):
        assert (out / picture).read_bytes().startswith(b"\x89PNG")
    tagger = load(out / "export")
    tagging = tagger.tag(three.waveform[first, : three.n_samples[first], 0])
    assert tagging.labels == three.labels.names and tagging.fired.sum() == 1
    kept = np.load(out / "folds" / "CRNN-from-scratch-m1-seed0.npz")
    np.testing.assert_allclose(tagging.clip_scores, kept["scores"][0], atol=1e-4)


def test_the_ridge_chooses_its_penalty_without_the_speaker_who_is_left_out(few):
    """Other sound of the left-out speaker changes neither the choice nor what it rests on."""
    _, train, test = next(few.folds())
    ridge = sentiment.Ridge(few)
    info = ridge.fit_predict(train, 0).info
    ridge.inputs[test] = 1e3
    assert ridge.fit_predict(train, 0).info == info
    nested = {penalty: ridge._nested(train, penalty) for penalty in sentiment.PENALTIES}
    assert info["nested_uar"] == max(nested.values()) == nested[info["penalty"]]


def test_patches_are_those_of_the_recordings_without_their_padding(few):
    longer = dataclasses.replace(few, waveform=np.pad(few.waveform, ((0, 0), (0, 999), (0, 0))))
    for one, other in zip(few.patches(yamnet)[:5], longer.patches(yamnet)[:5], strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("make", [sentiment.crnn, sentiment.head])
def test_a_network_learns_and_predicts_as_the_whole_branch_does(few, make, tmp_path):
    network = make(few)
    network.recipe = dataclasses.replace(network.recipe, epochs=2, batch_size=8)
    _, train, _ = next(few.folds())
    fitted = network.fit_predict(train, seed=0)
    np.testing.assert_allclose(fitted.scores.sum(axis=1), 1, atol=1e-5)
    whole = fitted.branch.predict(
        {"waveform": few.waveform, "n_samples": few.n_samples}, batch_size=19, verbose=0
    )
    np.testing.assert_allclose(fitted.scores, whole["clip"], atol=1e-4)
    before = network.build(0, 0.0).get_layer("frame").get_weights()[0]
    assert np.abs(fitted.branch.get_layer("frame").get_weights()[0] - before).max() > 1e-4
    fitted.branch.save(tmp_path / "branch.keras")


def test_figures_are_those_of_scikit_learn_and_means_over_speakers(few):
    rng = np.random.default_rng(0)
    scores = rng.dirichlet(np.ones(3), len(few.ids)).astype("float32")
    outputs = {"guess": [scores], "know": [few.truth.astype("float32")]}
    report = sentiment.report_of(few, outputs, reference="guess")
    decided = decide(few.labels.task, scores, 0.0).argmax(axis=1)
    expected = [
        balanced_accuracy_score(few.truth[test].argmax(axis=1), decided[test])
        for _, _, test in few.folds()
    ]
    guess = report["systems"]["guess"]
    np.testing.assert_allclose(guess["uar"]["speakers"], expected)
    assert guess["uar"]["mean"] == pytest.approx(np.mean(expected))
    assert guess["uar"]["sd"] == pytest.approx(np.std(expected, ddof=1))
    reach = 2.7764451 * np.std(expected, ddof=1) / np.sqrt(5)  # Student's t, 4 degrees of freedom
    assert guess["uar"]["interval"][1] - np.mean(expected) == pytest.approx(reach)
    gain = report["over_reference"]["know"]["by_speaker"]
    np.testing.assert_allclose(gain["speakers"], 1 - np.array(expected))
    assert report["systems"]["know"]["accuracy"]["by_clip"] == [1.0, 1.0]
    table = sentiment.as_table(report)
    assert f"{100 * np.mean(expected):.1f} ± {100 * np.std(expected, ddof=1):.1f}" in table
    assert "above it for 5 of 5 speakers" in sentiment.gain_lines(report)[0]


def test_cmu_mosi_from_the_label_file_to_an_export_that_tells_a_value(tmp_path, capsys):
    """Made videos: the same script, with a few steps, down to `mmat.load`."""
    csd = write_csd(tmp_path / "labels.csd", VIDEOS)
    media, out = make_videos(tmp_path / "videos"), tmp_path / "out"
    command = ["--csd", str(csd), "--media", str(media), "--out", str(out), "--steps", "2"]
    command += ["--checkpoints", "1", "--batch-size", "2", "--no-boards", "--no-deterministic"]
    assert run(sentiment.main, [*command, "--precision", "float32"]) == 0
    report = json.loads((out / "report.json").read_text())
    found = report["test"]["systems"]["audio"]
    assert 0 <= found["mae"] <= 6 and "f1" not in found
    assert "mae" in capsys.readouterr().out.lower()
    from mmat.cli import main as mmat

    assert mmat(["export", str(out / "audio"), "--out", str(tmp_path / "export")]) == 0
    tagging = load(tmp_path / "export").tag(media / "tmZoasNr4rU.mp4")
    assert tagging.labels == ("sentiment",) and -3 <= tagging.clip_scores[0] <= 3


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        (["--csd", "a.csd"], "CMU-MOSI needs both"),
        (["--media", "videos"], "CMU-MOSI needs both"),
        (["--steps", "3"], "--steps: unknown without --csd"),
        (["--csd", "a.csd", "--media", "v", "--seeds", "2"], "--seeds: is about the emotions"),
        (["--seeds", "0"], "no whole number from 1 up"),
        (["--csd", "no.csd", "--media", "no"], "no.csd"),
    ],
)
def test_bad_commands_are_one_line(command, reason, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run(sentiment.main, command) == BAD_INPUT
    said = capsys.readouterr().err
    assert reason in said and len(said.splitlines()) == 1
    assert not list(tmp_path.iterdir())
