import json
import math
import shutil
import zipfile

import keras
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import mmat
from mmat.files import InputError
from mmat.labels import LabelSet
from mmat.models.audio import audio_branch
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

pytest_plugins = ["tests.models.tiny_encoder"]

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


def name_a_network(folder, **fields):
    """Put a layer into the model file that asks for a network."""
    fields = {"handle": "https://example.org/net", "input_size_px": 8, "n_outputs": 2} | fields
    layer = HubImageClassifier(**fields)
    layer.built = True  # so that the network is asked for by who reads the file alone
    layer.call = lambda frames: frames
    change_configuration(lambda _: keras.saving.serialize_keras_object(layer))(folder)


def name_a_second_network(folder):
    name_a_network(
        folder,
        handle="embedded:efficientnet_lite0",
        with_embedding=True,
        embedding_size=4,
        embedding_handle="https://example.org/other",
    )


def change_configuration(change):
    """Change what the model file's JSON says."""

    def damage(folder):
        path = folder / MODEL_FILE
        with zipfile.ZipFile(path) as archive:
            configuration = json.loads(archive.read("config.json"))
        rewrite(path, "config.json", json.dumps(change(configuration)).encode())

    return damage


def layer_of(class_name, module="keras.layers", **config):
    """Put another class in the place of the model's first layer."""

    def change(configuration):
        first = configuration["config"]["layers"][0]
        first |= {"class_name": class_name, "module": module, "registered_name": None}
        first["config"] = config
        return configuration

    return change_configuration(change)


def disguised(configuration):
    """A class that Keras finds under another key than the one for classes."""
    activation = {"class_name": "function", "module": "x", "config": {"module": "torch.nn"}}
    activation["registered_name"] = "TorchModuleWrapper"
    configuration["config"]["layers"][-1]["config"]["activation"] = activation
    return configuration


def wait_for_each_other(configuration):
    """A layer takes the second output of one that has one, which never comes."""
    layer = configuration["config"]["layers"][1]
    (tensor,) = layer["inbound_nodes"][0]["args"]
    tensor["config"]["keras_history"][1] = 1
    return configuration


def lose_the_class(configuration):
    return configuration | {"registered_name": None}


def diverge(folder):
    bundle = load_bundle(folder)
    bundle.model.trainable_variables[0].assign([math.nan, 0.0])
    save_bundle(folder, bundle)


def deep(n=100_000):
    return b"[" * n + b"]" * n


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
        (name_a_second_network, "would load and run 'https://example.org/other'"),
        (layer_of("TorchModuleWrapper", module_="pickle"), "holds code that would run here"),
        (layer_of("TFSMLayer", filepath="/tmp"), "holds code that would run here"),
        (layer_of("StringLookup", vocabulary="/etc/passwd"), "holds code that would run here"),
        (layer_of("Popen", "subprocess", args="ls"), "subprocess.* neither a layer of Keras nor"),
        (layer_of("get_file", "keras.utils"), "keras.utils.* neither a layer of Keras nor"),
        (change_configuration(disguised), "holds code that would run here"),
        (change_configuration(lose_the_class), "neither a layer of Keras nor registered"),
        (change_configuration(wait_for_each_other), "wait for inputs that never come"),
        (diverge, "NaN or infinity among its weights"),
        (unpack_without_end, "more than 1073741824 bytes unpacked; refused"),
        (write(RECORD_FILE, b'{"thresholds": [0.'), "not a readable model"),
        (write(RECORD_FILE, b"[]"), "not a readable model"),
        (write(RECORD_FILE, b"{}"), "not a readable model"),
        (write(RECORD_FILE, b"\xff"), "not a readable model"),
        (write(RECORD_FILE, deep()), "tagger.json is nested too deep"),
        (lambda folder: rewrite(folder / MODEL_FILE, "config.json", deep()), "nested too deep"),
        (record(thresholds=[0.5, math.nan]), "thresholds: .*nan.*, expected a list of finite"),
        (record(thresholds=[0.5, math.inf]), "expected a list of finite numbers"),
        (record(thresholds=[0.5, 10**400]), "expected a list of finite numbers"),
        (record(thresholds=[0.5, "0.5"]), "expected a list of finite numbers"),
        (record(thresholds=[0.5, True]), "expected a list of finite numbers"),
        (record(thresholds=[[0.5, 0.5]]), "expected a list of finite numbers"),
        (record(thresholds=[0.5] * 3), "differ in number"),
        (record(clip_seconds=-1), "clip_seconds: -1, expected a duration"),
        (record(clip_seconds=math.nan), "clip_seconds: nan, expected"),
        (record(clip_seconds=1e9), "clip_seconds: .*, expected"),
        (record(n_frames=10**9), "n_frames: 1000000000, expected"),
        (record(n_frames=2.5), "n_frames: 2.5, expected"),
        (record(image_network=["a"]), "image_network: .*, expected a name"),
        (record(figures=[1]), "figures: .*, expected"),
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


def test_a_network_from_elsewhere_is_loaded_where_it_is_trusted(tmp_path, tiny_encoder):
    model = audio_branch(LABELS, encoder=tiny_encoder)
    save_bundle(tmp_path / "a", make_bundle(model=model, image_network=""))
    with pytest.raises(InputError, match=f"would load and run {tiny_encoder.handle!r}"):
        load_bundle(tmp_path / "a")
    loaded = load_bundle(tmp_path / "a", trusted_handles=[tiny_encoder.handle]).model
    waveform = np.random.default_rng(0).normal(0, 0.1, (1, 8000, 1)).astype(np.float32)
    expected = model({"waveform": waveform})["clip"]
    np.testing.assert_array_equal(loaded({"waveform": waveform})["clip"], expected)


def test_a_layer_that_somebody_registered_is_loaded(folder):
    @keras.saving.register_keras_serializable(package="somebody")
    class Halved(keras.layers.Layer):
        def call(self, scores):
            return scores / 2

    bundle = make_bundle()
    outputs = bundle.model.output
    halved = {name: Halved(name=f"half_{name}")(outputs[name]) for name in ("clip", "frame")}
    save_bundle(folder, make_bundle(model=keras.Model(bundle.model.input, halved)))
    np.testing.assert_array_equal(clip_scores(load_bundle(folder)), clip_scores(bundle) / 2)


# --- whatever stands in a field of the two JSON files


def nested(depth):
    return [] if depth == 0 else [nested(depth - 1)]


STRANGE = st.sampled_from(
    [None, [], {}, nested(40), math.nan, math.inf, 10**30, 2**31, -1, 0, 0.5, True, "", "\0", "x"]
    + ["x" * 2000, "float16", {"class_name": "Dense", "config": {}}, [None], "\ud800"]
)


def places(value, at=()):
    """Yield where there is a value in a JSON document, as the keys that lead there."""
    yield at
    if isinstance(value, dict | list):
        for key, each in value.items() if isinstance(value, dict) else enumerate(value):
            yield from places(each, (*at, key))


def put(document, at, value):
    """Return a document with another value at a place."""
    if not at:
        return value
    changed = document.copy()
    changed[at[0]] = put(document[at[0]], at[1:], value)
    return changed


@pytest.fixture(scope="module")
def hearing(tmp_path_factory):
    """A folder of a small model, and its two JSON documents."""
    folder = tmp_path_factory.mktemp("hearing") / "trained"
    model = audio_branch(LABELS, blocks=((2, (2, 8)), (2, (2, 2))))
    save_bundle(folder, make_bundle(model=model, image_network=""))
    with zipfile.ZipFile(folder / MODEL_FILE) as archive:
        return (
            folder,
            json.loads((folder / RECORD_FILE).read_text()),
            json.loads(archive.read("config.json")),
        )


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data(), value=STRANGE, in_record=st.booleans())
def test_whatever_stands_in_a_field_is_loaded_or_refused_in_one_line(
    hearing, tmp_path_factory, data, value, in_record
):
    good, *documents = hearing
    place = data.draw(st.sampled_from(list(places(documents[0 if in_record else 1]))))
    folder = tmp_path_factory.mktemp("changed") / "trained"
    shutil.copytree(good, folder)
    record, configuration = documents
    if in_record:
        (folder / RECORD_FILE).write_text(json.dumps(put(record, place, value)))
    else:
        changed = json.dumps(put(configuration, place, value)).encode()
        rewrite(folder / MODEL_FILE, "config.json", changed)
    try:
        tagger = mmat.load(folder)
    except InputError as error:
        assert str(folder) in str(error) and "\n" not in str(error)
    else:
        assert tagger.labels == LABELS.names and np.isfinite(tagger.thresholds).all()
    shutil.rmtree(folder)
