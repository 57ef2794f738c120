import json
import shutil
import zipfile

import keras
import numpy as np
import pytest

from mmat.files import InputError
from mmat.labels import LabelSet
from mmat.models.bundle import (
    LABELS_FILE,
    MODEL_FILE,
    RECORD_FILE,
    Bundle,
    load_bundle,
    save_bundle,
)
from mmat.models.video import video_branch
from mmat.pretrained.hub import HubImageClassifier

LABELS = LabelSet(("Dog", "Air horn, truck horn"), ("/m/0bt9lr", ""), (("hound", "cur"), ()))
PROBABILITIES = np.random.default_rng(0).dirichlet(np.ones(5), (2, 4)).astype("float32")


def make_bundle(**changes):
    fields = {
        "model": video_branch(LABELS, similarities=np.random.default_rng(1).random((5, 2))),
        "labels": LABELS,
        "thresholds": np.float32([0.1, 1 / 3]),
        "image_network": "efficientnet_lite0",
        "n_frames": 4,
        "clip_seconds": 7.5,
        "figures": {"f1": 0.51},
    }
    return Bundle(**fields | changes)


@pytest.fixture
def folder(tmp_path):
    save_bundle(tmp_path / "trained", make_bundle())
    return tmp_path / "trained"


def clip_scores(bundle):
    return bundle.model({"image_probabilities": PROBABILITIES})["clip"].numpy()


def test_everything_comes_back(tmp_path):
    bundle = make_bundle()
    save_bundle(tmp_path / "a" / "b", bundle)
    loaded = load_bundle(str(tmp_path / "a" / "b"))
    np.testing.assert_array_equal(clip_scores(loaded), clip_scores(bundle))
    np.testing.assert_array_equal(loaded.thresholds, bundle.thresholds)
    assert loaded.thresholds.dtype == np.float32
    for field in ("labels", "image_network", "n_frames", "clip_seconds", "figures"):
        assert getattr(loaded, field) == getattr(bundle, field)
    assert {path.name for path in (tmp_path / "a" / "b").iterdir()} == {
        MODEL_FILE,
        RECORD_FILE,
        LABELS_FILE,
    }


def test_a_bundle_takes_the_place_of_an_older_one(folder):
    save_bundle(folder, make_bundle(thresholds=np.float32([0.5, 0.5])))
    assert load_bundle(folder).thresholds.tolist() == [0.5, 0.5]
    assert [path.name for path in folder.parent.iterdir()] == ["trained"]


def test_what_cannot_be_written_leaves_the_older_one(folder):
    with pytest.raises(TypeError):
        save_bundle(folder, make_bundle(figures={"f1": object()}))
    assert load_bundle(folder).figures == {"f1": 0.51}
    assert [path.name for path in folder.parent.iterdir()] == ["trained"]


def lose(name):
    return lambda folder: (folder / name).unlink()


def write(name, content):
    return lambda folder: (folder / name).write_bytes(content)


def cut(folder):
    path = folder / MODEL_FILE
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def record(**changes):
    def change(folder):
        path = folder / RECORD_FILE
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    return change


def hold_code(folder):
    model = keras.Sequential([keras.Input((1,)), keras.layers.Lambda(lambda x: x + 1)])
    model.save(folder / MODEL_FILE)


def name_a_network(folder, handle="https://example.org/net"):
    layer = HubImageClassifier(handle, input_size_px=8, n_outputs=2)
    layer.built = True  # so that the network is asked for by who reads the file alone
    layer.call = lambda frames: frames
    path = folder / MODEL_FILE
    rewrite(path, "config.json", json.dumps(keras.saving.serialize_keras_object(layer)).encode())


def unpack_without_end(folder):
    rewrite(folder / MODEL_FILE, "assets/zeros", bytes(1 << 20), claimed=1 << 30)


def rewrite(path, member, content, claimed=None):
    """Put another content in the place of a model file's member, which may say to be larger."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in (members | {member: content}).items():
            archive.writestr(name, data)
        if claimed:
            archive.getinfo(member).file_size = claimed  # what the table says


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (shutil.rmtree, "no trained model here"),
        (lose(MODEL_FILE), f"{MODEL_FILE} is missing"),
        (lose(RECORD_FILE), f"{RECORD_FILE} is missing"),
        (lose(LABELS_FILE), f"{LABELS_FILE} is missing"),
        (write(MODEL_FILE, b""), "not a readable model"),
        (write(MODEL_FILE, b"no model at all"), "not a readable model"),
        (cut, "not a readable model"),
        (hold_code, "holds code that would run here; refused"),
        (name_a_network, "would load and run 'https://example.org/net'"),
        (unpack_without_end, "more than 1073741824 bytes unpacked; refused"),
        (write(RECORD_FILE, b'{"thresholds": [0.'), "not a readable model"),
        (write(RECORD_FILE, b"[]"), "not a readable model"),
        (write(RECORD_FILE, b"{}"), "not a readable model"),
        (write(RECORD_FILE, b"\xff"), "not a readable model"),
        (record(thresholds="many"), "not a readable model"),
        (record(unknown=1), "not a readable model"),
        (record(thresholds=[0.5]), "differ in number"),
        (write(LABELS_FILE, b"index,name\n"), "no column 'display_name'"),
        (write(LABELS_FILE, b"index,mid,display_name\n0,,Dog\n"), "differ in number"),
    ],
)
def test_a_damaged_bundle_is_refused_in_one_line(folder, damage, reason):
    damage(folder)
    with pytest.raises(InputError, match=reason) as error:
        load_bundle(folder)
    assert str(folder) in str(error.value) and "\n" not in str(error.value)


def test_a_network_from_elsewhere_is_loaded_where_it_is_trusted(folder, tmp_path):
    handle = str(tmp_path / "no network")
    name_a_network(folder, handle)
    with pytest.raises(InputError, match=f"would load and run {handle!r}"):
        load_bundle(folder)
    assert load_bundle(folder, trusted_handles=[handle]).model.handle == handle
