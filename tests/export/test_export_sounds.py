"""The same sounds in Keras and in each artefact made of it: silence, a siren, an engine, a bark."""

import io

import keras
import numpy as np
import pytest
import soundfile
import tensorflow as tf

from mmat.export.litert import TFLiteTagger
from mmat.export.savedmodel import export_saved_model
from mmat.labels import LabelSet
from mmat.media.read import SAMPLE_RATE_HZ, read_audio
from mmat.models.audio import adapt_normalization, audio_branch
from mmat.models.bundle import Bundle
from mmat.models.names import zero_shot_bundle
from tests.export.converting import export_tflite_here

LABELS = LabelSet.of(["Siren", "Engine", "Dog"])
RECORDINGS = {"engine": "car-gc-lrstartandstopcarengine1lacut", "bark": "dog-gc-lrbark-1-la-cut"}
FIRES = {"silence": (), "siren": ("Siren",), "engine": ("Engine",), "bark": ("Dog",)}
N_SAMPLES, STEPS, COPIES = SAMPLE_RATE_HZ, 60, 4


@pytest.fixture(scope="module")
def sounds(recordings) -> dict[str, np.ndarray]:
    """Sounds of 1 s as a file of 16 bits holds them, float32 `(1, samples, 1)`."""
    seconds = np.arange(N_SAMPLES) / SAMPLE_RATE_HZ
    phase = 2 * np.pi * np.cumsum(1000 - 500 * np.cos(np.pi / 2 * seconds)) / SAMPLE_RATE_HZ
    sounds = {
        "silence": np.zeros(N_SAMPLES),
        "siren": sum(0.2 / k * np.sin(k * phase) for k in (1, 2, 3, 4)),
    }
    for name, recording in RECORDINGS.items():
        waveform = read_audio(recordings[recording])
        waveform = np.resize(waveform, N_SAMPLES)  # a short one is repeated
        sounds[name] = 0.3 * waveform / np.abs(waveform).max()
    return {
        name: (np.round(x * 32767) / 32768).astype(np.float32)[np.newaxis, :, np.newaxis]
        for name, x in sounds.items()
    }


@pytest.fixture(scope="module")
def taught(sounds) -> Bundle:
    """The CRNN after seconds of training on these very sounds: it knows nothing else."""
    keras.utils.set_random_seed(0)
    model = audio_branch(len(LABELS))
    rng = np.random.default_rng(0)
    x = np.concatenate(
        [
            10 ** rng.uniform(-1, 0) * np.roll(sound, rng.integers(N_SAMPLES), axis=1)
            for sound in sounds.values()
            for _ in range(COPIES)
        ]
    ).astype(np.float32)
    y = [[name in FIRES[sound] for name in LABELS.names] for sound in sounds]
    y = np.repeat(y, COPIES, axis=0).astype(np.float32)
    adapt_normalization(model, [x])
    clip = keras.Model(model.input, model.output["clip"])
    clip.compile(keras.optimizers.Adam(1e-3), "binary_crossentropy")
    clip.optimizer.build(clip.trainable_variables)
    clip.fit({"waveform": x}, y, batch_size=8, epochs=STEPS // 2, verbose=0)
    clip_seconds = N_SAMPLES / SAMPLE_RATE_HZ
    return Bundle(model, LABELS, np.full(len(LABELS), 0.5, np.float32), clip_seconds=clip_seconds)


@pytest.fixture(scope="module")
def zero_shot(models_cache) -> Bundle:
    return zero_shot_bundle(LABELS)


@pytest.fixture(scope="module")
def saved(taught, zero_shot, tmp_path_factory) -> dict[str, dict]:
    """The signatures of both exported, by name."""
    folder = tmp_path_factory.mktemp("saved")
    bundles = {"taught": taught, "zero_shot": zero_shot}
    return {
        name: tf.saved_model.load(str(export_saved_model(bundle, folder / name)))
        for name, bundle in bundles.items()
    }


@pytest.fixture(scope="module", params=["", "int8"], ids=["float32", "int8"])
def tflite(taught, tmp_path_factory, request) -> tuple[str, TFLiteTagger]:
    path = tmp_path_factory.mktemp("tflite") / "tagger.tflite"
    return request.param, TFLiteTagger(export_tflite_here(taught, path, request.param))


def heard(bundle: Bundle, waveform: np.ndarray) -> dict[str, np.ndarray]:
    """Return the outputs of Keras for a sound alone."""
    inputs = {"waveform": waveform, "has_audio": [True], "has_video": [False]}
    if "image_probabilities" in bundle.model.input:
        n_labels = bundle.model.input["image_probabilities"].shape[-1]
        inputs["image_probabilities"] = np.zeros((1, 1, n_labels), np.float32)
    given = {name: tf.constant(inputs[name]) for name in bundle.model.input}
    return {key: x.numpy() for key, x in bundle.model(given, training=False).items()}


def fired(outputs) -> tuple[str, ...]:
    return tuple(np.array(LABELS.names)[np.asarray(outputs["fired"])[0]])


@pytest.mark.parametrize("sound", FIRES)
@pytest.mark.parametrize("name", ["taught", "zero_shot"])
def test_a_saved_model_predicts_as_keras_does(name, sound, sounds, saved, request):
    expected = heard(request.getfixturevalue(name), sounds[sound])
    model, file = saved[name], io.BytesIO()
    samples = np.int16(sounds[sound][0, :, 0] * 32768)
    soundfile.write(file, samples, SAMPLE_RATE_HZ, format="WAV", subtype="PCM_16")
    outputs = {
        "audio_only": model.signatures["audio_only"](waveform=tf.constant(sounds[sound])),
        "tag_wav": model.signatures["tag_wav"](wav=tf.constant(file.getvalue())),
    }
    for found in outputs.values():
        assert fired(found) == FIRES[sound]
        for key, scores in expected.items():
            np.testing.assert_allclose(found[key], scores, atol=1e-5, err_msg=key)


@pytest.mark.parametrize("sound", FIRES)
def test_a_tflite_file_predicts_as_keras_does(sound, sounds, taught, tflite):
    quantized, tagger = tflite
    expected, found = heard(taught, sounds[sound]), tagger(sounds[sound])
    assert fired(found) == FIRES[sound]
    for key in ("clip", "frame"):
        atol = 2e-2 if quantized else 1e-4
        np.testing.assert_allclose(found[key], expected[key], atol=atol, err_msg=key)
