"""`mmat score` and the report of `mmat evaluate`, from the command line."""

import json

import pytest

from mmat.cli import main

TRUTH = "a.wav\t0\t10\tDog\nb.wav\t0\t10\tCat\n"


@pytest.fixture
def files(tmp_path):
    (tmp_path / "truth.csv").write_text(TRUTH)
    (tmp_path / "prediction.csv").write_text("a.wav\t0\t10\tDog\n")
    (tmp_path / "labels.csv").write_text("display_name\nDog\n")
    return tmp_path


def score(files, task, *words, truth="truth.csv", prediction="prediction.csv") -> int:
    paths = ["--truth", str(files / truth), "--prediction", str(files / prediction)]
    return main(["score", "--task", task, *paths, *map(str, words)])


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


@pytest.mark.parametrize(
    ("content", "words", "reason"),
    [
        (b"\x89PNG\xff\xfe\0", [], "bad.csv: not a UTF-8 text file"),
        (b"a.wav\t0\t10\n\nb.wav\tDog\n", [], "bad.csv:3: 2 columns"),
        (b"", [], "bad.csv: no rows"),
        (None, [], "bad.csv: cannot read the file: No such file"),
        (b"a.wav\t0\tten\tDog\n", [], "bad.csv:1: 'ten' is no time"),
        (TRUTH.encode(), ["--labels", "labels.csv"], "truth.csv:2: unknown label 'Cat'"),
    ],
)
@pytest.mark.parametrize("task", ["tagging", "events"])
def test_a_wrong_file_is_one_line_and_status_2(task, content, words, reason, files, capsys):
    if content is not None:
        (files / "bad.csv").write_bytes(content)
    words = [files / word if word.endswith(".csv") else word for word in words]
    assert score(files, task, *words, prediction="bad.csv") == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("mmat: error: ") and captured.err.count("\n") == 1
    assert reason in captured.err


def test_strict_is_for_tagging(files, capsys):
    assert score(files, "events", "--strict") == 2
    assert "--strict" in capsys.readouterr().err


def test_it_explains_itself(capsys):
    with pytest.raises(SystemExit) as end:
        main(["score", "--help"])
    assert end.value.code == 0
    assert "usage: mmat score" in capsys.readouterr().out


@pytest.mark.parametrize("kind", ["multi-class", "regression -3 3"])
def test_labels_of_another_task_are_refused(kind, files, capsys):
    (files / "labels.csv").write_text(f"display_name,task\nDog,{kind}\nCat,{kind}\n")
    assert score(files, "tagging", "--labels", files / "labels.csv") == 2
    error = capsys.readouterr().err
    assert f"they are {kind}" in error and "mmat evaluate" in error and error.count("\n") == 1
