"""The AudioSet experiment: the larger net on 527 classes, from lists and sounds to mAP, AUC, d'."""

import csv
import json

import numpy as np
import pytest
import soundfile

from experiments import audioset
from experiments.options import training_parser
from mmat.metrics.ranking import d_prime
from mmat.models.bundle import load_bundle
from tests.experiments.conftest import RATE_HZ, TINY, run

N_CLASSES, HEAD = 527, "# a\n# b\n# c\n"


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """Lists in AudioSet's form, of 527 made classes, and half a second of sound for each clip."""
    folder = tmp_path_factory.mktemp("audioset")
    (folder / "media").mkdir()
    with open(folder / audioset.LABELS, "w", newline="") as file:
        rows = [(c, f"/m/{c:04}", f"Class {c}") for c in range(N_CLASSES)]
        csv.writer(file).writerows([("index", "mid", "display_name"), *rows])
    rng = np.random.default_rng(0)
    for name, first, n_clips in ((audioset.BALANCED, 0, 12), (audioset.TEST, 12, 6)):
        rows = []
        for i in range(first, first + n_clips):
            rows.append(f'{i:011}, 30.000, 40.000, "/m/{i % 3:04},/m/0526"\n')
            sound = rng.normal(0, 0.1 * (1 + i % 3), RATE_HZ // 2)
            soundfile.write(folder / "media" / f"Y{i:011}_30000_40000.flac", sound, RATE_HZ)
        (folder / name).write_text(HEAD + "".join(rows))
    return folder


def test_talnet_learns_527_classes_and_is_ranked(corpus, tmp_path, capsys):
    words = ["--lists", corpus, "--media", corpus / "media", "--out", tmp_path / "out", *TINY]
    words += ["--clip-seconds", "0.5", "--checkpoints", "1", "--no-boards", "--steps", "1"]
    assert run(audioset.main, [*map(str, words)]) == 0
    said = capsys.readouterr().out
    assert "audio: 9,980,527 weights to train" in said
    figures = json.loads((tmp_path / "out" / "report.json").read_text())["test"]["audio"]
    assert figures["clips"] == 6 and len(figures["per_class"]) == N_CLASSES
    # Class 526 is in every clip, so it cannot be ranked; the other three can.
    ranked = {x: of for x, of in figures["per_class"].items() if of["roc_auc"] is not None}
    assert list(ranked) == ["Class 0", "Class 1", "Class 2"]
    assert figures["mean_roc_auc"] == pytest.approx(
        np.mean([x["roc_auc"] for x in ranked.values()])
    )
    if 0 < figures["mean_roc_auc"] < 1:
        assert figures["d_prime"] == d_prime(figures["mean_roc_auc"])
    precisions = [x["average_precision"] for x in figures["per_class"].values()]
    occurring = [x for x in precisions if x is not None]
    assert len(occurring) == 4 and figures["mean_average_precision"] == np.mean(occurring)
    assert load_bundle(tmp_path / "out" / "audio").labels.names[526] == "Class 526"


def test_the_small_net_is_chosen_by_name():
    made = training_parser(audioset.__doc__, "out", audioset.AUDIO, net="talnet", systems="audio")
    assert made.parse_args([]).net == "talnet"
    assert made.parse_args(["--net", "crnn"]).net == "crnn"


@pytest.mark.parametrize("missing", [audioset.LABELS, audioset.BALANCED, audioset.TEST])
def test_a_missing_list_is_told_in_a_line(corpus, tmp_path, capsys, missing):
    for path in corpus.glob("*.csv"):
        if path.name != missing:
            (tmp_path / path.name).write_bytes(path.read_bytes())
    words = ["--lists", str(tmp_path), "--media", str(corpus / "media"), *TINY]
    assert run(audioset.main, words) == 2
    line = capsys.readouterr().err
    assert line.count("\n") == 1 and f"{missing}: not there; `mmat fetch audioset`" in line
