"""What mmat wrote before the redesign is read today: see `tests/golden/make.py`."""

import json
import os
import pathlib
import shutil

import keras
import numpy as np
import pytest

from mmat.export.litert import TFLiteTagger
from mmat.labels import MULTI_LABEL, LabelSet, regression
from mmat.lists.clip import Clip, Event
from mmat.models.audio import crnn_trunk, recurrent_tagger
from mmat.models.bundle import load_bundle, register_layers
from mmat.models.features import MelParameters
from mmat.models.pooling import linear_softmax
from mmat.shards.clip_job import ClipJob, list_sha256, media_sha256
from mmat.shards.prepare import prepare
from mmat.shards.read import FIXED_INPUTS, load_split, read_arrays
from mmat.shards.record import decode_example, encode_example, whole_records
from mmat.shards.verify import verify
from mmat.tagging.tagger import Tagger
from mmat.training.checkpoints import load_best

GOLDEN = pathlib.Path(__file__).parent / "golden" / "b00d41f"
SPLITS = (("shards", "train"), ("shards", "test"), ("shards_values", "train"))
BUNDLES = sorted(path.name for path in (GOLDEN / "bundles").iterdir())
CLIPS = [
    Clip("both", "both.mp4", ("Dog", "Car"), events=(Event("Dog", 0.125, 0.25),)),
    Clip("silent", "silent.mp4", ("Car",), end_seconds=0.5, source_group="street"),
    Clip("blind", "blind.wav", ("Train horn",), 0.125, 0.375, split="test", video_id="Y1"),
    Clip("absent", "absent.mp4", ("Dog",)),
]
CLIPS_WITH_VALUES = [
    Clip("low", "blind.wav", ("mood",), 0.25, values=(-1.5,)),
    Clip("high", "both.mp4", ("mood",), 0.0, 0.375, values=(2.0,)),
]
LABELS = LabelSet.of(["Dog", "Train horn", "Car"])
# All that Keras finds by name in a model file; a class that has another name now keeps the old one.
REGISTERED = (
    "BandNormalization Calibration Competing Corrected EitherRight EqualPriors Fallback HoldFrames "
    "HoldOwnFrames HubAudioEncoder HubImageClassifier KeepFrames LabelMap LateFusion LikeliestName "
    "MILPooling Magnitude ModalityDropout OwnMeanAndMax OwnSteps PatchesToFrames PullTo "
    "RandomFilter Shares Sharpened SpecAugment Thresholded WherePresent ZeroBeyond "
    "similarity_weighted top_label"
)


@pytest.fixture(scope="module")
def inputs():
    return dict(np.load(GOLDEN / "inputs.npz"))


@pytest.fixture(scope="module")
def outputs():
    return dict(np.load(GOLDEN / "outputs.npz"))


def assert_same(answers, outputs, of):
    """Compare answers by name with all the golden ones of a file."""
    expected = {name.removeprefix(of): x for name, x in outputs.items() if name.startswith(of)}
    assert set(answers) == set(expected)
    for name, scores in expected.items():
        np.testing.assert_allclose(answers[name], scores, rtol=0, atol=1e-5, err_msg=name)


@pytest.mark.parametrize(("folder", "split"), SPLITS)
def test_shards_hold_the_same_clips(folder, split):
    golden = np.load(GOLDEN / "arrays.npz")
    read = read_arrays(GOLDEN / folder, split)
    read["events"] = [[i, *event] for i, own in enumerate(read["events"]) for event in own]
    read["events"] = np.reshape(read["events"], (-1, 4))
    names = [name for name in golden.files if name.startswith(f"{folder}/{split}/")]
    assert {name.rsplit("/")[-1] for name in names} == set(read)
    for name in names:
        np.testing.assert_array_equal(read[name.rsplit("/")[-1]], golden[name], name)
    for i, (clip, labels) in enumerate(load_split(GOLDEN / folder, split, FIXED_INPUTS)):
        for name, values in clip.items():
            expected = golden[f"{folder}/{split}/{name}"][i]
            if name == "waveform":  # the arrays alone are padded to the longest clip
                np.testing.assert_array_equal(expected[len(values) :], 0)
                expected = expected[: len(values)]
            np.testing.assert_array_equal(values, expected, name)
        np.testing.assert_array_equal(labels, golden[f"{folder}/{split}/weak_labels"][i])


@pytest.mark.parametrize("folder", ["shards", "shards_values"])
def test_records_are_written_as_they_were(folder):
    assert verify(GOLDEN / folder).complete
    shards = sorted((GOLDEN / folder).glob("*.tfrecord"))
    records = [serialized for shard in shards for serialized in whole_records(shard)]
    assert len(records) == {"shards": 3, "shards_values": 2}[folder]
    for serialized in records:
        assert encode_example(decode_example(serialized)) == serialized


@pytest.fixture
def media(tmp_path):
    """What tells the media from changed ones: their names, sizes and dates, and nothing else."""
    (tmp_path / "media").mkdir()
    for name, (size, date) in json.loads((GOLDEN / "media.json").read_text()).items():
        path = tmp_path / "media" / name
        path.touch()
        os.truncate(path, size)
        os.utime(path, ns=(date, date))
    return tmp_path / "media"


class MeanColour:
    name, input_size_px = "mean colour", 32


@pytest.mark.parametrize(
    ("folder", "clips", "labels", "options"),
    [
        (
            "shards",
            CLIPS,
            LABELS,
            {
                "image_network": MeanColour(),
                "n_frames": 2,
                "clip_seconds": 0.25,
                "clips_per_shard": 2,
                "keep_frames": True,
            },
        ),
        (
            "shards_values",
            CLIPS_WITH_VALUES,
            LabelSet(("mood",), task=regression(-3, 3)),
            {"n_frames": 3, "clip_seconds": None},
        ),
    ],
)
def test_clips_that_were_prepared_are_reused(
    tmp_path, media, capsys, folder, clips, labels, options
):
    shutil.copytree(GOLDEN / folder, tmp_path / "out")
    index = prepare(clips, media, tmp_path / "out", labels, workers=0, **options)
    assert "holds these clips already, and is reused" in capsys.readouterr().out
    assert index == json.loads((GOLDEN / folder / "index.json").read_text())
    for path in (GOLDEN / folder).iterdir():
        assert (tmp_path / "out" / path.name).read_bytes() == path.read_bytes()


LISTED = [
    (Clip("rex", "rex.wav"), "64ea1f15c8830feef5d9bda1892392ebcdab22a062babde13009939caa941f7a"),
    (
        Clip(
            "é'\"\udcff\n",
            "a/b.mp4",
            ("Dog", "Air horn, truck horn"),
            0.1,
            1e-05,
            "test",
            "street",
            (Event("Dog", 0.125, 0.5), Event("Air horn, truck horn", 1, 2.0)),
            "-5QrBL6MzLg",
        ),
        "05badddf9324103089d36adaed1bdc1f18bd5c983d18c221334e08688dec4a6c",
    ),
    (
        Clip("one", "one.mp4", ("Dog",), 30.0, events=(Event("Dog", 0.0, 1 / 3),)),
        "f050120fc13a2185fd154d55c5434923a533933494b4533d5e0da78efec838c9",
    ),
    (
        Clip("low", "low.wav", ("mood", "calm"), None, 2.5, values=(-1.5, 3)),
        "013cda9aa3eb616e5d7cabeb0b911b51d35bf28773b648b87c07033be535ca1d",
    ),
]


def test_the_sum_of_a_list_is_what_it_was():
    for clip, sha256 in LISTED:
        assert list_sha256([clip]) == sha256
    together = "3d5435c95bc47595736075b1c60b9aaa12f76ae17e5cb268e37a8d4e1008ad5c"
    assert list_sha256(clip for clip, _ in LISTED) == together


def test_the_sum_of_media_is_what_it_was():
    stamp, events = (12, 1_500_000_000_123_456_789), ((1, 0.5, 1.0),)
    jobs = [
        ClipJob("x", "x.wav", "some/x.wav", 0.5, None, (1,), events, stamp),
        ClipJob("y", "y.wav", "other/é.wav", None, 2.0, (), (), None, (1.0,)),
    ]
    sha256 = "b8eaf8ffaf0a2690438a53baaf5e0b02a2091ed1383f2e7a749ee4cdc3fe1011"
    assert media_sha256(jobs) == sha256


@pytest.mark.parametrize("name", BUNDLES)
def test_a_trained_model_answers_as_it_did(name, inputs, outputs, request):
    if name == "zero_training":
        request.getfixturevalue("models_cache")
        inputs = inputs | {"image_probabilities": np.float32(inputs["imagenet_probabilities"])}
    bundle = load_bundle(GOLDEN / "bundles" / name)
    answers = bundle.model({key: inputs[key] for key in bundle.model.input}, training=False)
    assert_same(answers, outputs, f"bundles/{name}/")
    assert len(bundle.labels) == len(bundle.thresholds) == answers["clip"].shape[-1]


@pytest.mark.parametrize("name", REGISTERED.split())
def test_every_name_in_model_files_is_known(name):
    register_layers()
    assert keras.saving.get_registered_object(f"mmat>{name}") is not None


def test_an_export_answers_as_it_did(inputs, outputs):
    tagger = Tagger(GOLDEN / "saved_model")
    assert (tagger.labels, tagger.clip_seconds) == (LABELS.names, 0.5)
    import tensorflow as tf

    answer = tf.saved_model.load(str(GOLDEN / "saved_model")).signatures["serving_default"]
    assert_same(answer(waveform=tf.constant(inputs["waveform"])), outputs, "saved_model/")


def test_a_tensorflow_lite_file_answers_as_it_did(inputs, outputs):
    tagger = TFLiteTagger(GOLDEN / "audio.tflite")
    assert_same(tagger(inputs["waveform"][:1]), outputs, "audio.tflite/")


def test_a_checkpoint_gives_the_best_weights():
    mel = MelParameters(fft_samples=512, window_samples=512, mel_bands=12)
    blocks = ((2, (1, 2)), (3, (2, 2)), (3, (2, 2)))
    trunk = crnn_trunk(mel, (), "float32", False, blocks)
    model = recurrent_tagger(
        *trunk,
        3,
        linear_softmax,
        gru_units=3,
        dropout=0.25,
        dtype="float32",
        samples_per_step=1600,
        task=MULTI_LABEL,
        adapt=None,
    )
    best = load_best(model, GOLDEN / "training")
    assert best == json.loads((GOLDEN / "best.json").read_text())
    weights = np.load(GOLDEN / "weights.npz")
    assert len(weights.files) == len(model.variables)
    for i, variable in enumerate(model.variables):
        np.testing.assert_array_equal(variable, weights[str(i)])
