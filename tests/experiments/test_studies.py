"""The studies' own arithmetic, and one of their trainings on a corpus of seconds."""

import numpy as np
import pytest

from experiments.studies import fusions, measuring, runs
from mmat.fetch.mini import mini_groups, mini_labels
from mmat.metrics.bootstrap import Difference

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
    tagging = measuring.tagging(data, scores)
    assert tagging == {"validation F1": 100, "validation mAP": 100, "F1": 100, "mAP": 100}
    localisation = measuring.localisation(data, scores)
    assert localisation == pytest.approx(
        {"segment ER": 0, "segment F1": 100, "segment mAP": 100, "PSDS": 100}
    )


def test_right_tags_at_wrong_times_are_no_localisation(data):
    scores = perfect(data)
    scores["test_frame"] = np.roll(scores["test_frame"], 50, axis=1)
    assert measuring.tagging(data, scores)["F1"] == 100
    assert measuring.localisation(data, scores)["segment F1"] == 0


def test_nothing_is_localised_in_a_clip_that_does_not_fire(data):
    scores = perfect(data)
    scores["test_clip"] = np.zeros_like(scores["test_clip"])
    assert measuring.localisation(data, scores)["segment F1"] == 0


def test_the_gain_is_paired_and_wider_over_groups_that_share_a_fate(data):
    scores = perfect(data)
    group_of = mini_groups()
    groups = [group_of[clip] for clip in data["test"]["ids"]]
    lost = np.array([group == groups[0] for group in groups])
    worse = scores | {"test_clip": np.where(lost[:, None], 0.0, scores["test_clip"])}
    same = measuring.gains(data, [scores], [scores])
    assert same["clip"][:3] == same["group"][:3] == (0.0, 0.0, 0.0)
    gain = measuring.gains(data, [worse], [scores])
    assert gain["clip"].estimate == gain["group"].estimate > 0
    assert gain["group"].high - gain["group"].low >= gain["clip"].high - gain["clip"].low


def test_rows_of_gains_are_in_points():
    gain = Difference(0.05, -0.01, 0.1, 0.975)
    rows, head = fusions.gain_rows({"late": {"clip": gain, "group": gain}})
    assert rows == [["late", "+5.0 [-1.0, 10.0]", "+5.0 [-1.0, 10.0]", "97.5", "97.5"]]
    assert len(head) == len(rows[0])


def test_each_study_asks_for_runs_that_have_names_of_their_own():
    every = {run.name for run in [*runs.poolings(), *runs.schedules(), *runs.precisions()]}
    assert len(every) == 25  # 15 + 5 + 5 + 3 + 3, of which 6 are asked for twice
    assert {run.pooling for run in runs.poolings()} == set(runs.POOLINGS)


def test_a_run_leaves_scores_and_a_model_that_gives_them_again(tmp_path, monkeypatch):
    import keras

    from mmat.training import predict

    rng = np.random.default_rng(0)
    data = {
        split: {
            "waveform": rng.normal(0, 0.1, (16, 8000, 1)).astype(np.float32),
            "has_audio": np.ones(16, bool),
            "weak_labels": truth_of(16, 2),
        }
        for split in ("train", "validation", "test")
    }
    monkeypatch.setattr(runs, "FOLDER", tmp_path)
    run = runs.Run("attention", 1, "float32", 0)
    runs.train(run, data, tmp_path)
    again = predict(keras.saving.load_model(tmp_path / f"{run.name}.keras"), data["test"])
    np.testing.assert_array_equal(run.scores()["test_clip"], again["clip"])
    np.testing.assert_array_equal(run.scores()["test_frame"], again["frame"])
