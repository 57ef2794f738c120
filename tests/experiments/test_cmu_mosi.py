"""A made CMU-MOSI, as those who own the real one would prepare it."""

import json

import numpy as np
import pytest

from experiments import cmu_mosi
from mmat.cli import main as mmat
from mmat.cli.common import BAD_INPUT
from mmat.labels import SENTIMENT, LabelSet
from mmat.lists.read import read_list
from mmat.shards.read import read_arrays
from tests.experiments.conftest import run
from tests.lists.made_mosi import SPLITS, VIDEOS, make_videos, write_csd


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with the label file `labels.csd`, one of its segments wrong, and `videos`."""
    folder = tmp_path_factory.mktemp("mosi")
    sentiments, intervals, _ = VIDEOS["tmZoasNr4rU"]
    wrong = {"tmZoasNr4rU": ([*sentiments, 7.0], [*intervals, (1.0, 2.0)])}
    write_csd(folder / "labels.csd", VIDEOS | wrong)
    make_videos(folder / "videos")
    return folder


@pytest.fixture(scope="module")
def shards(made):
    return cmu_mosi.prepare_mosi(
        made / "labels.csd", made / "videos", made / "out", clip_seconds=3.0, workers=0,
        progress=False,
    )  # fmt: skip


def test_shards_hold_the_published_folds_and_the_values(made, shards):
    assert shards == made / "out" / "shards"
    assert LabelSet.from_csv(shards / "labels.csv") == SENTIMENT
    for video, split in SPLITS.items():
        arrays = read_arrays(shards, split)
        sentiments = VIDEOS[video][0]
        assert arrays["ids"] == [f"{video}_{i + 1}" for i in range(len(sentiments))]
        np.testing.assert_array_equal(arrays["weak_labels"][:, 0], np.float32(sentiments))
        assert arrays["has_audio"].all() and not arrays["has_video"].any()


def test_what_was_left_out_and_cut_off_is_reported(made, tmp_path, capsys):
    cmu_mosi.prepare_mosi(
        made / "labels.csd", made / "videos", tmp_path, clip_seconds=2.5, workers=0,
        progress=False,
    )  # fmt: skip
    printed = capsys.readouterr()
    assert "train 3, validation 2, test 1; 0 segments cannot be used" in printed.out
    assert "segments longer than 2.5 s, whose rest is left out: 1" in printed.out
    assert f"{made / 'labels.csd'}:tmZoasNr4rU:2: the sentiment 7 is not" in printed.err


def test_pictures_are_looked_at_where_it_is_asked_for(made, models_cache, tmp_path):
    shards = cmu_mosi.prepare_mosi(
        made / "labels.csd", made / "videos", tmp_path, "efficientnet_lite0", n_frames=2, workers=0,
        progress=False,
    )  # fmt: skip
    arrays = read_arrays(shards, "test")
    assert arrays["has_video"].all() and arrays["image_probabilities"].shape == (1, 2, 1000)
    assert arrays["image_probabilities"].sum(axis=-1) == pytest.approx(1, abs=0.01)


def test_the_lists_lead_to_the_same_shards(made, shards, tmp_path):
    cmu_mosi.main(["--csd", str(made / "labels.csd"), "--out", str(tmp_path)])
    assert {path.name for path in tmp_path.iterdir()} == {"list.csv", "labels.csv"}
    assert len(read_list(tmp_path / "list.csv", SENTIMENT, strict=True).clips) == 6
    command = ["--media", str(made / "videos"), "--labels", str(tmp_path / "labels.csv")]
    command = [str(tmp_path / "list.csv"), *command]
    assert mmat(["lists", *command]) == 0
    settings = ["--image-model", "none", "--clip-seconds", "3", "--workers", "0", "--strict"]
    assert mmat(["prepare", *command, *settings, "--out", str(tmp_path / "shards")]) == 0
    ours, theirs = (json.loads((each / "index.json").read_text()) for each in (
        shards, tmp_path / "shards"
    ))  # fmt: skip
    assert theirs == ours


def test_what_is_no_label_file_is_one_line_and_nothing_is_left(tmp_path, capsys):
    (tmp_path / "labels.csd").write_text("video,sentiment\n")
    command = ["--csd", str(tmp_path / "labels.csd"), "--out", str(tmp_path / "out")]
    assert run(cmu_mosi.main, command) == BAD_INPUT
    assert "not an HDF5 file" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_options_of_a_training_are_unknown_without_media(tmp_path, capsys):
    assert run(cmu_mosi.main, ["--csd", str(tmp_path / "a.csd"), "--steps", "3"]) == BAD_INPUT
    assert "--steps: unknown without --media" in capsys.readouterr().err
