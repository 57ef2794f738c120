"""`mmat export` and `mmat tag` on multi-class models and models of values, end to end."""

import io
import json
import sys

import pytest
import soundfile

from mmat.cli import main
from tests.tagging.levels import shares, sound

pytest_plugins = ["tests.export.tiny_tasks"]


@pytest.fixture(scope="module")
def exports(level_bundles, tmp_path_factory):
    folder = tmp_path_factory.mktemp("exports")
    for name, bundle in level_bundles.items():
        assert main(["export", str(bundle), "--out", str(folder / name)]) == 0
    return folder


@pytest.fixture(scope="module")
def wav(tmp_path_factory):
    """Three seconds of a high level, one of a low one."""
    path = tmp_path_factory.mktemp("sound") / "talk.wav"
    soundfile.write(path, sound((0.5, 3.0), (-0.5, 1.0)), 16000, subtype="PCM_16")
    return path


def tagged(capsys, *words) -> str:
    assert main(["tag", *map(str, words)]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    return captured.out


def test_the_class_over_time(exports, wav, tmp_path, capsys):
    model = ["--model", exports / "classes"]
    png = tmp_path / "a.png"
    whole = json.loads(tagged(capsys, wav, *model, "--format", "json", "--plot", png))
    assert whole["task"] == "multi-class" and png.stat().st_size > 1000
    assert [(tag["label"], tag["fired"]) for tag in whole["tags"]] == [
        ("high", True),
        ("low", False),
        ("still", False),
    ]
    expected = 0.75 * shares(0.5) + 0.25 * shares(-0.5)
    assert [tag["score"] for tag in whole["tags"]] == pytest.approx(expected, abs=1e-4)
    times = [(e["label"], e["onset_seconds"], e["offset_seconds"]) for e in whole["events"]]
    assert times == [("high", 0.0, 3.0), ("low", 3.0, 4.0)]


def test_the_value_over_time(exports, wav, tmp_path, capsys):
    model = ["--model", exports / "values"]
    png = tmp_path / "a.png"
    lines = tagged(capsys, wav, *model, "--plot", png).splitlines()
    assert lines[1].split() == ["tag", "value", "audio", "video"] and png.stat().st_size > 1000
    assert lines[3].split()[0] == "mood" and float(lines[3].split()[1]) == pytest.approx(0.75)
    track = tagged(capsys, wav, *model, "--format", "audacity").splitlines()
    assert track == ["0.000000\t3.000000\tmood +2", "3.000000\t4.000000\tmood -2"]
    scores = tmp_path / "scores"
    tagged(capsys, wav, *model, "--frame-scores", scores)
    assert (scores / "talk.tsv").read_text().splitlines()[0] == "onset\toffset\tmood"


def test_a_live_stream_has_its_value(exports, monkeypatch, capsys):
    samples = (32768 * sound((0.5, 1.0), (-0.25, 1.0))).astype("<i2").tobytes()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(samples)))
    out = tagged(capsys, "-", "--live", 16000, "--model", exports / "values")
    assert [line.split() for line in out.splitlines()] == [
        ["1.0", "s", "mood", "1.50"],
        ["2.0", "s", "mood", "-0.75"],
    ]


def test_hysteresis_is_refused_in_a_line(exports, wav, capsys):
    argv = ["tag", wav, wav, "--model", exports / "classes", "--hysteresis", "0.5"]
    assert main([str(word) for word in argv]) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.count("\n") == 1
    assert "which a multi-class model lacks" in captured.err
