"""The way of a Keras user: README's own example, word for word, on clips of the mini corpus."""

import contextlib
import csv
import io
import pathlib
import re

import keras
import numpy as np
import pytest

import mmat
from mmat.app.taggers import Taggers
from mmat.cli import main
from mmat.corpora.mini import fetch_and_compose, mini_labels
from mmat.models.bundle import load_bundle
from mmat.pretrained.registry import image_network

README = pathlib.Path(__file__).parents[1] / "README.md"
CLIPS_A_SPLIT = {"train": 12, "validation": 6, "test": 6}
NETWORK = "efficientnet_lite0"


@pytest.fixture(scope="module")
def folder(models_cache, tmp_path_factory):
    """The working folder, with `shards` of a few clips of the mini corpus and a `clip.mp4`."""
    media, folder = fetch_and_compose(progress=False), tmp_path_factory.mktemp("api")
    with open(media / "clips.csv", newline="") as file:
        every = list(csv.DictReader(file))
    rows = [
        row
        for split, n_clips in CLIPS_A_SPLIT.items()
        for row in [row for row in every if row["split"] == split][:n_clips]
    ]
    with open(folder / "list.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    (folder / "clip.mp4").write_bytes((media / rows[-1]["file"]).read_bytes())
    words = ["--media", media, "--labels", media / "labels.csv", "--out", folder / "shards"]
    words = ["prepare", folder / "list.csv", *words, "--image-model", NETWORK, "--frames", "2"]
    assert run(*words) == 0
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        yield folder


def run(*words) -> int:
    return main([str(word) for word in words])


def example() -> str:
    """README's block of Python that trains."""
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    (block,) = [block for block in blocks if "mmat.open_corpus" in block]
    return block


@pytest.fixture(scope="module")
def ran(folder):
    """What README's example leaves: its names, and what it printed."""
    keras.utils.set_random_seed(0)
    names = {}
    with contextlib.redirect_stdout(io.StringIO()) as said:
        exec(example().replace("epochs=20", "epochs=1"), names)
    return names, said.getvalue()


def test_the_example_trains_saves_and_tags(ran, folder):
    names, said = ran
    corpus, model = names["corpus"], names["model"]
    assert corpus.labels.names == mini_labels().names and corpus.splits == CLIPS_A_SPLIT
    assert corpus.network == image_network(NETWORK)
    assert {"loss", "val_loss"} <= set(model.history.history)
    assert re.search(r"^clip\.mp4: 10\.\d s, sound", said, re.MULTILINE)
    assert re.search(r"^tag +sure +fires", said, re.MULTILINE)
    bundle = load_bundle(folder / "dogs")
    assert bundle.labels == corpus.labels and bundle.image_network == ""
    assert {"validation_f1", "validation_mean_average_precision", "data"} == set(bundle.figures) - {
        "validation_precision",
        "validation_recall",
    }
    clips = {"waveform": np.random.default_rng(0).normal(0, 0.1, (2, 16000, 1)).astype("float32")}
    for name, scores in model.predict(clips, verbose=0).items():
        np.testing.assert_allclose(scores, bundle.model.predict(clips, verbose=0)[name], atol=1e-6)


def test_every_command_takes_what_it_saved_and_an_export_of_it(ran, folder, capsys):
    assert run("export", folder / "dogs", "--out", folder / "export") == 0
    told = []
    for model in (folder / "dogs", folder / "export"):
        capsys.readouterr()
        assert run("tag", folder / "clip.mp4", "--model", model, "--format", "json") == 0
        assert run("evaluate", "--model", model, "--data", folder / "shards") == 0
        told.append(capsys.readouterr().out)
    numbers = [[*map(float, re.findall(r"\d+\.\d+", text))] for text in told]
    np.testing.assert_allclose(numbers[0], numbers[1], atol=1e-5)
    taggers = Taggers([folder / "dogs"])
    assert taggers.chosen == "dogs"
    assert taggers.get("dogs", "").labels == mini_labels().names


def test_figures_of_a_model_are_those_of_its_folder(ran, folder):
    corpus, model = (ran[0][name] for name in ("corpus", "model"))
    ways = (model, corpus), (folder / "dogs", corpus), (str(folder / "dogs"), corpus.folder)
    found = [mmat.evaluate(*way, "test", progress=False, resamples=5) for way in ways]
    found[1].report["f1"], found[1].report["per_class"]["Dog"]  # as the docstring says
    for other in found[1:]:
        np.testing.assert_allclose(found[0].scores, other.scores, atol=1e-6)
        assert other.report["f1"] == pytest.approx(found[0].report["f1"])


def test_video_and_fusion_take_two_lines_more(ran, folder):
    corpus, audio = (ran[0][name] for name in ("corpus", "model"))
    video = mmat.video_branch(corpus.labels, corpus.network)
    fused = mmat.fused_model(audio, video, label_rates=corpus.label_rates())
    fused.compile(keras.optimizers.Adam(0.01), loss=corpus.loss)
    fused.fit(corpus.batches("validation", 6, fused.input), verbose=0)
    bundle = mmat.save(fused, folder / "both", corpus)
    assert bundle.image_network == NETWORK and bundle.n_frames == 2
    tagging = mmat.load(folder / "both").tag(folder / "clip.mp4")
    assert tagging.has_audio and tagging.has_video
    found = mmat.evaluate(folder / "both", corpus, progress=False, resamples=5)
    assert set(found.report["branches"]) == {"audio", "video"}


def test_a_tagging_is_shown_as_tables_and_told_in_a_line(folder, models_cache):
    tagging = mmat.load(labels="Dog;Train").tag(folder / "clip.mp4")
    assert str(tagging).splitlines()[1].split() == ["tag", "sure", "fires", "audio", "video"]
    assert repr(tagging).startswith("<Tagging of ") and "\n" not in repr(tagging)
    assert len(repr(tagging)) < 300


@pytest.mark.parametrize("name", sorted(set(mmat.__all__) - {"__version__"}))
def test_every_public_name_says_what_it_is(name):
    public = getattr(mmat, name)
    assert public.__doc__ and (isinstance(public, type) or public.__annotations__["return"])
