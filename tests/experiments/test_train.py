"""Training on clips of one's own, from a list or from shards; going on where a run ended."""

import contextlib
import json
import pathlib
import re
import shutil

import numpy as np
import pytest
import soundfile
from tensorflow.python.framework.config import disable_op_determinism

from experiments import train
from mmat.cli import main as mmat
from mmat.evaluation.evaluate import choose_clips
from mmat.models.bundle import load_bundle
from mmat.shards.read import read_arrays
from mmat.training import precision
from tests.experiments.conftest import RATE_HZ, TINY, run

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


def test_a_list_becomes_a_model_with_figures(mine, monkeypatch, models_cache, capsys):
    # Pictures of clips take their time.
    monkeypatch.setattr(choose_clips, "__defaults__", (1,))
    words = ["--list", "list.csv", "--media", "media", *SHORT, "--checkpoints", "1"]
    assert run(train.main, words) == 0
    out = mine / "runs" / "train"
    report = json.loads((out / "report.json").read_text())
    assert set(report["test"]["systems"]) == {"untrained", "audio"}
    said = capsys.readouterr().out
    assert re.search(r"^untrained +\d", said, re.M) and re.search(r"^audio +\d", said, re.M)
    by_f1 = {name: own["f1"] for name, own in report["test"]["systems"].items()}
    assert ("training lost" in said) == (by_f1["audio"] <= by_f1["untrained"])
    figures = report["test"]["systems"]["audio"]
    assert figures["clips"] == 6 and list(figures["per_class"]) == sorted(NAMES)
    assert report["validation"]["audio"] == load_bundle(out / "audio").figures
    groups = [
        {group_of(clip) for clip in read_arrays(out / "shards", split)["ids"]}
        for split in ("train", "validation")
    ]
    assert len(groups[0] | groups[1]) == 6 and len(groups[1]) == 3 and not groups[0] & groups[1]


def test_fit_from_names_leaves_a_model_that_tags(mine, monkeypatch, models_cache, capsys):
    monkeypatch.setattr(choose_clips, "__defaults__", (1,))
    monkeypatch.setattr(train, "FIT_EPOCHS", 3)
    words = ["--list", "list.csv", "--media", "media", "--audio", "names", *SHORT]
    assert run(train.main, words) == 0
    losses = [float(line.split()[-1]) for line in capsys.readouterr().out.splitlines()
              if " - loss: " in line]  # fmt: skip
    assert len(losses) == 3 and losses[-1] < losses[0]
    out = mine / "runs" / "train"
    bundle = load_bundle(out / "names")
    report = json.loads((out / "report.json").read_text())
    assert report["test"]["systems"]["names"]["clips"] == 6
    assert report["validation"]["names"] == bundle.figures
    assert mmat(["tag", "media/0.wav", "--model", str(out / "names")]) == 0


def test_on_shards_alone_a_run_goes_on_where_another_ended_bit_for_bit(mine, capsys):
    words = ["--data", shards(mine, "--split", "train"), "--labels", "shards/labels.csv", *SHORT]
    words += ["--pooling", "attention", "--deterministic"]
    with determinism_undone():
        for out, checkpoints in (("whole", "2"), ("parts", "1"), ("parts", "2")):
            capsys.readouterr()
            more = ["--out", out, "--checkpoints", checkpoints]
            assert run(train.main, [*words, *more]) == 0
    said = capsys.readouterr().out
    assert "no split 'validation'; 3 of 18 training clips are held out" in said
    assert "goes on from step 2 of 4" in said and "cost: 8 clips in 2 steps of 4" in said
    assert "no split 'test'" in said
    assert "test" not in json.loads((mine / "parts" / "report.json").read_text())
    for one, other in zip(weights(mine / "whole"), weights(mine / "parts"), strict=True):
        np.testing.assert_array_equal(one, other)


def test_what_is_done_by_default_is_said_in_the_help(capsys):
    with pytest.raises(SystemExit):
        train.main(["--help"])
    text = " ".join(capsys.readouterr().out.split())
    for option in re.findall(r" (--[a-z-]+) ", text.split("options:")[1]):
        described = text.split("options:")[1].split(f" {option} ", 1)[1]
        assert "default" in re.split(r" --[a-z-]+ ", described)[0] or option == "--help", option


def test_the_cost_is_said_before_the_clips_are_looked_through(mine, monkeypatch, capsys):
    """The last record is damaged where only looking through them all finds it."""
    monkeypatch.setattr(precision, "candidates", lambda has_gpu: ("float32",))
    # A validation split of its own: to hold clips out they are looked through.
    rows = (mine / "list.csv").read_text().splitlines()
    write(mine / "list.csv", *rows[:10], *(row.replace("train", "validation") for row in rows[10:]))
    data = shards(mine)
    (shard,) = pathlib.Path(data).glob("train*")
    content = bytearray(shard.read_bytes())
    at = last = 0
    while at < len(content):
        last, at = at, at + 16 + int.from_bytes(content[at : at + 8], "little")
    content[last] += 1
    shard.write_bytes(content)
    words = ["--data", data, "--labels", "shards/labels.csv", *SHORT, "--precision", "auto"]
    with determinism_undone():
        assert run(train.main, words) == 2
    said, errors = capsys.readouterr()
    assert "\naudio in float32, by 4 clips at a time: cost: " in said
    assert f"{shard.name}: the shard is damaged" in errors


def write(path, *lines):
    path.write_text("\n".join(lines) + "\n")


def test_bad_input_is_one_line_and_status_2(mine, capsys):
    data = shards(mine)
    write(mine / "two.csv", "index,mid,display_name", "0,,Dog", "1,,Cat")
    write(mine / "other.csv", "index,mid,display_name", "0,,Cat", "1,,Dog", "2,,Tram")
    values = [f"{i},,{name},regression 0 1" for i, name in enumerate(sorted(NAMES))]
    write(mine / "values.csv", "index,mid,display_name,task", *values)
    write(mine / "test.csv", "file,labels,split", "0.wav,Dog,test")
    write(mine / "one.csv", "file,labels,split", "0.wav,Dog,train")
    tested = shards(mine, "--split", "test", out="tested")
    damaged = mine / "damaged"
    shutil.copytree(data, damaged)
    first = min(damaged.glob("train*"))
    first.write_bytes(first.read_bytes()[:-1])
    media = ["--media", "media"]
    cases = {
        "number 0 is 'Dog', there 'Cat'": ["--data", data, "--labels", "two.csv"],
        "number 2 is 'Tram', there 'Train'": ["--data", data, "--labels", "other.csv"],
        "3 labels, regression 0 1, there 3 labels": ["--data", data, "--labels", "values.csv"],
        "no clips of a split 'train'": ["--data", tested],
        "not as long as index.json says": ["--data", str(damaged)],
        "no image network looked at its pictures": ["--data", data, "--systems", "fused"],
        "labels nowhere.csv: no such file": ["--data", data, "--labels", "nowhere.csv"],
        "the lists name no clip of the split 'train'": ["--list", "test.csv", *media],
        "none of the 1 videos can be spared": ["--list", "one.csv", *media],
        "no such media folder": ["--list", "list.csv", "--media", "nowhere"],
        "no duration above 0": ["--list", "list.csv", *media, "--clip-seconds", "-1"],
        "--list CSV is missing": media,
        "--data and --list": ["--data", data, "--list", "list.csv"],
    }
    for said, words in cases.items():
        capsys.readouterr()
        assert run(train.main, [*SHORT, *words]) == 2, said
        *_, line = capsys.readouterr().err.splitlines()
        assert line.startswith("mmat: error: ") and said in line, line
    assert not list((mine / "runs").rglob("*.npz")) and not (mine / "runs/train/audio").exists()
