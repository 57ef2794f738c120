"""Untrained tagging out of the cache's LiteRT file: what Keras says, without TensorFlow."""

import os
import sys

import numpy as np
import pytest

from mmat.export import untrained_file
from mmat.export.untrained_file import (
    IMAGE_NETWORK,
    N_KEPT,
    SOUND_NETWORK,
    UntrainedTagger,
    untrained_path,
    untrained_tagger,
)
from mmat.files import InputError
from mmat.labels import LabelSet
from mmat.models.asked import heard_label_set
from mmat.models.name_maps import name_maps
from mmat.models.names import zero_shot_bundle
from mmat.pretrained.embedded import embedded_folder
from mmat.tagging.tagger import Tagger, load
from tests.processes import run_process

pytest_plugins = ["tests.export.tiny"]

# Kin, speech and another act of the voice, one that only the picture knows, one that nothing knows.
FEW = ("Speech", "Laughter", "Dog", "Bark", "Train horn", "Electric guitar", "Quarterly tax return")
LABELS = {"few": LabelSet.of(FEW), "one": LabelSet.of(["Dog"]), "heard": None}


def maps_of(labels):
    return name_maps(labels, SOUND_NETWORK, IMAGE_NETWORK)


@pytest.fixture(scope="module", params=LABELS)
def labels(request, models_cache):
    return LABELS[request.param] or heard_label_set()


@pytest.fixture(scope="module")
def keras_and_file(labels) -> tuple[Tagger, Tagger]:
    return Tagger.of(zero_shot_bundle(labels)), Tagger.asking(untrained_tagger(maps_of(labels)))


@pytest.fixture(scope="module")
def inputs() -> dict:
    """A clip of 4 s of noise that comes and goes, with pictures of it, as the graphs take them."""
    random = np.random.default_rng(0)
    loud = np.repeat(random.uniform(0, 0.3, 40), 1600) * random.normal(size=64_000)
    return {
        "waveform": np.float32(loud)[None, :, None],
        "frames": random.integers(0, 256, (1, 8, 224, 224, 3), np.uint8),
        "has_audio": np.array([True]),
        "has_video": np.array([True]),
    }


@pytest.mark.parametrize("lacks", [None, "has_audio", "has_video"])
def test_it_says_what_keras_says(keras_and_file, inputs, lacks):
    given = inputs | ({lacks: np.array([False])} if lacks else {})
    expected, found = (tagger._model.serve(**given) for tagger in keras_and_file)
    assert set(found) == set(expected) - {"fired"}
    for name in set(found) - {"image_probabilities" if lacks == "has_video" else ""}:
        scores = found[name]
        np.testing.assert_allclose(scores, expected[name], atol=1e-4, err_msg=name)


def test_sound_alone_and_what_is_known_of_the_model_are_the_same(keras_and_file, inputs):
    keras, file = keras_and_file
    expected, found = (x._model.audio_only(inputs["waveform"]) for x in keras_and_file)
    np.testing.assert_allclose(found["frame"], expected["frame"], atol=1e-4)
    for name, fact in keras._maps.items():
        if name.endswith("_labels"):
            np.testing.assert_array_equal(file._maps[name], fact, err_msg=name)
        else:
            np.testing.assert_allclose(file._maps[name], fact, atol=1e-6, err_msg=name)
    assert (file.labels, file.unmapped, file.guesses) == (
        keras.labels,
        keras.unmapped,
        keras.guesses,
    )
    assert (file.thresholds == keras.thresholds).all()
    assert (file.inputs, file.window_spec) == (keras.inputs, keras.window_spec)


def test_files_are_tagged_the_same(keras_and_file, clips):
    for name in ("both.mp4", "sound.mp4", "pictures.mp4"):
        expected, found = (tagger.tag(clips / name) for tagger in keras_and_file)
        # The sound is a pure tone: what lies far under it is rounding noise, of each run another.
        np.testing.assert_allclose(found.frame_scores, expected.frame_scores, atol=1e-3)
        np.testing.assert_allclose(found.clip_scores, expected.clip_scores, atol=1e-3)
        assert [tag.label for tag in found.tags if tag.fired] == [
            tag.label for tag in expected.tags if tag.fired
        ]


def test_load_takes_it_and_a_second_start_imports_nothing_heavy(models_cache, clips):
    assert isinstance(load(labels="Dog;Train horn")._model, UntrainedTagger)
    assert untrained_path().is_file()
    code = (
        "import sys; from mmat.cli import main\n"
        "status = main(['tag', sys.argv[1], '--labels', 'Dog;Train horn'])\n"
        "heavy = {'tensorflow', 'keras', 'pandas', 'matplotlib', 'scipy', 'sklearn', 'kapre'}\n"
        "print(status, sorted(heavy & set(sys.modules)))"
    )
    done = run_process([sys.executable, "-c", code, str(clips / "both.mp4")])
    assert done.stdout.splitlines()[-1] == "0 []"


def test_a_damaged_file_is_refused_and_made_again(models_cache, tmp_path):
    maps, damaged = maps_of(LABELS["one"]), tmp_path / "a.tflite"
    damaged.write_bytes(b"TFL3" * 100)
    with pytest.raises(InputError, match="no TensorFlow Lite file of a tagger"):
        UntrainedTagger(damaged, maps)
    assert untrained_tagger(maps, damaged).facts.labels.names == ("Dog",)
    assert damaged.stat().st_size > 30e6
    assert list(tmp_path.iterdir()) == [damaged]
    content = damaged.read_bytes()
    damaged.write_bytes(content[:9_000_000] + bytes(1000) + content[9_001_000:])  # weights of sound
    with pytest.raises(InputError, match="its network is damaged"):
        UntrainedTagger(damaged, maps)


def test_where_no_file_can_be_made_there_is_none(models_cache, tmp_path):
    blocked = tmp_path / "untrained"
    blocked.write_text("a file where the folder would be")
    assert untrained_tagger(maps_of(LABELS["one"]), blocked / "a.tflite") is None


def test_another_network_is_computed_by_tensorflow(models_cache):
    folder = embedded_folder("yamnet")
    tagger = load(labels="Dog", sound_model=str(folder))
    assert not isinstance(tagger._model, UntrainedTagger)


def test_files_of_older_versions_go(tmp_path):
    for age in range(N_KEPT + 2):
        file = tmp_path / f"{age}.tflite"
        file.write_bytes(b"")
        os.utime(file, (10_000 - age, 10_000 - age))
    untrained_file._forget_old(tmp_path)
    assert sorted(file.stem for file in tmp_path.iterdir()) == [str(x) for x in range(N_KEPT)]
