"""The DCASE experiment from lists and media to scores, on made clips that carry real ids."""

import dataclasses
import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from experiments import dcase2017_task4, options, validation
from experiments.options import FUSIONS, POOLINGS, training_parser
from experiments.validation import ValidationSet
from mmat.cli import main as mmat
from mmat.evaluation.evaluate import choose_clips
from mmat.lists.read import read_list
from mmat.lists.splits import validation_slice
from mmat.metrics.official import score_events, score_tagging
from mmat.metrics.tagging import precision_recall_f1
from mmat.metrics.thresholds import fire, tune_thresholds
from mmat.models import label_map
from mmat.models.audio import adapt_normalization
from mmat.models.bundle import load_bundle
from mmat.pretrained import registry
from mmat.pretrained.efficientnet_lite import save_in_hub_form
from mmat.pretrained.text import UNIVERSAL_SENTENCE_ENCODER
from mmat.shards.corpus import open_corpus
from mmat.shards.read import load_split, read_arrays
from mmat.training.step import clip_loss, training_step
from tests.experiments.conftest import STRONG, TINY, WEAK, run
from tests.pretrained.conftest import hub_cache, serve, text_folder  # noqa: F401

SYSTEMS = ("audio", "video", "fused")


@pytest.fixture(scope="module")
def ran(task, models_cache, tmp_path_factory):
    """Where a run of all three systems left its results."""
    out = tmp_path_factory.mktemp("dcase") / "out"
    words = ["--lists", task / "lists", "--media", task / "media", "--out", out, "--no-boards"]
    words += ["--image-model", "efficientnet_lite0", "--checkpoints", "1", *TINY]
    with pytest.MonkeyPatch.context() as patch:
        # Pictures of clips take their time.
        patch.setattr(choose_clips, "__defaults__", (1,))
        assert run(dcase2017_task4.main, [*map(str, words)]) == 0
    return out


@pytest.fixture(scope="module")
def report(ran):
    return json.loads((ran / "report.json").read_text())["test"]


def test_every_system_has_its_figures_and_its_folder(ran, report):
    assert tuple(report["systems"]) == SYSTEMS
    for name, figures in report["systems"].items():
        assert figures["clips"] == 17 and len(figures["per_class"]) == 17
        ends = figures["intervals"]["clips"]["f1"]
        assert ends["low"] <= figures["f1"] <= ends["high"]
        assert load_bundle(ran / name).image_network == ("efficientnet_lite0", "")[name == "audio"]
        assert (ran / "report" / f"{name}-test" / "report.html").stat().st_size > 10_000


def test_the_official_figures_are_those_of_the_files_against_the_task_s_truth(ran, report, task):
    for name, figures in report["systems"].items():
        said = ran / "report" / f"{name}-test" / "official"
        tags = task / "lists" / WEAK, said / "tagging_prediction.csv"
        assert figures["subtask_a"]["official"] == score_tagging(*tags)
        assert figures["subtask_a"]["strict"] == score_tagging(*tags, strict=True)
        events = task / "lists" / STRONG, said / "events_prediction.csv"
        assert figures["subtask_b"] == score_events(*events)
        # All test clips are there, so the strict figure is what the evaluation counts by itself.
        assert figures["subtask_a"]["strict"]["micro"]["f1"] == pytest.approx(100 * figures["f1"])


def test_the_gain_is_the_difference_of_the_two(report):
    gain = report["fused_over_audio"]["f1"]
    f1 = {name: figures["f1"] for name, figures in report["systems"].items()}
    assert gain["estimate"] == pytest.approx(f1["fused"] - f1["audio"])
    assert gain["low"] <= gain["estimate"] <= gain["high"]


def test_learnt_from_names_the_three_systems_have_their_figures(
    task, models_cache, tmp_path, monkeypatch
):
    """One tagger on frozen networks, and its two branches."""
    monkeypatch.setattr(choose_clips, "__defaults__", (1,))
    words = ["--lists", task / "lists", "--media", task / "media", "--out", tmp_path, *TINY]
    assert run(dcase2017_task4.main, [*map(str, words), "--audio", "names"]) == 0
    systems = json.loads((tmp_path / "report.json").read_text())["test"]["systems"]
    assert tuple(systems) == SYSTEMS
    tagger = load_bundle(tmp_path / "fused")
    clips = next(open_corpus(tmp_path / "shards").batches("test", 32, tagger.model.input).take(1)
                 .as_numpy_iterator())[0]  # fmt: skip
    outputs = tagger.model(clips)
    for name, figures in systems.items():
        said = tmp_path / "report" / f"{name}-test" / "official"
        tags = task / "lists" / WEAK, said / "tagging_prediction.csv"
        assert figures["clips"] == 17
        assert figures["subtask_a"]["official"] == score_tagging(*tags)
        bundle = load_bundle(tmp_path / name)
        np.testing.assert_array_equal(bundle.thresholds, tagger.thresholds)
        own = outputs["clip" if name == "fused" else name]
        given = {key: clips[key] for key in bundle.model.input}
        np.testing.assert_allclose(bundle.model(given)["clip"], own, atol=1e-6)
    assert len(set(tagger.thresholds)) == 1


def test_validation_is_the_fixed_slice_of_the_training_list(ran, task):
    listed = read_list(task / "lists" / "training_set.csv").clips
    for split in ("train", "validation"):
        stored = set(read_arrays(ran / "shards", split)["ids"])
        assert stored == {x.id for x in validation_slice(listed, 0.1) if x.split == split}


def test_thresholds_are_those_of_validation_alone(ran):
    corpus = open_corpus(ran / "shards")
    for name in ("audio", "fused"):
        bundle = load_bundle(ran / name)
        held = ValidationSet(corpus, bundle.model)
        held(bundle.model)
        truth, scores, judged = held.truth, held.scores, held.can_judge
        assert judged.all() == (name == "fused") and not scores[~judged].any()
        np.testing.assert_array_equal(bundle.thresholds, tune_thresholds(truth, scores))
        f1 = precision_recall_f1(truth, fire(scores, bundle.thresholds)).f1
        assert bundle.figures["validation_f1"] == f1


def test_without_a_validation_split_the_same_slice_is_cut_from_the_shards(task, tmp_path):
    """Prepared by `mmat prepare`, which holds nothing out."""
    path, shards = task / "lists" / "training_set.csv", tmp_path / "shards"
    words = ["--media", task / "media", "--image-model", "none", "--clip-seconds", "1"]
    words = ["prepare", path, *words, "--workers", "0", "--out", shards]
    assert mmat([*map(str, words)]) == 0
    stored = set(read_arrays(shards, "train")["ids"])
    listed = [clip for clip in read_list(path).clips if clip.id in stored]
    corpus = open_corpus(shards)
    for part in ("train", "validation"):
        expected = {x.id for x in validation_slice(listed, 0.1) if x.split == part}
        assert ids_of(corpus.once(part, ["ids"], 8)) == expected
    drawn = corpus.batches_from("train", ["waveform", "ids"], 100)(0).take(2)
    assert not ids_of(drawn) & expected


def ids_of(batches):
    return {clip.decode() for inputs, _ in batches for clip in inputs["ids"].numpy()}


def test_balanced_rates_are_how_often_balanced_batches_have_a_class(ran):
    corpus = open_corpus(ran / "shards")
    drawn = corpus.batches_from("train", ["has_audio"], 100)(0).take(20)
    found = np.concatenate([weak_labels for _, weak_labels in drawn]).mean(axis=0)
    np.testing.assert_allclose(corpus.label_rates(balanced=True), found, atol=0.01)


def chosen(ran, *words):
    """The command line of words, and the corpus."""
    made = training_parser(dcase2017_task4.__doc__, "unused", dcase2017_task4.AUDIO)
    arguments = made.parse_args(["--data", str(ran / "shards"), *words])
    return arguments, open_corpus(arguments.data)


def learns(corpus, model):
    """Whether three steps on one batch lower that batch's loss."""
    batches = corpus.batches_from("train", list(model.input), 4)(0)
    inputs, weak_labels = next(iter(batches))
    if model.name == "audio":
        adapt_normalization(model, [inputs])
    tf.config.run_functions_eagerly(True)  # to trace a step takes longer than to take it
    try:
        step = training_step(model, keras.optimizers.Adam(1e-3))
        before = float(clip_loss(model(inputs), weak_labels))
        losses = [float(step(inputs, weak_labels)) for _ in range(3)]
        after = float(clip_loss(model(inputs), weak_labels))
    finally:
        tf.config.run_functions_eagerly(False)
    return np.isfinite(losses).all() and after < before


@pytest.mark.parametrize("pooling", POOLINGS)
def test_every_pooling_learns(ran, pooling):
    arguments, corpus = chosen(ran, "--pooling", pooling)
    model = dcase2017_task4.audio(arguments, corpus)
    assert model.count_params() - 2 * 64 == (939_458 if pooling == "attention" else 936_041)
    assert learns(corpus, model)


@pytest.mark.parametrize("fusion", FUSIONS)
def test_every_fusion_learns_on_the_trained_branches(ran, fusion):
    arguments, corpus = chosen(ran, "--fusion", fusion)
    audio, video = (load_bundle(ran / name).model for name in ("audio", "video"))
    model = dcase2017_task4.fused(arguments, corpus, audio, video)
    clips = next(load_split(ran / "shards", "test", ["waveform"]).batch(4).as_numpy_iterator())[0]
    said = audio(clips)["clip"]
    np.testing.assert_array_equal(model.get_layer("audio")(clips)["clip"], said)
    assert learns(corpus, model)
    np.testing.assert_array_equal(model.get_layer("audio")(clips)["clip"], said)


def test_inception_and_sentence_encoder_by_their_handles(
    task, serve, text_folder, models_cache, tmp_path, monkeypatch  # noqa: F811
):  # fmt: skip
    """The default networks' own path, over HTTP, with small networks of the same form."""
    keras.utils.set_random_seed(1)
    image = keras.Input((299, 299, 3))
    logits = keras.layers.Dense(1001)(keras.layers.AveragePooling2D(299)(image))
    save_in_hub_form(keras.Model(image, keras.layers.Flatten()(logits)), tmp_path / "image")
    path = "/google/imagenet/inception_v3/classification/5"
    network = registry.image_network("inception_v3")
    served = dataclasses.replace(network, handle=serve(tmp_path / "image", path))
    monkeypatch.setitem(registry.IMAGE_NETWORKS, "inception_v3", served)
    encoder = serve(text_folder, "/google/universal-sentence-encoder/4")
    monkeypatch.setattr(options, "UNIVERSAL_SENTENCE_ENCODER", encoder)
    monkeypatch.setattr(label_map, "cache_folder", lambda: tmp_path)
    assert UNIVERSAL_SENTENCE_ENCODER.endswith("/google/universal-sentence-encoder/4")

    lists, media, out = task / "lists", task / "media", tmp_path / "out"
    words = ["--lists", lists, "--media", media, "--out", out, "--systems", "video", *TINY]
    monkeypatch.setattr(choose_clips, "__defaults__", (1,))
    monkeypatch.setattr(validation, "N_SHOWN", 1)
    assert run(dcase2017_task4.main, [*map(str, words), "--checkpoints", "1"]) == 0
    index = json.loads((out / "shards" / "index.json").read_text())
    assert index["image_network"] == load_bundle(out / "video").image_network == "inception_v3"
    board = out / "tensorboard" / "video"
    assert [path.suffix for path in board.glob("events.*")] == [".mmat"]
    assert len((board / "projector" / "tensors.tsv").read_text().splitlines()) > 1000


@pytest.mark.parametrize(
    "words, said",
    [
        ([], "no clips: give --data SHARDS, or --lists DIR and --media DIR"),
        (["--media", "."], "--lists DIR is missing"),
        (["--lists", "nowhere", "--media", "."], "nowhere/training_set.csv: not there"),
        (["--data", "nowhere"], "nowhere: no such folder of shards"),
        (["--data", ".", "--media", "."], "--data and --media"),
        (["--systems", "audio,smell"], "'audio,smell' is no list of audio, video, fused"),
        (["--pooling", "median"], "invalid choice: 'median'"),
        (["--batch-size", "0"], "'0' is no whole number from 1 up"),
        (["--devices", "mirrored", "--data", "nowhere"], "mirrored needs two GPUs"),
        (["--devices", "workers", "--data", "nowhere"], "TF_CONFIG: is not set"),
        (["--data", "SHARDS", "--image-model", "inception_v3"], "went through efficientnet_lite0"),
        (["--data", "SHARDS", "--learning-rate", "0"], "learning_rate is 0.0"),
        (["--data", "SHARDS", "--net", "talnet", "--audio-encoder", "yamnet"], "takes the net's"),
        (["--data", "SHARDS", "--pooling", "max", "--out", "OUT"], "holds another training"),
    ],
)
def test_bad_input_is_one_line_and_status_2(ran, tmp_path, monkeypatch, capsys, words, said):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TF_CONFIG", raising=False)
    places = {"SHARDS": str(ran / "shards"), "OUT": str(ran)}
    words = [places.get(word, word) for word in words]
    tiny = ["--no-deterministic", "--no-boards", "--precision", "float32", "--steps", "2"]
    tiny += ["--batch-size", "4"] * ("--batch-size" not in words)
    assert run(dcase2017_task4.main, [*words, *tiny]) == 2
    *_, line = capsys.readouterr().err.splitlines()
    assert line.startswith("mmat: error: ") and said in line
    assert not (tmp_path / "runs").exists() or not any((tmp_path / "runs").rglob("*.npz"))
