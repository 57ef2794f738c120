"""`mmat labels` on the names of the fetched networks."""

import pytest

from mmat.cli import main
from mmat.cli.common import LABEL_FORMS
from mmat.pretrained.registry import imagenet_labels, yamnet

pytest_plugins = ["tests.export.tiny"]


def run_labels(capsys, *words) -> list[str]:
    assert main(["labels", *words]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    return captured.out.splitlines()


def test_every_known_name_is_a_line(capsys):
    *lines, gap, count = run_labels(capsys)
    heard = [line.split(maxsplit=1)[1] for line in lines if line.startswith("ear ")]
    heard = [line.removeprefix("and eye").strip() for line in heard]
    assert heard == list(yamnet.labels()) and gap == ""
    # each thing but those that are called as what is heard
    called_alike = {names[0].casefold() for names in imagenet_labels()} & {
        name.casefold() for name in heard
    }
    things = {names[0].casefold() for names in imagenet_labels()} - called_alike
    assert len(lines) == 521 + len(things)
    n_seen = sum("eye" in line[:12] for line in lines)
    assert count == f"{len(lines)} names: 521 known by ear, {n_seen} by eye"


def test_a_word_is_searched_and_mapped(capsys):
    lines = run_labels(capsys, "dog")
    label, heard, seen = (cell.strip() for cell in lines[2].split("  ") if cell.strip())
    assert (label, heard) == ("dog", "Dog")
    assert seen.startswith("Chihuahua, ") and seen.endswith(" and 115 more")
    assert "ear and eye  Dog" in lines and "ear          Whimper (dog)" in lines
    assert not any("hotdogs" in line for line in lines)
    assert all("dog" in line.lower() for line in lines[lines.index("") + 1 :])


def test_labels_of_ones_own_say_how_near_they_are(capsys):
    lines = run_labels(capsys, "Church bells;Quarterly tax return")
    bells, tax = (line for line in lines if line.startswith(("Church", "Quarterly")))
    assert "Church bell" in bells.removeprefix("Church bells") and "nothing" in bells
    assert tax.count("nothing (nearest: ") == 2
    assert len(lines) == 5  # a search is of one word


@pytest.mark.parametrize("words", [["Dog, Cow"], [" ; "], ["none.csv"]])
def test_what_is_wrong_is_one_line(words, capsys):
    assert main(["labels", *words]) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.count("\n") == 1


@pytest.mark.parametrize(
    "command", ["export", "labels", "lists", "prepare", "score", "tag", "train"]
)
def test_every_command_says_the_same_of_the_forms_of_labels(command, capsys):
    with pytest.raises(SystemExit):
        main([command, "--help"])
    assert LABEL_FORMS in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize("command", [["labels"], ["labels", "Dog"], ["tag", "{clips}/sound.wav"]])
def test_missing_weights_are_one_line_that_says_how_to_fetch_them(
    command, clips, monkeypatch, tmp_path, capsys
):
    monkeypatch.setenv("MMAT_CACHE", str(tmp_path))
    assert main([word.format(clips=clips) for word in command]) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.count("\n") == 1
    assert "run `mmat fetch models`" in captured.err
