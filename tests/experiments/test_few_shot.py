"""Learning curves: what a draw holds, who is scored by whom, and a run that goes on."""

import json

import numpy as np
import pytest

from experiments import few_shot
from experiments.few_shot import ALL, F1, NAMES, OURS, PROBE, UAR, Data, drawn, trial
from mmat.labels import MULTI_CLASS, MULTI_LABEL
from mmat.training.learn import Frozen

N_CLASSES, SIZE = 3, 6
PER_SPLIT = {"train": 36, "validation": 12, "test": 24}


@pytest.fixture(scope="module")
def data() -> Data:
    """Clips of one or two recordings of a label, whose embeddings tell it and names do not."""
    rng = np.random.default_rng(0)
    splits = np.repeat(list(PER_SPLIT), list(PER_SPLIT.values()))
    labels = np.arange(len(splits)) % N_CLASSES
    numbers = np.arange(len(splits)) // N_CLASSES
    ids = [f"{split}-{i}" for i, split in enumerate(splits)]
    recordings = [
        tuple((f"{split} {label} {(n + second) % 5}", f"{label}") for second in range(1 + n % 2))
        for split, label, n in zip(splits, labels, numbers, strict=True)
    ]
    groups = [tuple(dict.fromkeys(name for name, _ in own)) for own in recordings]
    truth = np.eye(N_CLASSES, dtype=np.float32)[labels]
    statistics = rng.normal(0, 1, (len(splits), N_CLASSES, 5)).astype(np.float32)
    pooled = np.concatenate([truth, 1 - truth], axis=1) + rng.normal(0, 0.1, (len(splits), SIZE))
    present = np.ones(len(splits), bool)
    present[[3, 50]] = False
    clips = Frozen(
        ids,
        truth,
        groups,
        {"audio": present},
        {"audio": statistics},
        {"audio": pooled.astype(np.float32)},
    )
    learnt_from = splits == "train"
    rounds = [(np.flatnonzero(learnt_from), np.flatnonzero(~learnt_from))]
    return Data(MULTI_LABEL, clips, splits, recordings, rounds, splits == "test")


def recordings_of(data: Data, rows) -> dict[str, set[str]]:
    found = {}
    for row in rows:
        for recording, label in data.recordings[row]:
            found.setdefault(label, set()).add(recording)
    return found


@pytest.mark.parametrize("draw", range(5))
def test_a_draw_holds_no_more_recordings_than_asked_and_keeps_those_of_smaller_draws(data, draw):
    rows, _ = data.rounds[0]
    before = set()
    for k in (1, 2, 4):
        own = drawn(data, rows, k, draw)
        assert set(own) <= set(rows)
        assert all(len(each) <= k for each in recordings_of(data, own).values())
        assert before <= set(own)
        before = set(own)
    assert drawn(data, rows, ALL, draw).tolist() == rows.tolist()


def test_draws_differ(data):
    rows, _ = data.rounds[0]
    chosen = {tuple(drawn(data, rows, 2, draw)) for draw in range(10)}
    assert len(chosen) > 5


def test_only_what_is_not_learnt_from_is_scored(data):
    found = trial(data, ALL, 0)
    for system in (PROBE, OURS):
        scored = np.isfinite(found[f"audio/{system}"]).all(axis=1)
        assert scored.tolist() == (data.splits != "train").tolist()
    assert found["n_clips"].tolist() == [PER_SPLIT["train"]]


def test_both_systems_learn_what_embeddings_tell_and_score_0_without_sound(data):
    found = trial(data, ALL, 0)
    point = few_shot.point(data, "audio", [found])
    assert point["systems"][PROBE][F1]["mean"] > 0.9
    assert point["systems"][OURS][F1]["mean"] > point["systems"][NAMES][F1]["mean"] + 0.3
    for system in (PROBE, OURS):
        assert not found[f"audio/{system}"][50].any()


def test_without_a_recording_ours_is_names_alone(data):
    point = few_shot.point(data, "audio", [])
    assert point["systems"][OURS] == point["systems"][NAMES]
    assert PROBE not in point["systems"]
    gain = point["gains"]["over names"]["group"][F1]
    assert (gain["estimate"], gain["low"], gain["high"]) == (0, 0, 0)


def test_gains_are_those_of_the_means(data):
    trials = [trial(data, 2, draw) for draw in range(2)]
    point = few_shot.point(data, "audio", trials)
    means = {name: own[F1]["mean"] for name, own in point["systems"].items()}
    for by in ("clip", "group"):
        gain = point["gains"]["over probe"][by][F1]
        assert gain["estimate"] == pytest.approx(means[OURS] - means[PROBE])
        assert gain["low"] <= gain["estimate"] <= gain["high"]


def test_of_labels_that_exclude_each_other_the_best_counts(data):
    exclusive = few_shot.dataclasses.replace(data, task=MULTI_CLASS)
    point = few_shot.point(exclusive, "audio", [trial(exclusive, ALL, 0)])
    assert point["systems"][PROBE][UAR]["mean"] > 0.9
    assert set(point["systems"][OURS]) == {UAR}


def test_a_run_goes_on_from_its_trials_and_leaves_a_report(data, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(few_shot.CORPORA, "drums", lambda: data)
    words = ["--corpus", "drums", "--out", str(tmp_path)]
    few_shot.main([*words, "--draws", "1"])
    kept = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "drums/trials").iterdir()}
    assert sorted(kept) == ["1-0.npz", "2-0.npz", "4-0.npz", "8-0.npz", "all-0.npz"]
    few_shot.main([*words, "--draws", "2"])
    now = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "drums/trials").iterdir()}
    assert len(now) == 9
    assert {name: now[name] for name in kept} == kept
    report = json.loads((tmp_path / "drums" / "report.json").read_text())
    assert list(report["curves"]["audio"]) == ["0", "1", "2", "4", "8", "all"]
    assert (tmp_path / "drums" / "curves.png").read_bytes().startswith(b"\x89PNG")
    tables = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| ")]
    assert len(tables) == 2 * 2 * 7


def test_trials_of_other_clips_are_not_taken_for_ones_own(data, tmp_path):
    few_shot.kept_trial(tmp_path, data, 1, 0)
    path = tmp_path / "trials" / "1-0.npz"
    before = path.stat().st_mtime_ns
    others = few_shot.dataclasses.replace(
        data.clips, ids=[f"other {clip}" for clip in data.clips.ids]
    )
    few_shot.kept_trial(tmp_path, few_shot.dataclasses.replace(data, clips=others), 1, 0)
    assert path.stat().st_mtime_ns > before
