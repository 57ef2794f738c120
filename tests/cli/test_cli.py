"""The commands, end to end on small real files; what goes wrong stands in test_bad_input.py."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import warnings

import pytest

import mmat
from mmat.cli import main
from mmat.cli.common import exit_status
from mmat.corpora.weights import fetch_models
from mmat.evaluation.files import read_tags_tsv, read_truth_tsv
from mmat.metrics.tagging import precision_recall_f1
from tests.processes import environment, mmat_command

pytest_plugins = ["tests.export.tiny"]

LIST = """\
file,labels,split
both.mp4,Dog;Train,test
sound.mp4,Dog,test
pictures.mp4,Train,test
sound.wav,Train,validation
both.mp4,Dog,train
broken.mp4,Dog,train
"""


@pytest.fixture(scope="module")
def shards(bundles, clips, tmp_path_factory) -> pathlib.Path:
    """Shards that the command made: of a list with a file in it that cannot be read."""
    folder = tmp_path_factory.mktemp("prepared")
    ids = [f"{i},{row}" for i, row in enumerate(LIST.splitlines()[1:])]
    (folder / "list.csv").write_text("\n".join(["id,file,labels,split", *ids]))
    argv = ["prepare", folder / "list.csv", "--media", clips, "--out", folder / "shards"]
    argv += ["--labels", bundles["fused"] / "labels.csv", "--frames", "2", "--workers", "0"]
    assert main([str(word) for word in argv]) == 0
    return folder / "shards"


def test_version(capsys):
    with pytest.raises(SystemExit) as end:
        main(["--version"])
    assert (end.value.code, capsys.readouterr().out) == (0, f"mmat {mmat.__version__}\n")


@pytest.mark.parametrize(
    "command",
    ["fetch", "labels", "lists", "prepare", "train", "evaluate", "score", "export", "tag", "app"],
)
def test_every_command_explains_itself(command, capsys):
    with pytest.raises(SystemExit) as end:
        main([command, "--help"])
    assert end.value.code == 0
    assert f"usage: mmat {command}" in capsys.readouterr().out


def test_fetch_models_names_what_lies_where(models_cache, capsys):
    assert main(["fetch", "models"]) == 0
    found = dict(line.split(": ") for line in capsys.readouterr().out.splitlines())
    assert found == {name: str(folder) for name, folder in fetch_models().items()}


def test_fetch_mini_plans_without_writing(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("MMAT_CACHE", str(tmp_path / "cache"))
    assert main(["fetch", "mini", "--dry-run", "--debs", str(tmp_path)]) == 0
    assert "clips of 10 s to compose" in capsys.readouterr().out
    assert not list(tmp_path.iterdir())


def test_prepare_writes_shards_and_lists_failures(shards):
    index = json.loads((shards / "index.json").read_text())
    assert {name: split["clips"] for name, split in index["splits"].items()} == {
        "test": 3,
        "validation": 1,
        "train": 1,
    }
    assert index["n_image_labels"] == 1000
    assert "broken.mp4: no such file" in (shards / "failures.csv").read_text()


def test_prepare_without_pictures(clips, bundles, tmp_path, capsys):
    (tmp_path / "list.csv").write_text("file,labels\nboth.mp4,Dog\n")
    argv = ["prepare", tmp_path / "list.csv", "--media", clips, "--out", tmp_path / "shards"]
    argv += ["--labels", bundles["fused"] / "labels.csv", "--image-model", "none"]
    assert main([str(word) for word in [*argv, "--workers", "0"]]) == 0
    assert capsys.readouterr().out == "train: 1 clips\n"
    assert json.loads((tmp_path / "shards" / "index.json").read_text())["image_network"] is None


@pytest.mark.parametrize("name", ["fused", "audio", "video"])
def test_evaluate_writes_what_its_figures_come_from(name, bundles, shards, tmp_path, capsys):
    argv = ["evaluate", "--model", bundles[name], "--data", shards, "--out", tmp_path / "report"]
    assert main([str(word) for word in argv]) == 0
    printed = capsys.readouterr().out
    for words in ("all, micro", "best constant", "Cat, kitten", "mean average precision"):
        assert words in printed
    report = json.loads((tmp_path / "report" / "report.json").read_text())
    assert (report["split"], report["clips"]) == ("test", 3)
    tags = read_tags_tsv(tmp_path / "report" / "predictions.tsv")
    truth = read_truth_tsv(tmp_path / "report" / "truth.tsv", tags.labels, tags.ids).truth
    found = precision_recall_f1(truth, tags.fired)._asdict()
    assert {key: report[key] for key in found} == found
    assert report["per_class"]["Dog"]["clips"] == 2
    unheard = {"audio": "2", "video": "1"}.get(name)
    if unheard:  # nothing to go by is scored 0
        assert not tags.scores[tags.ids.index(unheard)].any()


def test_export_is_what_tag_takes(bundles, clips, tmp_path, capsys):
    assert main(["export", str(bundles["audio"]), "--out", str(tmp_path / "export")]) == 0
    assert capsys.readouterr().out == f"{tmp_path / 'export'}\n"
    assert main(["tag", str(clips / "sound.wav"), "--model", str(tmp_path / "export")]) == 0
    assert "Cat, kitten" in capsys.readouterr().out


def test_interruption_is_no_traceback(tmp_path):
    os.mkfifo(tmp_path / "labels.csv")
    argv = ["prepare", "list.csv", "--media", ".", "--labels", "labels.csv", "--out", "shards"]
    with subprocess.Popen(
        mmat_command(*argv),
        cwd=tmp_path,
        env=environment(),
        stderr=subprocess.PIPE,
        text=True,
        # What a shell starts in the background, these tests perhaps, ignores interruptions.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as process:
        # Opened once the command waits for the labels, which never come.
        with open(tmp_path / "labels.csv", "w"):
            process.send_signal(signal.SIGINT)
            assert process.wait(timeout=60) == 130
        assert process.stderr.read() == ""
    assert os.listdir(tmp_path) == ["labels.csv"]


def test_a_warning_is_said_once(capsys):
    def command():
        for text in ("one", "one", "another"):
            warnings.warn(text, stacklevel=1)
        warnings.warn("one", stacklevel=1)  # of another place

    assert exit_status(command) == 0
    assert exit_status(command) == 0  # each command says its own
    said = ["mmat: warning: one", "mmat: warning: another"]
    assert capsys.readouterr().err.splitlines() == 2 * said


def test_a_command_whose_reader_has_gone_ends_without_a_word():
    code = """
import sys
from mmat.cli.common import exit_status
sys.exit(exit_status(lambda: [print("x" * 1000) for _ in range(1000)] and 0))
"""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", code], **pipes) as process:
        assert process.stdout.readline() == b"x" * 1000 + b"\n"
        process.stdout.close()  # as `head -1` does
        assert process.stderr.read() == b"" and process.wait(timeout=60) == 141


def test_another_broken_pipe_is_an_error(capsys):
    def command():
        raise BrokenPipeError(32, "Broken pipe")

    assert exit_status(command) == 2
    assert capsys.readouterr().err == "mmat: error: Broken pipe\n"
