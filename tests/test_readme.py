"""README's own examples as a user runs them, on made clips, for one epoch; nothing else is said."""

import pathlib

import numpy as np
import pytest
import soundfile

from experiments.first_minutes import COMMAND, ROOT, read_examples, run_example, unwanted_lines
from tests.media.made_media import write_media_file
from tests.training.made_sounds import NOISE, TONE, write_sounds

EXAMPLES = list(read_examples((ROOT / "README.md").read_text(encoding="utf-8")))


def run(folder: pathlib.Path, part: str, old: str = "", new: str = "") -> str:
    """Run README's one example that holds this part, with a change; return what it printed.

    It ends well, and on standard error there is nothing of TensorFlow, CUDA or Python's warnings,
    and nothing twice.
    """
    (example,) = [each for each in EXAMPLES if part in each.text]
    assert old in example.text
    text = example.text.replace(old, new) if old else example.text + new
    ran = run_example(example._replace(text=text), folder)
    assert (ran.status, unwanted_lines(ran.errors)) == (0, []), ran.errors
    return ran.output


def test_every_command_and_snippet_is_found():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    found = "\n".join(each.text for each in EXAMPLES if not each.why_left_out())
    for line in text.splitlines():
        if line.startswith(("    mmat ", "    python ", "import mmat")):
            assert line.strip() in found
    assert len([each for each in EXAMPLES if each.kind != COMMAND]) == text.count("```python") == 2
    assert {each.text.split()[0] for each in EXAMPLES if each.why_left_out()} == {"make", "pip"}


def test_tagging_a_file(models_cache, tmp_path):
    write_media_file(tmp_path / "clip.mp4")
    said = run(tmp_path, "mmat.load(labels=", new="\nprint(len(tagging.tags))")
    assert said.startswith("[") and said.endswith("\n2\n")


def test_training_on_an_own_list(tmp_path):
    rng = np.random.default_rng(0)
    (tmp_path / "clips").mkdir()
    rows = ["file,labels,split"]
    for i, labels in enumerate(["Dog", "Train horn", "Dog;Train horn", ""]):
        soundfile.write(tmp_path / f"clips/{i}.wav", rng.uniform(-0.1, 0.1, 16000), 16000)
        rows.append(f"{i}.wav,{labels},train")
    (tmp_path / "list.csv").write_text("\n".join(rows) + "\n")
    write_media_file(tmp_path / "clip.mp4")
    run(tmp_path, "mmat prepare", new=" --image-model none")
    said = run(tmp_path, "mmat.open_corpus", "epochs=20", "epochs=1")
    assert "Train horn" in said.split("clip.mp4")[-1]


def test_training_on_a_folder_of_folders(models_cache, tmp_path):
    write_sounds(tmp_path / "sounds", range(3))
    assert TONE in run(tmp_path, "mmat train", new=" --cache cache")
    sound = tmp_path / "sounds" / TONE / "0.wav"
    said = run(tmp_path, "tag clip.mp4 --model model", "clip.mp4", f'"{sound}"')
    assert said.index(TONE) < said.index(NOISE)


@pytest.mark.parametrize(
    "line",
    [
        "E external/local_xla/xla/stream_executor/cuda/cuda_fft.cc:485] Unable to register cuFFT",
        "WARNING:tensorflow:5 out of the last 5 calls to <function f> triggered tf.function",
        "/a/b.py:12: UserWarning: pkg_resources is deprecated as an API.",
    ],
)
def test_what_others_say_is_unwanted(line):
    assert unwanted_lines(f"mmat: warning: a.wav: no sound\n{line}\n") == [line]
