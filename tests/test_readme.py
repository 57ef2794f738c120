"""README's own examples are run as they stand, on made clips and for one epoch."""

import pathlib
import re

import numpy as np
import soundfile

from mmat.cli import main
from tests.media.made_media import write_media_file
from tests.training.made_sounds import TONE, write_sounds

README = pathlib.Path(__file__).parents[1] / "README.md"


def test_tagging_a_file(models_cache, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write_media_file(tmp_path / "clip.mp4")
    section = README.read_text(encoding="utf-8").split("## Tag a file")[1]
    names = {}
    exec(section.split("```python")[1].split("```")[0], names)
    assert sorted(tag.label for tag in names["tagging"].tags) == ["Dog", "Train"]
    assert capsys.readouterr().out.startswith("[")


def test_training_on_an_own_list(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    pathlib.Path("clips").mkdir()
    rows = ["file,labels,split"]
    for i, labels in enumerate(["Dog", "Train horn", "Dog;Train horn", ""]):
        soundfile.write(f"clips/{i}.wav", rng.uniform(-0.1, 0.1, 16000), 16000)
        rows.append(f"{i}.wav,{labels},train")
    pathlib.Path("list.csv").write_text("\n".join(rows) + "\n")
    pathlib.Path("labels.csv").write_text("index,mid,display_name\n0,,Dog\n1,,Train horn\n")
    text = README.read_text(encoding="utf-8")
    command = re.search(r"^    mmat (prepare .*)", text, re.M).group(1)
    assert main([*command.split(), "--image-model", "none"]) == 0
    example = text.split("## Train on your own clips")[1].split("```python")[1].split("```")[0]
    write_media_file(tmp_path / "clip.mp4")
    names = {}
    exec(example.replace("epochs=20", "epochs=1"), names)
    scores = names["model"].predict(np.zeros((1, 16000, 1), np.float32), verbose=0)
    assert scores["clip"].shape == (1, 2)


def test_training_on_a_folder_of_folders(models_cache, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write_sounds(tmp_path / "sounds", range(3))
    text = README.read_text(encoding="utf-8").split("## Train on your own clips")[1]
    train, tag = re.findall(r"^    mmat (train .*|tag .*)", text, re.M)[:2]
    assert main([*train.split(), "--cache", str(tmp_path / "cache")]) == 0
    assert TONE in capsys.readouterr().out
    sound = str(tmp_path / "sounds" / TONE / "0.wav")
    assert main(tag.replace("clip.mp4", "SOUND").split()[:1] + [sound, "--model", "model"]) == 0
    assert TONE in capsys.readouterr().out
