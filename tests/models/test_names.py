import keras
import numpy as np
import pytest
import soundfile
import soxr
import tensorflow as tf

from mmat.corpora.mini import mini_labels, read_sources
from mmat.export.savedmodel import export_saved_model
from mmat.files import data_list
from mmat.labels import LabelSet
from mmat.lists.read import named_label_set
from mmat.metrics.thresholds import NEVER_FIRES, fire
from mmat.models.bundle import load_bundle, save_bundle
from mmat.models.names import unmapped_labels, zero_shot_bundle
from mmat.pretrained.registry import imagenet_labels

# Known by both senses, by the ear alone, by the eye alone, and by neither.
LABELS = LabelSet.of(["Dog", "Screaming", "Banana", "Quarterly tax return", "zzqx"])
N_SAMPLES = 40_000


@pytest.fixture(scope="module")
def bundle(models_cache):
    return zero_shot_bundle(LABELS)


@pytest.fixture(scope="module")
def bark(mini_sources):
    listed = {each.id: each for each in read_sources(data_list("mini", "sources.csv"))}
    samples, rate = soundfile.read(mini_sources / listed["dog-gc-dog"].file, always_2d=True)
    waveform = soxr.resample(samples.mean(axis=1), rate, 16_000)[:N_SAMPLES]
    return np.pad(waveform, (0, N_SAMPLES - len(waveform))).astype(np.float32)


def clips(waveform, image_label, has_audio, has_video):
    """One clip, once for each pair of senses it is said to have."""
    names = [names[0] for names in imagenet_labels()]
    pictures = np.full((len(has_audio), 2, 1000), 0.1 / 999, np.float32)
    pictures[:, :, names.index(image_label)] = 0.9
    return {
        "waveform": np.tile(waveform[None, :, None], (len(has_audio), 1, 1)),
        "image_probabilities": pictures,
        "has_audio": np.array(has_audio),
        "has_video": np.array(has_video),
    }


def said(model, inputs):
    return {name: np.asarray(x) for name, x in model(inputs, training=False).items()}


def test_a_bark_is_when_it_is_heard_however_long_a_dog_is_seen(bundle, bark):
    """A second of barking in ten, and a dog in every picture; a banana is only seen."""
    waveform = np.zeros(160_000, np.float32)
    waveform[80_000:96_000] = bark[:16_000]
    dog = said(bundle.model, clips(waveform, "pug", [True, False], [True, True]))
    both, seen = fire(dog["frame"][:, :, 0], bundle.thresholds[0])
    assert seen.all() and fire(dog["clip"][:, 0], bundle.thresholds[0]).all()
    assert both[50:60].any() and not both[:40].any() and not both[72:].any()
    banana = said(bundle.model, clips(waveform, "banana", [True], [True]))
    assert fire(banana["frame"][0, :40, 2], bundle.thresholds[2]).all()


def test_a_missing_sense_leaves_exactly_what_the_other_says(bundle, bark):
    senses = [True, True, False, False], [True, False, True, False]
    both, heard, seen, neither = range(4)
    answer = said(bundle.model, clips(bark, "banana", *senses))
    assert answer["frame"].shape == answer["audio_frame"].shape == (4, 25, len(LABELS))
    for clip, frame, one, other in (
        ("audio", "audio_frame", heard, seen),
        ("video", "video_frame", seen, heard),
    ):
        np.testing.assert_array_equal(answer["clip"][one], answer[clip][both])
        np.testing.assert_array_equal(answer["frame"][one], answer[frame][both])
        assert not answer[clip][other].any() and not answer[frame][other].any()
    for scores in answer.values():
        assert not scores[neither].any()
    assert not answer["sound_probabilities"][seen].any()


def test_each_label_is_known_by_the_senses_that_know_it(bundle, bark):
    assert unmapped_labels(bundle) == ("Quarterly tax return", "zzqx")
    np.testing.assert_array_equal(bundle.thresholds == NEVER_FIRES, [False] * 3 + [True] * 2)
    answer = said(bundle.model, clips(bark, "banana", [True], [True]))
    assert not answer["clip"][0, 3:].any() and not answer["frame"][0, :, 3:].any()
    assert not answer["audio"][0, 2] and not answer["video"][0, 1]
    fired = fire(answer["clip"][0], bundle.thresholds)
    np.testing.assert_array_equal(fired, [True, False, True, False, False])


def test_every_breed_is_a_dog(bundle, bark):
    for breed in ("golden retriever", "pug"):
        answer = said(bundle.model, clips(bark, breed, [False], [True]))
        assert fire(answer["clip"][0], bundle.thresholds).tolist() == [True] + [False] * 4


@pytest.mark.parametrize("labels", [mini_labels(), named_label_set("dcase2017")])
def test_silence_fires_nothing_and_a_bark_is_a_dog(labels, models_cache, bark):
    bundle = zero_shot_bundle(labels)
    assert unmapped_labels(bundle) == ()
    sounds = np.stack([np.zeros_like(bark), bark])
    inputs = clips(bark, "banana", [True] * 2, [False] * 2) | {"waveform": sounds[:, :, None]}
    silence, barking = fire(said(bundle.model, inputs)["clip"], bundle.thresholds)
    assert not silence.any()
    assert [labels.names[i] for i in np.flatnonzero(barking)] == ["Dog"] * ("Dog" in labels.names)


def test_saved_and_exported_it_answers_the_same(bundle, bark, tmp_path):
    inputs = clips(bark, "pug", [True, False], [True, True])
    expected = said(bundle.model, inputs)
    save_bundle(tmp_path / "bundle", bundle)
    again = load_bundle(tmp_path / "bundle")
    assert unmapped_labels(again) == unmapped_labels(bundle)
    for name, scores in said(again.model, inputs).items():
        np.testing.assert_array_equal(scores, expected[name])
    signatures = tf.saved_model.load(str(export_saved_model(again, tmp_path / "out"))).signatures
    maps = signatures["label_maps"]()
    assert not maps["image_similarities"].numpy()[:, 3:].any()
    assert not maps["sound_similarities"].numpy()[:, 3:].any()
    heard = signatures["audio_only"](waveform=tf.constant(bark[None, :, None]))
    alone = said(bundle.model, clips(bark, "pug", [True], [False]))
    for name in alone:
        np.testing.assert_allclose(heard[name], alone[name], atol=1e-5)


def test_one_label_has_nothing_to_compete_with(models_cache, bark):
    bundle = zero_shot_bundle(LabelSet.of(["Dog"]), threshold=0.25)
    answer = said(bundle.model, clips(bark, "banana", [True], [False]))
    dog = answer["sound_probabilities"][0, :, 69]
    assert bundle.thresholds.tolist() == [0.25]
    assert answer["frame"].max() <= dog.max() and answer["clip"][0, 0] > 0.25
    assert keras.backend.standardize_dtype(answer["clip"].dtype) == "float32"
