"""The studies' own arithmetic, and one of their trainings on a corpus of seconds."""

import json
import sys

import keras
import numpy as np
import pytest

from experiments.options import POOLINGS
from experiments.studies import common, fusions, poolings, schedules, strong_audio
from mmat.corpora.mini import mini_groups, mini_labels
from mmat.files import InputError
from mmat.metrics.bootstrap import Difference
from mmat.models.predict import predict

pytest_plugins = ["tests.models.tiny_encoder"]
CLASSES = len(mini_labels())


def truth_of(n_clips: int, seed: int) -> np.ndarray:
    return np.eye(CLASSES, dtype=np.float32)[
        np.random.default_rng(seed).integers(CLASSES, size=n_clips)
    ]


@pytest.fixture(scope="module")
def data():
    """Clips of the test split's own names, each with one event from 2 to 5 s."""
    ids = [clip for clip in mini_groups() if clip.startswith("test-")][:40]
    truth = truth_of(len(ids), 1)
    events = [[(int(np.argmax(row)), 2.0, 5.0)] for row in truth]
    return {
        "validation": {"weak_labels": truth_of(20, 0)},
        "test": {"weak_labels": truth, "ids": ids, "events": events},
    }


def perfect(data) -> dict[str, np.ndarray]:
    """What a system says that knows it all."""
    frames = np.full((len(data["test"]["ids"]), 100, CLASSES), 0.1)
    frames[:, 20:50] = 0.1 + 0.8 * data["test"]["weak_labels"][:, None]
    return {
        "validation_clip": 0.1 + 0.8 * data["validation"]["weak_labels"],
        "test_clip": 0.1 + 0.8 * data["test"]["weak_labels"],
        "test_frame": frames,
    }


def test_a_system_that_knows_all_has_every_figure(data):
    scores = perfect(data)
    tagging = common.tagging(data, scores)
    assert tagging == {"validation F1": 100, "validation mAP": 100, "F1": 100, "mAP": 100}
    localisation = common.localisation(data, scores)
    assert localisation == pytest.approx(
        {"segment ER": 0, "segment F1": 100, "segment mAP": 100, "PSDS": 100}
    )


def test_right_tags_at_wrong_times_are_no_localisation(data):
    scores = perfect(data)
    scores["test_frame"] = np.roll(scores["test_frame"], 50, axis=1)
    assert common.tagging(data, scores)["F1"] == 100
    assert common.localisation(data, scores)["segment F1"] == 0


def test_nothing_is_localised_in_a_clip_that_does_not_fire(data):
    scores = perfect(data)
    scores["test_clip"] = np.zeros_like(scores["test_clip"])
    assert common.localisation(data, scores)["segment F1"] == 0


def test_the_gain_is_paired_and_wider_over_groups_that_share_a_fate(data):
    scores = perfect(data)
    group_of = mini_groups()
    groups = [group_of[clip] for clip in data["test"]["ids"]]
    lost = np.array([group == groups[0] for group in groups])
    worse = scores | {"test_clip": np.where(lost[:, None], 0.0, scores["test_clip"])}
    same = common.gains(data, [scores], [scores])
    assert same["clip"][:3] == same["group"][:3] == (0.0, 0.0, 0.0)
    gain = common.gains(data, [worse], [scores])
    assert gain["clip"].estimate == gain["group"].estimate > 0
    assert gain["group"].high - gain["group"].low >= gain["clip"].high - gain["clip"].low


def test_rows_of_gains_are_in_points():
    gain = Difference(0.05, -0.01, 0.1, 0.975)
    rows, head = fusions.gain_rows({"late": {"clip": gain, "group": gain}})
    assert rows == [["late", "+5.0 [-1.0, 10.0]", "+5.0 [-1.0, 10.0]", "97.5", "97.5"]]
    assert len(head) == len(rows[0])


def test_each_study_asks_for_runs_that_have_names_of_their_own():
    runs = [*poolings.runs("float32"), *poolings.runs("float32", encoder="yamnet")]
    runs += [*common.schedules("float32"), *schedules.precisions()]
    every = {run.name for run in [*runs, *strong_audio.heads("float32")]}
    assert len(every) == 15 + 15 + (10 - 3) + 3 + 2  # each run once, whoever asks for it
    assert {run.pooling for run in poolings.runs("float32")} == set(POOLINGS)
    assert common.schedules("float32")[0].name == "linear-12-float32-seed0"
    assert strong_audio.heads("float32")[1].name.startswith("yamnet-linear-")


def test_the_command_line_names_precision_and_seeds(monkeypatch, capsys):
    command = ["study", "--precision", "mixed_bfloat16", "--seeds", "2", "--encoder", "yamnet"]
    monkeypatch.setattr(sys, "argv", command)
    arguments = common.parse_arguments("A study.", seeds=5, encoder=True)
    assert (arguments.precision, arguments.seeds) == ("mixed_bfloat16", 2)
    assert arguments.encoder == "yamnet"
    monkeypatch.setattr(sys, "argv", ["study"])
    arguments = common.parse_arguments("A study.", seeds=5, kept="of what is there")
    assert arguments.precision in common.PRECISIONS and arguments.seeds == 5 and not arguments.kept
    assert capsys.readouterr().out.splitlines()[-1] == f"precision: {arguments.precision}"


def corpus(n_clips: int = 16, n_samples: int = 8000) -> dict[str, dict]:
    """Three splits of noise."""
    rng = np.random.default_rng(0)
    return {
        split: {
            "ids": [f"{split}-{i}" for i in range(n_clips)],
            "waveform": rng.normal(0, 0.1, (n_clips, n_samples, 1)).astype(np.float32),
            "has_audio": np.arange(n_clips) % 5 > 0,
            "has_video": np.arange(n_clips) % 3 > 0,
            "weak_labels": truth_of(n_clips, 2),
        }
        for split in ("train", "validation", "test")
    }


def test_a_run_leaves_scores_and_a_model_that_gives_them_again(tmp_path, monkeypatch):
    data = corpus(20)
    monkeypatch.setattr(common, "FOLDER", tmp_path)
    run = common.Run("attention", 1, "float32", 0)
    assert not run.is_kept
    common.keep(run, common.trainer([run], data), tmp_path)
    assert run.is_kept
    again = predict(keras.saving.load_model(tmp_path / f"{run.name}.keras"), data["test"])
    np.testing.assert_array_equal(run.scores()["test_clip"], again["clip"])
    np.testing.assert_array_equal(run.scores()["test_frame"], again["frame"])


def test_the_fusion_of_kept_scores_is_better_where_both_are_there_and_else_a_branchs():
    data = corpus(40)
    rng = np.random.default_rng(1)
    heard, seen = (
        {
            split: np.clip(
                0.1 + 0.6 * data[split]["weak_labels"] + rng.normal(0, 0.2, (40, CLASSES)),
                0.01,
                0.99,
            ).astype(np.float32)
            for split in strong_audio.SPLITS
        }
        for _ in range(2)
    )
    keras.utils.set_random_seed(0)
    fused = strong_audio.late_scores(data, heard, seen)["test"]
    test = data["test"]
    for name, own in (("has_video", heard), ("has_audio", seen)):
        other = test["has_audio"] if name == "has_video" else test["has_video"]
        np.testing.assert_array_equal(fused[other & ~test[name]], own["test"][other & ~test[name]])
    both = test["has_audio"] & test["has_video"]
    truth = test["weak_labels"][both] > 0

    def margin(scores):
        return scores[both][truth].mean() - scores[both][~truth].mean()

    assert margin(fused) > max(margin(heard["test"]), margin(seen["test"]))


def test_video_adds_nothing_to_a_system_that_knows_all(data):
    right = perfect(data)
    lost = np.arange(len(data["test"]["ids"])) % 4 == 0
    worse = right | {"test_clip": np.where(lost[:, None], 0.0, right["test_clip"])}
    systems = {
        strong_audio.WEAK: [{"audio": worse, "fused": right}],
        strong_audio.STRONG: [{"audio": right, "fused": right}],
    }
    gains = strong_audio.video_gains(data, systems)
    for label in strong_audio.FIGURES:
        for by in ("clip", "group"):
            weak, strong, less = (
                gains[f"{label}, {name}"][by] for name in (*systems, strong_audio.LESS)
            )
            assert strong.estimate == strong.low == strong.high == 0 < weak.estimate
            assert less.estimate == pytest.approx(-weak.estimate)
            assert (less.low, less.high) == pytest.approx((-weak.high, -weak.low))
    assert "less than" in strong_audio.verdict(gains)


def test_the_schedule_is_chosen_by_validation_map(data, tmp_path, monkeypatch):
    monkeypatch.setattr(common, "FOLDER", tmp_path)
    chosen = common.schedules("float32", seeds=1)
    with pytest.raises(InputError, match="linear-12-float32-seed0 is not there"):
        strong_audio.best_schedule(data, chosen)
    right = perfect(data)
    wrong = right | {"validation_clip": 1 - right["validation_clip"]}
    for run, scores in zip(chosen, (wrong, right), strict=True):
        np.savez(tmp_path / f"{run.name}.npz", **scores)
    assert strong_audio.best_schedule(data, chosen) == chosen[1:]


@pytest.mark.parametrize(
    ("study", "chosen", "left"),
    [
        (poolings, poolings.runs("float32", 1, "yamnet"), "poolings_yamnet"),
        (schedules, common.schedules("float32", 1), "schedules"),
    ],
)
def test_a_study_of_kept_runs_is_a_table_and_figures(
    study, chosen, left, data, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(common, "FOLDER", tmp_path)
    monkeypatch.setattr(common, "read_data", lambda: data)
    for run in chosen:
        np.savez(tmp_path / f"{run.name}.npz", seconds=3.0, **perfect(data))
    encoder = ["--encoder", "yamnet"] if study is poolings else []
    monkeypatch.setattr(sys, "argv", ["study", "--precision", "float32", "--seeds", "1", *encoder])
    study.main()
    table = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| ")]
    assert len(table) == 1 + len(chosen) and all("100.0 ± 0.0" in line for line in table[1:])
    kept = json.loads((tmp_path / f"{left}.json").read_text(encoding="utf-8"))
    assert len(kept) == len(chosen) and all(own["F1"]["seeds"] == [100] for own in kept.values())
