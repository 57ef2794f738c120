"""The outputs of exports, in a process of its own that has TensorFlow and NumPy alone."""

import dataclasses
import io
import pathlib

import numpy as np
import pytest
import soundfile
import tensorflow as tf

from mmat.export.card import model_card
from mmat.export.savedmodel import export_saved_model, serve
from mmat.files import InputError
from mmat.labels import LabelSet, Task
from mmat.metrics.decisions import decide
from mmat.models.audio import SPEECH_BLOCKS, audio_branch
from mmat.models.bundle import Bundle, load_bundle
from mmat.models.features import SPEECH_MEL
from mmat.models.learnt import learnt_models
from mmat.models.names import zero_shot_bundle
from mmat.pretrained.hub import HubImageClassifier
from mmat.pretrained.registry import efficientnet_lite0, yamnet
from tests.models.made_learnt import moved
from tests.processes import program, run_process
from tests.tagging.levels import CLASSES, VALUES, set_last_layer

pytest_plugins = ["tests.export.tiny"]

LEARNT = LabelSet.of(["Dog", "Silence"])
FIRST_LANE_PYTHON = pathlib.Path(__file__).parents[2] / ".venv" / "bin" / "python"


@pytest.fixture(scope="module")
def inputs() -> dict:
    """Three clips of 1.23 s with pictures of no square shape: both senses, sound, pictures."""
    rng = np.random.default_rng(1)
    samples = rng.normal(0, 3000, (3, 19680, 1)).astype(np.int16)
    file = io.BytesIO()
    soundfile.write(file, samples[1], 16000, format="WAV", subtype="PCM_16")
    return {
        "wav": np.frombuffer(file.getvalue(), np.uint8),  # of the clip that is heard alone
        "waveform": samples / np.float32(2**15),
        "frames": rng.integers(0, 256, (3, 4, 60, 90, 3), np.uint8),
        "has_audio": np.array([True, True, False]),
        "has_video": np.array([True, False, True]),
    }


@pytest.fixture(scope="module")
def models(bundles) -> dict[str, Bundle]:
    """The tiny models, one that computes in low precision, one untrained, three that have learnt
    from names, and two of other tasks, whose outputs are known: one with the features of speech,
    one of ragged batches.
    """
    low = Bundle(audio_branch(2, dtype="mixed_bfloat16"), LabelSet.of("ab"), np.float32([0.4, 0.6]))
    models = {name: load_bundle(folder) for name, folder in bundles.items()}
    models |= {"low": low, "zero_shot": zero_shot_bundle(LabelSet.of(["Dog", "Siren"]))}
    classes = audio_branch(3, mel=SPEECH_MEL, blocks=SPEECH_BLOCKS, task=CLASSES.task)
    values = audio_branch(1, ragged=True, task=VALUES.task)
    set_last_layer(classes, [0.0, 1.0, 0.0])
    set_last_layer(values, [1.0])
    models["classes"] = Bundle(classes, CLASSES, np.float32([0, 0, 0]))
    models["values"] = Bundle(values, VALUES, np.float32([1]))
    for name, *networks in (
        ("learnt", yamnet, efficientnet_lite0),
        ("learnt_sound", yamnet, None),
        ("learnt_pictures", None, efficientnet_lite0),
    ):
        learnt = moved(learnt_models(LEARNT, *networks, ragged=networks[0] is not None))
        network = networks[1].name if networks[1] else ""
        models[name] = Bundle(learnt.tagger, LEARNT, np.float32([0.2, 0.2]), network)
    return models | {"made in the first lane": models["fused"]}


@pytest.fixture(scope="module")
def first_lane_export(bundles, exports, tmp_path_factory) -> pathlib.Path:
    """The fused model exported by the older TensorFlow, whichever this one is."""
    if tf.__version__.startswith("2.17."):
        return exports["fused"]
    if not FIRST_LANE_PYTHON.exists():
        pytest.skip("the first lane's environment is not there; run `make venv`")
    folder = tmp_path_factory.mktemp("first") / "lane"
    command = [FIRST_LANE_PYTHON, "-m", "mmat", "export", bundles["fused"], "--out", folder]
    done = run_process(command)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def outputs(models, exports, first_lane_export, inputs, tmp_path_factory) -> dict[str, dict]:
    """The outputs of each export in another process, one for all: TensorFlow starts slowly."""
    folder = tmp_path_factory.mktemp("outputs")
    exports = exports | {"made in the first lane": first_lane_export}
    for name in models.keys() - exports.keys():
        exports[name] = export_saved_model(models[name], folder / name)
    arguments = []
    for name, model in models.items():
        taken = set(model.model.input) & inputs.keys() | {"wav"}
        taken |= {"frames"} if "image_probabilities" in model.model.input else set()
        np.savez(folder / f"{name}-inputs.npz", **{key: inputs[key] for key in taken})
        arguments += [exports[name], folder / f"{name}-inputs.npz", folder / f"{name}.npz"]
    done = run_process(program("calling_exports", *arguments))
    assert done.returncode == 0, done.stderr
    return {name: dict(np.load(folder / f"{name}.npz")) for name in models}


def keras_outputs(bundle: Bundle, inputs: dict) -> dict[str, np.ndarray]:
    """Return the outputs of the model itself, and the image probabilities that it was given."""
    images = HubImageClassifier.of(efficientnet_lite0, with_embedding=True)(inputs["frames"])
    seen = inputs["has_video"] | ("has_video" not in bundle.model.input)
    given = {name: np.asarray(x) * seen[:, None, None] for name, x in images.items()}
    known = inputs | {"n_samples": np.full(3, inputs["waveform"].shape[1])}
    known |= {
        "image_probabilities": given["probabilities"],
        "image_embeddings": given["embedding"],
    }
    outputs = bundle.model.predict({key: known[key] for key in bundle.model.input}, verbose=0)
    return outputs | {key: known[key] for key in bundle.model.input if key == "image_probabilities"}


@pytest.mark.parametrize(
    ("name", "tolerance"),
    [
        ("fused", 1e-5),
        ("audio", 1e-5),
        ("video", 1e-5),
        ("low", 2e-2),
        ("zero_shot", 1e-5),
        ("learnt", 1e-5),
        ("learnt_sound", 1e-5),
        ("learnt_pictures", 1e-5),
        ("classes", 1e-6),
        ("values", 1e-6),
        ("made in the first lane", 1e-5),
    ],
)
def test_an_export_predicts_elsewhere_as_keras_does(name, tolerance, models, inputs, outputs):
    bundle, found = models[name], outputs[name]
    expected = keras_outputs(bundle, inputs)
    own = {key for key in found if not key.startswith(("fact_", "wav_"))}
    assert own == {*expected, "fired"}
    for key, scores in expected.items():
        assert found[key].dtype == np.float32
        np.testing.assert_allclose(found[key], scores, atol=tolerance, err_msg=key)
    decided = decide(bundle.labels.task, found["clip"], bundle.thresholds)
    np.testing.assert_array_equal(found["fired"], decided)


def test_the_class_and_the_value_are_those_of_the_last_layer(outputs):
    classes, values = outputs["classes"], outputs["values"]
    shares = np.exp([0.0, 1.0, 0.0]) / (2 + np.e)
    value = 6 / (1 + np.exp(-1)) - 3
    for name in ("clip", "frame"):
        np.testing.assert_allclose(
            classes[name], np.broadcast_to(shares, classes[name].shape), atol=1e-6
        )
        np.testing.assert_allclose(values[name], value, atol=1e-5)
    np.testing.assert_array_equal(classes["fired"], [[False, True, False]] * 3)
    np.testing.assert_array_equal(values["fired"], [[True]] * 3)


def test_a_wav_is_tagged_or_refused_in_words(models, outputs):
    heard_alone = 1
    for name, found in outputs.items():
        of_wav = {key.removeprefix("wav_") for key in found if key.startswith("wav_")}
        if "waveform" not in models[name].model.input:
            assert not of_wav
            continue
        own = {key for key in found if not key.startswith(("fact_", "wav_"))}
        assert of_wav == own | {"refusal"}
        assert "[tag_wav: cut off: 55 of 39360 data bytes, where" in str(found["wav_refusal"])
        for key in ("clip", "frame"):
            atol = 2e-2 if name == "low" else 1e-5
            alone = found[key][heard_alone]
            np.testing.assert_allclose(found[f"wav_{key}"][0], alone, atol=atol, err_msg=name)


def test_the_facts_are_those_of_the_bundle(models, outputs):
    for name, found in outputs.items():
        assert found["fact_labels"].tolist() == list(models[name].labels.names)
        np.testing.assert_array_equal(found["fact_thresholds"], models[name].thresholds)
        assert Task.from_text(str(found["fact_task"])) == models[name].labels.task
        assert (found["fact_clip_seconds"], found["fact_sample_rate_hz"]) == (10.0, 16000)
        sees = "image_probabilities" in models[name].model.input
        pictures = (models[name].n_frames, 224) if sees else (0, 0)
        assert (found["fact_n_frames"], found["fact_image_size_px"]) == pictures


def test_absence_is_a_flag_and_not_faked(exports, inputs):
    predict = tf.saved_model.load(str(exports["fused"])).signatures["serving_default"]
    given = {name: tf.constant(x) for name, x in inputs.items() if name != "wav"}
    black = given | {"frames": tf.zeros((3, 1, 5, 7, 3), tf.uint8)}
    full, without = predict(**given), predict(**black)
    heard_alone = 1
    for name in ("clip", "frame", "audio", "video"):
        np.testing.assert_array_equal(full[name][heard_alone], without[name][heard_alone])
    np.testing.assert_array_equal(full["clip"][1], full["audio"][1])
    np.testing.assert_array_equal(full["clip"][2], full["video"][2])


def test_labels_and_card_lie_inside(exports, bundles):
    bundle = load_bundle(bundles["fused"])
    assert LabelSet.from_csv(exports["fused"] / "assets" / "labels.csv") == bundle.labels
    card = (exports["fused"] / "README.md").read_text(encoding="utf-8")
    for words in (
        "| Cat, kitten | 0.500 |",
        "Apache-2.0",
        "## Intended use",
        "`has_video`",
        "| `tag_wav` | `wav` |",
    ):
        assert words in card
    assert "image network" not in (exports["audio"] / "README.md").read_text(encoding="utf-8")


def test_a_card_says_what_the_outputs_are(models):
    served = {name: model_card(models[name], serve(models[name])) for name in ("classes", "values")}
    assert "which one of 3 classes" in served["classes"] and "- still\n" in served["classes"]
    assert "between -3 and 3" in served["values"] and "- mood\n" in served["values"]
    for card in served.values():
        assert "never fires" not in card and "from its sound" in card
        assert "Labels and thresholds" not in card


def test_a_card_of_what_was_learnt_from_names_tells_both_apart(models):
    learnt, untrained = (model_card(models[name], serve(models[name]))
                         for name in ("learnt", "zero_shot"))  # fmt: skip
    for card in (learnt, untrained):
        assert "- audio network YAMNet: Apache-2.0" in card
        assert "- image network efficientnet_lite0: Apache-2.0" in card and "- label map:" in card
    assert "what was trained with mmat" in learnt and "what was trained" not in untrained


def test_a_card_leaves_out_what_is_not_known(models):
    known = {"validation_mae": 0.5, "validation_pearson": None}
    card = model_card(dataclasses.replace(models["values"], figures=known))
    assert "- validation_mae: 0.5\n" in card and "pearson" not in card and "None" not in card


def test_only_an_earlier_export_is_replaced(bundles, tmp_path):
    bundle, folder = load_bundle(bundles["audio"]), tmp_path / "export"
    folder.mkdir()
    (folder / "thesis.txt").write_text("precious")
    with pytest.raises(InputError, match="holds something other than an export"):
        export_saved_model(bundle, folder)
    assert [path.name for path in tmp_path.rglob("*")] == ["export", "thesis.txt"]
    (folder / "thesis.txt").unlink()
    for _ in range(2):
        assert export_saved_model(bundle, folder) == folder
    assert [path.name for path in tmp_path.iterdir()] == ["export"]
