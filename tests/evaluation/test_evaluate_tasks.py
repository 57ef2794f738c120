"""`mmat evaluate` where a clip has one of several classes, or values: same way, other figures."""

import csv
import json

import keras
import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score

from mmat.cli import main
from mmat.evaluation.evaluate import evaluate
from mmat.evaluation.files import read_tags_tsv, read_truth_tsv
from mmat.evaluation.page import as_table
from mmat.labels import MULTI_CLASS, LabelSet, regression
from mmat.metrics import regression as of_values
from mmat.models.audio import audio_branch
from mmat.models.bundle import Bundle, load_bundle, save_bundle
from mmat.models.fusion import fused_model
from mmat.models.video import video_branch
from mmat.shards.read import read_arrays

pytest_plugins = ["tests.export.tiny"]

HEAD = "id,file,labels,split,source_group\n"
FILES = ["both.mp4", "sound.mp4", "pictures.mp4", "sound.wav"]
MOODS = LabelSet(("Angry", "Calm", "Sad"), task=MULTI_CLASS)
VALENCE = LabelSet(("valence",), task=regression(1, 5))
CELLS = {MOODS: ["Angry", "Sad", "Calm", "Sad"], VALENCE: [f"valence={x}" for x in (1, 2.5, 5, 4)]}


def model_of(labels, senses):
    audio = audio_branch(labels, ragged=True)
    if senses == "audio":
        return audio
    similarities = np.random.default_rng(0).random((1000, len(labels)), np.float32)
    return fused_model(audio, video_branch(labels, similarities=similarities))


def run(*words) -> int:
    return main([str(word) for word in words])


@pytest.fixture(scope="module")
def made(clips, models_cache, tmp_path_factory):
    """Folders by label set: clips with lengths of their own, and untrained models `senses`."""
    folders = {}
    for labels, cells in CELLS.items():
        folder = folders[labels] = tmp_path_factory.mktemp("made")
        rows = [f"{i},{file},{cell},test,{file[:5]}\n" for i, (file, cell) in
                enumerate(zip(FILES, cells, strict=True))]  # fmt: skip
        rows += [f"v{i},sound.wav,{cell},validation,\n" for i, cell in enumerate(cells[1:])]
        (folder / "list.csv").write_text(HEAD + "".join(rows))
        labels.to_csv(folder / "labels.csv")
        words = ["--labels", folder / "labels.csv", "--frames", "2", "--workers", "0"]
        words += ["--clip-seconds", "whole", "--media", clips, "--out", folder / "shards"]
        assert run("prepare", folder / "list.csv", *words) == 0
        keras.utils.set_random_seed(1)
        for senses in ("audio", "fused"):
            network = "" if senses == "audio" else "efficientnet_lite0"
            thresholds = np.full(len(labels), labels.task.low, np.float32)
            bundle = Bundle(model_of(labels, senses), labels, thresholds, network, 2, 2.0)
            save_bundle(folder / senses, bundle)
    return folders


def evaluated(folder, senses, out, capsys, *more) -> tuple[dict, str]:
    """Return the report of `mmat evaluate`, and what it printed."""
    words = ["--model", folder / senses, "--data", folder / "shards", "--out", out, *more]
    assert run("evaluate", *words, "--groups", folder / "list.csv") == 0
    return json.loads((out / "report.json").read_text()), capsys.readouterr().out


@pytest.mark.parametrize("senses", ["audio", "fused"])
def test_of_classes_one_is_decided_and_the_recalls_are_averaged(senses, made, tmp_path, capsys):
    report, printed = evaluated(made[MOODS], senses, tmp_path, capsys)
    tags = read_tags_tsv(tmp_path / "predictions.tsv")
    truth = read_truth_tsv(tmp_path / "truth.tsv", MOODS.names, tags.ids).truth
    without_sound = tags.ids.index("2")
    judged = np.delete(np.arange(4), without_sound) if senses == "audio" else np.arange(4)
    assert np.array_equal(tags.fired[judged], tags.scores[judged].argmax(1)[:, None] == range(3))
    np.testing.assert_allclose(tags.scores[judged].sum(axis=1), 1, atol=1e-5)
    if senses == "audio":
        assert not tags.scores[without_sound].any() and not tags.fired[without_sound].any()
        assert sum(map(sum, report["confusion"])) == 3 and report["recall"] < 1
    else:
        true, decided = truth.argmax(1), tags.fired.argmax(1)
        assert report["uar"] == pytest.approx(balanced_accuracy_score(true, decided))
        assert set(report["branches"]) == {"audio", "video"}
        gain = report["branches"]["audio"]["fused_above_it"]["source_groups"]["uar"]
        assert gain["estimate"] == pytest.approx(report["uar"] - report["branches"]["audio"]["uar"])
    assert report["accuracy"] == pytest.approx((truth & tags.fired).sum() / 4)
    # Sad is the most common class of validation, and half of the test.
    assert report["best_constant"]["accuracy"] == 0.5
    assert report["best_constant"]["uar"] == pytest.approx(1 / 3)
    assert set(report["intervals"]) == {"clips", "source_groups"}
    assert "uar, %" in printed and "Angry" in printed
    page = (tmp_path / "report.html").read_text()
    assert "unweighted average recall" in page and "threshold" not in page
    assert "micro" not in page


@pytest.mark.parametrize("senses", ["audio", "fused"])
def test_of_values_there_are_errors_a_table_and_a_picture(senses, made, tmp_path, capsys):
    report, printed = evaluated(made[VALENCE], senses, tmp_path, capsys)
    with open(tmp_path / "predictions.tsv", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    truth, values = (np.array([row[x] for row in rows], np.float32) for x in ("truth", "value"))
    assert [row["id"] for row in rows] == list("0123") and truth.tolist() == [1, 2.5, 5, 4]
    assert report["mae"] == pytest.approx(of_values.mean_absolute_error(truth, values))
    assert report["pearson"] == pytest.approx(of_values.pearson_correlation(truth, values))
    assert report["accuracy_rounded"] == of_values.rounded_accuracy(truth, values, 1, 5)
    assert not any("negative" in name for name in report)  # 0 is not on this scale
    # 4 is the median of validation: 2.5, 5, 4.
    assert report["best_constant"]["mae"] == pytest.approx((3 + 1.5 + 1 + 0) / 4)
    assert report["best_constant"]["pearson"] is None
    if senses == "audio":
        assert values[2] == 3  # no sound: the middle of the scale
    else:
        alone = report["branches"]["audio"]
        gain = alone["fused_above_it"]["clips"]["mae"]
        assert gain["estimate"] == pytest.approx(report["mae"] - alone["mae"])
    assert (tmp_path / "values.png").read_bytes()[1:4] == b"PNG"
    written = {path.name for path in tmp_path.iterdir()}
    assert written == {"report.json", "predictions.tsv", "values.png"}
    assert f"{report['mae']:.3f}" in printed and "over source groups" in printed


def test_of_classes_the_score_of_the_winning_one_is_measured(made, tmp_path, capsys):
    more = "--against", made[MOODS] / "audio"
    report, printed = evaluated(made[MOODS], "fused", tmp_path, capsys, *more)
    tags = read_tags_tsv(tmp_path / "predictions.tsv")
    truth = read_truth_tsv(tmp_path / "truth.tsv", MOODS.names, tags.ids).truth
    right, score = (truth & tags.fired).any(axis=1), tags.scores.max(axis=1)
    found = report["calibration"]
    assert found["brier_score"] == pytest.approx(((score - right) ** 2).mean())
    assert sum(found["reliability"]["n_cases"]) == 4
    gain = report["against"]["model_above_it"]["clips"]
    assert gain["uar"]["estimate"] == pytest.approx(report["uar"] - report["against"]["uar"])
    assert gain["brier_score"]["estimate"] == pytest.approx(
        found["brier_score"] - report["against"]["calibration"]["brier_score"]
    )
    assert "expected calibration error, %" in printed and "this model" in printed


def test_of_values_there_is_no_calibration_and_errors_are_compared(made, tmp_path, capsys):
    more = "--against", made[VALENCE] / "audio"
    report, printed = evaluated(made[VALENCE], "fused", tmp_path, capsys, *more)
    gain = report["against"]["model_above_it"]["clips"]["mae"]
    assert gain["estimate"] == pytest.approx(report["mae"] - report["against"]["mae"])
    assert "calibration" not in report and "calibration" not in report["against"]
    assert "calibration" not in printed and "this model" in printed


def test_a_model_of_other_labels_is_no_comparison(made, tmp_path, capsys):
    words = ["--model", made[MOODS] / "audio", "--data", made[MOODS] / "shards"]
    assert run("evaluate", *words, "--against", made[VALENCE] / "audio") == 2
    error = capsys.readouterr().err
    assert "its labels are not those of the model" in error and error.count("mmat: error") == 1


def test_a_branch_that_had_nothing_to_go_by_says_the_middle_of_the_scale(made):
    folder = made[VALENCE]
    found = evaluate(load_bundle(folder / "fused"), folder / "shards", progress=False, resamples=5)
    branches = found.outputs.branches
    heard, seen = (read_arrays(folder / "shards", "test")[x] for x in ("has_audio", "has_video"))
    assert (branches["audio"][~heard] == 3).all() and (branches["video"][~seen] == 3).all()
    for row in np.flatnonzero(~seen):
        assert found.scores[row] == pytest.approx(branches["audio"][row], abs=1e-6)
    assert all(((frames >= 1) & (frames <= 5)).all() for frames in found.outputs.frames)
    assert as_table(found).count("\n") == 4


def test_a_clip_that_cannot_be_judged_has_no_events(made):
    folder = made[MOODS]
    found = evaluate(load_bundle(folder / "audio"), folder / "shards", progress=False, resamples=5)
    heard = read_arrays(folder / "shards", "test")["has_audio"]
    assert [bool(events) for events in found.outputs.events] == heard.tolist()
    assert [frames.any() for frames in found.outputs.frames] == heard.tolist()


def test_a_model_of_another_task_is_refused_in_a_line(made, tmp_path, capsys):
    tags = LabelSet.of(MOODS.names)
    bundle = Bundle(audio_branch(3), tags, np.full(3, 0.5, np.float32))
    save_bundle(tmp_path / "tags", bundle)
    assert run("evaluate", "--model", tmp_path / "tags", "--data", made[MOODS] / "shards") == 2
    error = capsys.readouterr().err
    assert "its labels are multi-class, those of the model multi-label" in error
    assert error.count("mmat: error") == 1
