"""From folders and lists of real, synthesized sounds to a model folder."""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import time

import numpy as np
import pytest

import mmat
from mmat.cli import main
from mmat.files import InputError, exclusive_lock
from mmat.lists.clip import Clip
from mmat.lists.own import write_clip_list
from mmat.shards.read import read_arrays
from mmat.training.own import train
from mmat.training.review import UNSURE
from tests.processes import environment, mmat_command
from tests.training.made_sounds import (
    NOISE,
    NOTHING,
    TONE,
    noise,
    tone,
    write_sound,
    write_sounds,
)
from tests.training.trained_own import trained_on

pytestmark = pytest.mark.usefixtures("models_cache", "few_pictures")


def test_labels_are_the_folders_and_each_has_its_figures(own_trained):
    assert [each[:3] for each in own_trained.labels] == [(TONE, 6, 6), (NOISE, 7, 7)]
    for each in own_trained.labels:
        assert each.untrained >= 0.8 and each.learnt >= 0.8 and each.trust in ("", UNSURE)
    assert own_trained.unmapped == ()


def test_the_model_folder_holds_all_and_nothing_else_is_left_beside_it(own_trained, own_sounds):
    assert {path.name for path in own_trained.folder.iterdir()} == {
        "model.keras",
        "labels.csv",
        "tagger.json",
        "report.json",
        "report",
        "review.csv",
        "review",
    }
    assert json.loads((own_trained.folder / "report.json").read_text()) == json.loads(
        json.dumps(own_trained.report)
    )
    assert (own_trained.folder / "report" / "report.html").is_file()
    assert {path.name for path in own_sounds.iterdir()} == {"sounds", "others", "model", "cache"}


def test_the_commands_take_the_model(own_trained, own_sounds, capsys):
    file = write_sound(own_sounds / "others" / ".." / "cache" / "new.wav", tone(3.0, 4))
    assert main(["tag", str(file), "--model", str(own_trained.folder), "--format", "json"]) == 0
    tags = json.loads(capsys.readouterr().out)["tags"]
    assert [tag["label"] for tag in tags if tag["fired"]] == [TONE]
    assert mmat.load(own_trained.folder).labels == (TONE, NOISE)


def test_a_label_that_every_clip_has_is_said(tmp_path):
    options = {"labels": TONE, "image_network": None, "workers": 0, "progress": False}
    write_sounds(tmp_path / "all", range(3))
    for path in (tmp_path / "all").iterdir():
        if path.name != TONE:
            shutil.rmtree(path)
    with pytest.warns(UserWarning, match=f"1 labels are in every training clip, .*: {TONE}$"):
        one = train(tmp_path / "all", tmp_path / "model", cache=tmp_path / "cache", **options)
    assert [each.label for each in one.labels] == [TONE]
    assert mmat.load(one.folder).labels == (TONE,)


def contents(folder: pathlib.Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_again_it_takes_the_prepared_clips_and_learns_the_same(own_trained, own_sounds, tmp_path):
    before = {path: path.stat().st_mtime_ns for path in own_trained.shards.iterdir()}
    with pytest.warns(UserWarning, match="left out"):
        again = trained_on(own_sounds / "sounds", tmp_path / "model", own_sounds / "cache")
    assert again.shards == own_trained.shards
    after = {path: path.stat().st_mtime_ns for path in own_trained.shards.iterdir()}
    assert after == before
    assert (again.labels, again.doubts) == (own_trained.labels, own_trained.doubts)
    assert again.evaluation is None and not (again.folder / "report").exists()


def test_while_another_prepares_these_clips(own_trained, own_sounds, tmp_path):
    with (
        exclusive_lock(own_trained.shards),
        pytest.warns(UserWarning, match="left out"),
        pytest.raises(InputError, match="another mmat prepare"),
    ):
        trained_on(own_sounds / "sounds", tmp_path / "model", own_sounds / "cache")
    assert not (tmp_path / "model").exists()


# --- lists


def made_list(folder: pathlib.Path) -> pathlib.Path:
    """Write a list of the sounds, of which two seeds are the split test."""
    clips = [
        Clip(
            f"{label} {i}",
            f"{label}/{i}.wav",
            () if label == NOTHING else (label,),
            split="test" if i > 3 else "train",
            source_group=f"day {i}",
        )
        for label in (TONE, NOISE, NOTHING)
        for i in range(6)
    ]
    write_clip_list(folder / "list.csv", clips)
    return folder / "list.csv"


def test_a_list_with_its_own_test_clips_and_evaluate_agrees(own_sounds, tmp_path, capsys):
    path = made_list(tmp_path)
    options = {"media": own_sounds / "sounds", "labels": f"{NOISE};{TONE};Quarterly tax return"}
    found = trained_on(path, tmp_path / "model", tmp_path / "cache", **options)
    assert [each[:3] for each in found.labels] == [
        (NOISE, 4, 4),
        (TONE, 4, 4),
        ("Quarterly tax return", 0, 0),
    ]
    assert found.unmapped == ("Quarterly tax return",)
    assert "no name is near to: Quarterly tax return" in str(found)
    assert sorted(found.evaluation.ids) == sorted(
        f"{label} {i}" for label in (TONE, NOISE, NOTHING) for i in (4, 5)
    )
    words = ["evaluate", "--model", found.folder, "--data", found.test_shards]
    words += ["--out", tmp_path / "out"]
    assert main(list(map(str, words))) == 0
    assert "all, micro" in capsys.readouterr().out
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["f1"] == found.evaluation.report["f1"]


def test_media_lie_beside_the_list(tmp_path):
    write_sounds(tmp_path, range(3), 1.0)
    (tmp_path / "list.csv").write_text(
        "file,labels\n"
        + "".join(f"{label}/{i}.wav,{label}\n" for label in (TONE, NOISE) for i in range(3))
        + "gone.wav,Sine wave\n"
    )
    os.truncate(tmp_path / NOISE / "2.wav", 20_044)
    with (
        pytest.warns(UserWarning, match=r"1 clips cannot be read, see .*failures.csv"),
        pytest.warns(UserWarning, match=r"1 clips with a warning: .*warnings.csv"),
    ):
        found = trained_on(tmp_path / "list.csv", tmp_path / "model", tmp_path / "cache")
    assert [each[:3] for each in found.labels] == [(TONE, 3, 3), (NOISE, 3, 3)]


def test_several_labels_and_long_files(tmp_path):
    both = tone(2.0) + noise(2.0)
    for label in (TONE, NOISE):
        write_sound(tmp_path / "sounds" / label / "both.wav", both)
    write_sound(tmp_path / "sounds" / TONE / "long.wav", tone(70.0, 3))
    write_sound(tmp_path / "sounds" / NOISE / "short.wav", noise(1.0, 1))
    found = trained_on(tmp_path / "sounds", tmp_path / "model", tmp_path / "cache")
    arrays = read_arrays(found.shards, "train", inputs=["n_samples", "source_groups"])
    of_clip = dict(zip(arrays["ids"], arrays["weak_labels"].tolist(), strict=True))
    long = f"{TONE}/long.wav"
    assert of_clip == {
        f"{TONE}/both.wav": [1.0, 1.0],
        f"{long}_0": [1.0, 0.0],
        f"{long}_30": [1.0, 0.0],
        f"{NOISE}/short.wav": [0.0, 1.0],
    }
    rows = [arrays["ids"].index(f"{long}_{start}") for start in (0, 30)]
    assert [arrays["n_samples"][row] for row in rows] == [30 * 16000, 40 * 16000]
    assert [arrays["source_groups"][row] for row in rows] == [(long,), (long,)]
    assert [each[:3] for each in found.labels] == [(TONE, 3, 2), (NOISE, 2, 2)]


def test_where_no_clip_has_pictures_the_image_network_is_left_out(own_sounds, tmp_path):
    write_sounds(tmp_path / "sounds", range(2), 1.0)
    options = {"image_network": "efficientnet_lite0", "test": own_sounds / "others"}
    found = trained_on(tmp_path / "sounds", tmp_path / "model", tmp_path / "cache", **options)
    assert mmat.load(found.folder).inputs == {"waveform"}
    assert found.evaluation.report["f1"] >= 0.8


def test_labels_that_exclude_each_other(own_sounds, tmp_path):
    (tmp_path / "labels.csv").write_text(
        f"display_name,task\n{TONE},multi-class\n{NOISE},multi-class\n"
    )
    for label in (TONE, NOISE):
        os.makedirs(tmp_path / "sounds", exist_ok=True)
        (tmp_path / "sounds" / label).symlink_to(own_sounds / "others" / label)
    options = {"labels": str(tmp_path / "labels.csv")}
    found = trained_on(tmp_path / "sounds", tmp_path / "model", tmp_path / "cache", **options)
    tagger = mmat.load(found.folder)
    assert tagger.task.is_multi_class
    scores = tagger.tag(tone(2.0, 5).astype(np.float32)).clip_scores
    assert scores.argmax() == 0 and scores.sum() == pytest.approx(1, abs=1e-5)


# --- what is refused, and what stays


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"test": "sounds"}, r"of its clips are learnt from too, first .*; measure on others"),
        ({"out": "sounds/model"}, "lies in .*sounds, the folder of clips; name one elsewhere"),
        ({"out": "others"}, "holds something other than a model; name a new folder"),
        ({"labels": "Dog;Cat"}, "unknown label 'Sine wave'; rename the folder"),
        ({"audio_encoder": "ear"}, "ear"),
        ({"image_network": "eye"}, "image network 'eye': unknown"),
        ({"scratch": True}, "none can be cut from 'train'|it takes 16 at least"),
    ],
)
def test_what_is_refused(options, message, tmp_path):
    write_sounds(tmp_path / "sounds", range(2), 1.0)
    write_sounds(tmp_path / "others", range(2, 3), 1.0)
    out = tmp_path / options.pop("out", "model")
    if "test" in options:
        options["test"] = tmp_path / options["test"]
    before = sorted(tmp_path.rglob("*.wav"))
    with pytest.raises(InputError, match=message):
        trained_on(tmp_path / "sounds", out, tmp_path / "cache", **options)
    assert sorted(tmp_path.rglob("*.wav")) == before
    assert not (out / "tagger.json").exists()


def test_a_model_is_replaced_and_kept_where_the_next_one_fails(tmp_path):
    write_sounds(tmp_path / "sounds", range(2), 1.0)
    first = trained_on(tmp_path / "sounds", tmp_path / "model", tmp_path / "cache")
    before = contents(first.folder)
    broken = tmp_path / "broken" / TONE / "a.wav"
    broken.parent.mkdir(parents=True)
    broken.write_text("no sound")
    with pytest.raises(InputError, match="none of the 1 clips can be read"):
        trained_on(tmp_path / "broken", first.folder, tmp_path / "cache")
    assert contents(first.folder) == before
    write_sounds(tmp_path / "sounds", range(3), 1.0)
    trained_on(tmp_path / "sounds", first.folder, tmp_path / "cache")
    assert json.loads((first.folder / "report.json").read_text())["labels"][TONE]["clips"] == 3


def test_killed_while_it_prepares_it_goes_on_and_ends_the_same(tmp_path, capsys):
    source = write_sounds(tmp_path / "sounds", range(20), 2.0)
    words = ["train", source, "--out", tmp_path / "model", "--image-model", "none"]
    words += ["--workers", "0", "--cache"]
    command = mmat_command(*words, tmp_path / "cache")
    with subprocess.Popen(
        command, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    ) as killed:
        while sum(path.stat().st_size for path in begun(tmp_path / "cache")) < 400_000:
            assert killed.poll() is None, killed.stderr.read()
            time.sleep(0.01)
        killed.send_signal(signal.SIGKILL)
    (shards,) = (tmp_path / "cache" / "train").iterdir()
    assert json.loads((shards / "index.json").read_text())["complete"] is False
    assert not (tmp_path / "model").exists()
    assert main([*map(str, words), str(tmp_path / "cache")]) == 0
    assert "of 60 clips are there already; going on" in capsys.readouterr().out
    whole = trained_on(source, tmp_path / "whole", tmp_path / "other cache")
    assert contents(shards) == contents(whole.shards)
    for name in ("report.json", "tagger.json", "review.csv"):
        assert (tmp_path / "model" / name).read_bytes() == (whole.folder / name).read_bytes()


def begun(cache: pathlib.Path) -> list[pathlib.Path]:
    return list(cache.glob("train/*/*.part"))
