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


def test_what_tag_writes_is_scored_against_what_lists_reads(tmp_path, capsys):
    """A header of the one and none of the other, and rows without an event in both."""
    (tmp_path / "prediction.csv").write_text(
        "filename\tonset\toffset\tevent_label\nodd/a.wav\t3.4\t5.7\tDog\nodd/c.wav\t\t\t\n"
    )
    (tmp_path / "truth.csv").write_text("odd/a.wav\t4.0\t5.5\tDog\nodd/b.wav\nodd/c.wav\n")
    assert score(tmp_path, "events") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["micro"] == {
        "error_rate": 50,
        "f1": pytest.approx(80),
        "precision": pytest.approx(200 / 3),
        "recall": 100,
    }
    assert main(["lists", str(tmp_path / "truth.csv")]) == 0


def test_a_later_time_than_a_day_is_taken_where_it_is_asked_for(files, capsys):
    (files / "truth.csv").write_text("a.wav;0;100000,5;Dog\n")
    assert score(files, "events") == 2
    assert "truth.csv:1: end '100000,5' is later than 86400 s (a day)" in capsys.readouterr().err
    assert score(files, "events", "--max-seconds", "2e5") == 0
    assert json.loads(capsys.readouterr().out)["micro"]["precision"] == 100


def test_labels_are_typed_as_for_tagging(files, capsys):
    assert score(files, "events", "--labels", "Dog;Cat;Train") == 0
    assert score(files, "events", "--labels", "Cow") == 2
    assert "truth.csv:1: unknown label 'Dog'" in capsys.readouterr().err


def test_machine_ids_are_scored_by_name(files, capsys):
    (files / "truth.csv").write_text("a.wav\t0\t10\t/m/0bt9lr\na.wav\t0\t1\t/m/none\n")
    assert score(files, "events") == 0
    captured = capsys.readouterr()
    assert set(json.loads(captured.out)["per_class"]) == {"Dog", "/m/none"}
    assert "1 machine ids, first /m/none, have no name here" in captured.err
    (files / "labels.csv").write_text("mid;display_name\n/m/none;Silence\n/m/0bt9lr;Dog\n")
    assert score(files, "events", "--labels", str(files / "labels.csv")) == 0
    captured = capsys.readouterr()
    assert set(json.loads(captured.out)["per_class"]) == {"Dog", "Silence"}
    assert captured.err == ""
