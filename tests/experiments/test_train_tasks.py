"""Training where a clip has one of several classes, or values, and a length of its own."""

import csv
import json

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score

from experiments import train
from mmat.cli import main as mmat
from mmat.evaluation.evaluate import choose_clips
from mmat.evaluation.files import read_tags_tsv, read_truth_tsv
from mmat.labels import MULTI_CLASS, LabelSet, regression
from mmat.metrics import regression as of_values
from mmat.models.bundle import load_bundle
from mmat.shards.corpus import open_corpus
from mmat.shards.read import read_arrays
from tests.experiments.conftest import RATE_HZ, run
from tests.media.made_media import make_sine, write_media_file
from tests.training.tensorboard.board_runs import read

MOODS = LabelSet(("Angry", "Calm", "Sad"), task=MULTI_CLASS)
VALENCE = LabelSet(("valence",), task=regression(-3, 3))
SPLITS = ["train"] * 9 + ["validation"] * 3 + ["test"] * 3
SHORT = ["--precision", "float32", "--batch-size", "4", "--steps", "2", "--checkpoints", "1"]
SHORT += ["--no-deterministic"]


def seconds_of(clip):
    return 0.3 + 0.02 * clip


def value_of(clip):
    return 2.0 * (clip % 3 - 1)  # -2, 0 and 2


@pytest.fixture(scope="module")
def media(tmp_path_factory):
    """15 clips of pictures and a tone, no two of one length; the tone tells of the label."""
    folder = tmp_path_factory.mktemp("media")
    for i in range(len(SPLITS)):
        sound = make_sine(seconds_of(i), RATE_HZ, 300.0 * (1 + i % 3))
        write_media_file(folder / f"{i}.mp4", sound=sound, rate=RATE_HZ, n_pictures=2, fps=5)
    return folder


def prepared(folder, media, labels, image_model):
    """Prepare the clips as a user does, with lengths of their own."""
    with open(folder / "list.csv", "w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["file", "labels", "split", "id"])
        for i, split in enumerate(SPLITS):
            of_values = labels.task.is_regression
            label = f"valence={value_of(i)}" if of_values else labels.names[i % 3]
            rows.writerow([f"{i}.mp4", label, split, i])
    labels.to_csv(folder / "labels.csv")
    words = ["prepare", "list.csv", "--labels", "labels.csv", "--media", str(media)]
    words += ["--image-model", image_model, "--frames", "2", "--clip-seconds", "whole"]
    assert mmat([*words, "--workers", "0", "--out", "shards"]) == 0


def test_classes_that_exclude_each_other_are_trained_for_their_average_recall(
    media, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    # Pictures of clips take their time.
    monkeypatch.setattr(choose_clips, "__defaults__", (1,))
    prepared(tmp_path, media, MOODS, "none")
    words = ["--data", "shards", "--labels", "labels.csv", "--mel", "speech", "--no-boards", *SHORT]
    assert run(train.main, words) == 0
    said = capsys.readouterr().out
    assert "best at step 2, val_uar" in said and "val_macro_f1" in said
    out = tmp_path / "runs" / "train"
    bundle = load_bundle(out / "audio")
    assert bundle.labels == MOODS and not bundle.thresholds.any()
    assert {"validation_uar", "validation_accuracy", "validation_macro_f1"} < set(bundle.figures)
    longest = read_arrays("shards", "train")["n_samples"].max() / RATE_HZ
    assert bundle.clip_seconds - 0.1 < longest <= bundle.clip_seconds  # up to 0.1 s
    assert set(bundle.model.input) == {"waveform", "n_samples"}
    report = json.loads((out / "report.json").read_text())["test"]["systems"]["audio"]
    tags = read_tags_tsv(out / "report" / "audio-test" / "predictions.tsv")
    truth = read_truth_tsv(out / "report" / "audio-test" / "truth.tsv", MOODS.names, tags.ids)
    assert truth.truth.argmax(1).tolist() == [int(clip) % 3 for clip in tags.ids]
    assert tags.fired.argmax(1).tolist() == tags.scores.argmax(1).tolist()
    sides = truth.truth.argmax(1), tags.fired.argmax(1)
    assert report["uar"] == pytest.approx(balanced_accuracy_score(*sides))
    assert f"{100 * report['uar']:.1f} [" in said


def test_values_are_trained_with_both_senses_and_their_own_lengths(
    media, models_cache, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    prepared(tmp_path, media, VALENCE, "efficientnet_lite0")
    assert run(train.main, ["--data", "shards", *SHORT]) == 0
    said = capsys.readouterr().out
    assert "val_mae" in said and "fused over audio: " in said and " MAE, 95 % interval" in said
    out = tmp_path / "runs" / "train"
    systems = json.loads((out / "report.json").read_text())["test"]["systems"]
    assert list(systems) == ["audio", "fused"]  # video alone could not tell how long a clip is
    choice = json.loads((out / "report.json").read_text())["validation_choice"]
    is_fused = choice["fused_over_audio"]["mae"]["estimate"] < 0  # of an error less is better
    assert choice["auto"] == ("fused" if is_fused else "audio")
    assert f"auto: {choice['auto']} is the better one" in said
    kept, own = (load_bundle(out / x).model.get_weights() for x in ("auto", choice["auto"]))
    assert all(map(np.array_equal, kept, own)) and len(kept) == len(own)
    for name, report in systems.items():
        bundle = load_bundle(out / name)
        assert bundle.labels == VALENCE and bundle.thresholds.tolist() == [-3]
        with open(out / "report" / f"{name}-test" / "predictions.tsv", newline="") as file:
            rows = list(csv.DictReader(file, delimiter="\t"))
        truth, values = ([float(row[x]) for row in rows] for x in ("truth", "value"))
        assert truth == [value_of(int(row["id"])) for row in rows]
        assert all(-3 <= value <= 3 for value in values)
        assert report["mae"] == pytest.approx(of_values.mean_absolute_error(truth, values))
        expected = of_values.negative_or_positive(truth, values)
        assert report["f1_negative_or_positive"] == pytest.approx(expected.f1)
    assert "clips/9" in read(out / "tensorboard" / "audio").Tags()["tensors"]
    # One quantity, so every clip has it: a pass of balanced batches is each clip once.
    batches = open_corpus("shards").batches_from("train", ["ids"], 3)(0).take(6)
    drawn = [clip for inputs, _ in batches.as_numpy_iterator() for clip in inputs["ids"].tolist()]
    every = sorted(str(i).encode() for i in range(9))
    assert sorted(drawn[:9]) == sorted(drawn[9:]) == every and drawn[:9] != drawn[9:]
