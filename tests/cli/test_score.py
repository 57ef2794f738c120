"""`mmat score`, from the command line."""

import json

import pytest

from mmat.cli import main


@pytest.fixture
def files(tmp_path):
    (tmp_path / "truth.csv").write_text("a.wav\t0\t10\tDog\nb.wav\t0\t10\tCat\n")
    (tmp_path / "prediction.csv").write_text("a.wav\t0\t10\tDog\n")
    return tmp_path


def score(files, task, *words) -> int:
    paths = ["--truth", str(files / "truth.csv"), "--prediction", str(files / "prediction.csv")]
    return main(["score", "--task", task, *paths, *words])


def test_it_prints_json_in_per_cent(files, capsys):
    assert score(files, "tagging") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["micro"] == {"precision": 100, "recall": 100, "f1": 100}
    assert set(found) == {"micro", "class_based", "per_class"}
    assert score(files, "tagging", "--strict") == 0
    assert json.loads(capsys.readouterr().out)["micro"]["recall"] == 50
    assert score(files, "events") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["micro"]["error_rate"] == 50
    assert set(found["per_class"]) == {"Cat", "Dog"}


def test_it_explains_itself(capsys):
    with pytest.raises(SystemExit) as end:
        main(["score", "--help"])
    assert end.value.code == 0
    assert "usage: mmat score" in capsys.readouterr().out
