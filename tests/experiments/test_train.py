"""Training on clips of one's own, from a list or from shards; going on where a run ended."""

import contextlib
import json
import shutil

import numpy as np
import options
import pytest
import soundfile
import train
from tensorflow.python.framework.config import disable_op_determinism

from mmat.cli import main as mmat
from mmat.data.datasets import read_arrays
from mmat.models.bundle import load_bundle
from tests.experiments.conftest import RATE_HZ, TINY

NAMES = ("Dog", "Cat", "Train")


SHORT = [*TINY, "--no-boards", "--systems", "audio", "--clip-seconds", "0.5"]


@pytest.fixture
def mine(tmp_path, monkeypatch):
    """A working folder with a list of 18 sounds of half a second, two of each source group."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "media").mkdir()
    rng, rows = np.random.default_rng(0), ["file,labels,split,source_group"]
    for i in range(18):
        tone = np.sin(2 * np.pi * 400 * (1 + i % 3) * np.arange(RATE_HZ // 2) / RATE_HZ)
        sound = 0.3 * tone + rng.normal(0, 0.01, len(tone))
        soundfile.write(tmp_path / "media" / f"{i}.wav", sound, RATE_HZ)
        rows.append(f"{i}.wav,{NAMES[i % 3]},{'test' if i >= 12 else 'train'},{group_of(i)}")
    (tmp_path / "list.csv").write_text("\n".join(rows) + "\n")
    return tmp_path


def group_of(clip):
    return f"{NAMES[int(clip) % 3]}-{int(clip) // 6}"


def shards(folder, *words, out="shards"):
    """Prepare as a user does, all clips of one split."""
    common = ["--media", "media", "--image-model", "none", "--workers", "0", "--out", out]
    assert mmat(["prepare", "list.csv", *common, "--clip-seconds", "0.5", *words]) == 0
    return str(folder / out)


@contextlib.contextmanager
def determinism_undone():
    """The option acts on the whole process, and TensorFlow has no public way back."""
    try:
        yield
    finally:
        disable_op_determinism()


def weights(folder):
    return load_bundle(folder / "audio").model.get_weights()


def test_a_list_becomes_a_model_and_a_run_goes_on_where_another_ended(mine, capsys):
    exact = [*SHORT, "--pooling", "attention", "--deterministic"]
    with determinism_undone():
        words = ["--list", "list.csv", "--media", "media", *exact, "--checkpoints", "2"]
        assert options.run(train.main, words) == 0
        whole = mine / "runs" / "train"
        words = ["--data", str(whole / "shards"), "--out", "parts", *exact]
        assert options.run(train.main, [*words, "--checkpoints", "1"]) == 0
        capsys.readouterr()
        assert options.run(train.main, [*words, "--checkpoints", "2"]) == 0
        assert "goes on from step 2 of 4" in capsys.readouterr().out
    for one, other in zip(weights(whole), weights(mine / "parts"), strict=True):
        np.testing.assert_array_equal(one, other)
    figures = json.loads((whole / "report.json").read_text())["test"]["systems"]["audio"]
    assert figures["clips"] == 6 and list(figures["per_class"]) == sorted(NAMES)
    groups = [
        {group_of(clip) for clip in read_arrays(whole / "shards", split)["ids"]}
        for split in ("train", "validation")
    ]
    assert len(groups[0] | groups[1]) == 6 and len(groups[1]) == 3 and not groups[0] & groups[1]


def test_shards_without_a_test_split_give_a_model_and_say_so(mine, capsys):
    words = ["--data", shards(mine, "--split", "train"), "--labels", "shards/labels.csv", *SHORT]
    assert options.run(train.main, [*words, "--checkpoints", "1"]) == 0
    said = capsys.readouterr().out
    assert "3 of its 18 training clips are held out for validation" in said
    assert "no split 'test'" in said and "cost: 8 clips in 2 steps of 4" in said
    assert load_bundle(mine / "runs" / "train" / "audio").figures["validation_f1"] > 0
    assert "test" not in json.loads((mine / "runs" / "train" / "report.json").read_text())


def write(path, *lines):
    path.write_text("\n".join(lines) + "\n")


def test_bad_input_is_one_line_and_status_2(mine, capsys):
    data = shards(mine)
    write(mine / "two.csv", "index,mid,display_name", "0,,Dog", "1,,Cat")
    write(mine / "other.csv", "index,mid,display_name", "0,,Cat", "1,,Dog", "2,,Tram")
    write(mine / "test.csv", "file,labels,split", "0.wav,Dog,test")
    write(mine / "one.csv", "file,labels,split", "0.wav,Dog,train")
    whole = shards(mine, "--clip-seconds", "whole", out="whole")
    tested = shards(mine, "--split", "test", out="tested")
    damaged = mine / "damaged"
    shutil.copytree(data, damaged)
    first = min(damaged.glob("train*"))
    first.write_bytes(first.read_bytes()[:-1])
    media = ["--media", "media"]
    cases = {
        "number 0 is 'Dog', there 'Cat'": ["--data", data, "--labels", "two.csv"],
        "number 2 is 'Tram', there 'Train'": ["--data", data, "--labels", "other.csv"],
        "lengths of their own": ["--data", whole],
        "no clips of a split 'train'": ["--data", tested],
        "not as long as index.json says": ["--data", str(damaged)],
        "no image network looked at its pictures": ["--data", data, "--systems", "fused"],
        "cannot read the label set": ["--data", data, "--labels", "nowhere.csv"],
        "the lists name no clip of the split 'train'": ["--list", "test.csv", *media],
        "none of the 1 videos can be spared": ["--list", "one.csv", *media],
        "no such media folder": ["--list", "list.csv", "--media", "nowhere"],
        "no duration above 0": ["--list", "list.csv", *media, "--clip-seconds", "-1"],
        "--list CSV is missing": media,
        "--data and --list": ["--data", data, "--list", "list.csv"],
    }
    for said, words in cases.items():
        capsys.readouterr()
        assert options.run(train.main, [*SHORT, *words]) == 2, said
        *_, line = capsys.readouterr().err.splitlines()
        assert line.startswith("mmat: error: ") and said in line, line
    assert not list((mine / "runs").rglob("*.npz")) and not (mine / "runs/train/audio").exists()
