"""What an export answers, in a process of its own that has TensorFlow and NumPy alone."""

import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from mmat.errors import InputError
from mmat.labels import LabelSet
from mmat.models.audio import audio_branch
from mmat.models.bundle import Bundle, load_bundle
from mmat.models.pretrained.hub import HubImageClassifier
from mmat.models.pretrained.registry import image_network
from mmat.serving.export import export_saved_model

pytest_plugins = ["tests.serving.tiny"]

# Nothing of mmat, Kapre or TF-Hub can be imported there.
ASK = """
import sys
for name in ("mmat", "kapre", "tensorflow_hub", "tensorflow_io"):
    sys.modules[name] = None
import numpy as np
import tensorflow as tf

for folder, asked, answered in zip(*[iter(sys.argv[1:])] * 3):
    model = tf.saved_model.load(folder)
    inputs = {name: tf.constant(x) for name, x in np.load(asked).items()}
    facts = {"fact_" + name: x.numpy() for name, x in model.signatures["labels"]().items()}
    facts["fact_labels"] = facts["fact_labels"].astype(str)
    scores = {name: x.numpy() for name, x in model.signatures["serving_default"](**inputs).items()}
    np.savez(answered, **facts, **scores)
"""


@pytest.fixture(scope="module")
def inputs() -> dict:
    """Three clips of 1.23 s with pictures of no square shape: both senses, sound, pictures."""
    rng = np.random.default_rng(1)
    return {
        "waveform": rng.normal(0, 0.1, (3, 19680, 1)).astype(np.float32),
        "frames": rng.integers(0, 256, (3, 4, 60, 90, 3), np.uint8),
        "has_audio": np.array([True, True, False]),
        "has_video": np.array([True, False, True]),
    }


@pytest.fixture(scope="module")
def models(bundles) -> dict[str, Bundle]:
    """The tiny models, and an audio branch that computes in low precision."""
    low = Bundle(audio_branch(2, dtype="mixed_bfloat16"), LabelSet.of("ab"), np.float32([0.4, 0.6]))
    return {name: load_bundle(folder) for name, folder in bundles.items()} | {"low": low}


@pytest.fixture(scope="module")
def answers(models, exports, inputs, tmp_path_factory) -> dict[str, dict]:
    """What each export answers in another process; one for all, since TensorFlow starts slowly."""
    folder = tmp_path_factory.mktemp("answers")
    exports = exports | {"low": export_saved_model(models["low"], folder / "low")}
    arguments = []
    for name, model in models.items():
        taken = set(model.model.input) - {"image_probabilities"}
        taken |= {"frames"} if "image_probabilities" in model.model.input else set()
        np.savez(folder / f"{name}-asked.npz", **{key: inputs[key] for key in taken})
        arguments += [exports[name], folder / f"{name}-asked.npz", folder / f"{name}.npz"]
    command = [sys.executable, "-c", ASK, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return {name: dict(np.load(folder / f"{name}.npz")) for name in models}


@pytest.mark.parametrize(
    ("name", "tolerance"), [("fused", 1e-5), ("audio", 1e-5), ("video", 1e-5), ("low", 2e-2)]
)
def test_answers_elsewhere_as_keras_does(name, tolerance, models, inputs, answers):
    bundle, found = models[name], answers[name]
    images = HubImageClassifier.of(image_network("efficientnet_lite0"))
    known = inputs | {"image_probabilities": images(inputs["frames"])}
    expected = bundle.model.predict({key: known[key] for key in bundle.model.input}, verbose=0)
    if "image_probabilities" in bundle.model.input:
        given = np.asarray(known["image_probabilities"])
        present = inputs["has_video"] | ("has_video" not in bundle.model.input)
        expected["image_probabilities"] = given * present[:, None, None]
    assert {key for key in found if not key.startswith("fact_")} == {*expected, "fired"}
    for key, scores in expected.items():
        assert found[key].dtype == np.float32
        np.testing.assert_allclose(found[key], scores, atol=tolerance, err_msg=key)
    np.testing.assert_array_equal(found["fired"], found["clip"] >= bundle.thresholds)


def test_says_what_it_knows(models, answers):
    for name, found in answers.items():
        assert found["fact_labels"].tolist() == list(models[name].labels.names)
        np.testing.assert_array_equal(found["fact_thresholds"], models[name].thresholds)
        assert (found["fact_clip_seconds"], found["fact_sample_rate_hz"]) == (10.0, 16000)
        pictures = (2, 224) if name in ("video", "fused") else (0, 0)
        assert (found["fact_n_frames"], found["fact_image_size_px"]) == pictures


def test_absence_is_told_and_not_faked(exports, inputs):
    answer = tf.saved_model.load(str(exports["fused"])).signatures["serving_default"]
    given = {name: tf.constant(x) for name, x in inputs.items()}
    black = given | {"frames": tf.zeros((3, 1, 5, 7, 3), tf.uint8)}
    full, without = answer(**given), answer(**black)
    heard_alone = 1
    for name in ("clip", "frame", "audio", "video"):
        np.testing.assert_array_equal(full[name][heard_alone], without[name][heard_alone])
    np.testing.assert_array_equal(full["clip"][1], full["audio"][1])
    np.testing.assert_array_equal(full["clip"][2], full["video"][2])


def test_labels_and_card_lie_inside(exports, bundles):
    bundle = load_bundle(bundles["fused"])
    assert LabelSet.from_csv(exports["fused"] / "assets" / "labels.csv") == bundle.labels
    card = (exports["fused"] / "README.md").read_text(encoding="utf-8")
    for words in ("| Cat, kitten | 0.500 |", "Apache-2.0", "## Intended use", "`has_video`"):
        assert words in card
    assert "image network" not in (exports["audio"] / "README.md").read_text(encoding="utf-8")


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
