import keras
import numpy as np
import pytest
import soundfile
import soxr
import tensorflow as tf
from scipy.special import logit

from mmat.corpora.mini import mini_labels, read_sources
from mmat.export.savedmodel import export_saved_model
from mmat.files import data_list
from mmat.labels import LabelSet
from mmat.lists.read import named_label_set
from mmat.metrics.thresholds import NEVER_FIRES, fire
from mmat.models.bundle import load_bundle, save_bundle
from mmat.models.fusion import (
    MOST_SHIFT,
    Competing,
    EitherRight,
    LogitsTimedBySound,
    TimedBySound,
)
from mmat.models.kin import N_RIVALS, competition, kin_pairs, speech_and_other_acts
from mmat.models.learnt import EvidenceStatistics
from mmat.models.name_maps import THRESHOLD
from mmat.models.names import unmapped_labels, zero_shot_bundle
from mmat.pretrained.registry import imagenet_labels, yamnet
from tests.models.layer_checks import check_layer

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


def test_layers():
    one, other = np.random.default_rng(0).random((2, 2, 4, 3)).astype(np.float32)
    check_layer(EitherRight, {}, [one, other])
    check_layer(Competing, {"power": 0.5}, one)
    check_layer(Competing, {"kin": [(0, 2)], "yields": ([0], [1, 2])}, one)
    clips = [one[:, 0], other[:, 0]]
    for layer in (TimedBySound, LogitsTimedBySound):
        check_layer(layer, {"heard": [True, False, True], "most": 2.0}, [one, *clips, other])


def test_competing_leaves_the_highest_and_silence_as_they_are():
    scores = np.random.default_rng(0).random((2, 5, 4)).astype(np.float32)
    scores[0, 0] = 0
    answer = np.asarray(Competing()(scores))
    np.testing.assert_array_equal(answer.max(axis=-1), scores.max(axis=-1))
    assert (answer <= scores).all() and not answer[0, 0].any()
    np.testing.assert_array_equal(Competing()(scores[..., :1]), scores[..., :1])


def test_kin_are_no_rivals_and_others_are():
    scores = np.random.default_rng(0).random((2, 50, N_RIVALS)).astype(np.float32)
    kin = [(0, 1), (2, 5), (2, 6)]
    found = np.asarray(Competing(kin=kin)(scores))
    for label in range(N_RIVALS):
        own = {label} | {other for pair in kin if label in pair for other in pair}
        rival = np.delete(scores, list(own), axis=-1).max(axis=-1)
        expected = scores[..., label] * np.minimum(scores[..., label] / rival, 1)
        np.testing.assert_allclose(found[..., label], expected, rtol=1e-5)


def test_a_layer_of_an_older_model_has_no_kin():
    scores = np.random.default_rng(0).random((1, 3, 4)).astype(np.float32)
    older = Competing.from_config({"name": "frame", "dtype": "float32", "power": 1.0})
    expected = scores**2 / scores.max(axis=-1, keepdims=True)
    np.testing.assert_allclose(np.asarray(older(scores)), expected, rtol=1e-6)
    margins = {"name": "sound_statistics", "margin": 0.01, "threshold": THRESHOLD}
    assert EvidenceStatistics.from_config(margins).kin == []


@pytest.mark.parametrize("n_labels", [2, 34, 521])
def test_a_strong_label_fires_whatever_competes_with_it(n_labels):
    """Above the root of the threshold a label's own evidence is enough, however many compete."""
    scores = np.random.default_rng(0).random((1, 200, 30)).astype(np.float32)
    strong = scores >= np.sqrt(THRESHOLD)
    assert strong.any() and not strong.all()
    found = np.asarray(Competing(competition(n_labels))(scores))
    np.testing.assert_array_equal(found[strong] >= THRESHOLD, True)


def test_the_more_labels_the_harder_a_weak_one_has_it():
    scores = np.float32([[[0.4, 0.15]]])
    weak = [float(Competing(competition(n))(scores)[0, 0, 1]) for n in (2, 16, 34, 521)]
    assert weak[0] == weak[1] > weak[2] > weak[3] > 0


def test_speech_yields_to_a_laugh_that_is_heard_and_to_nothing_else():
    labels = ["Speech", "Laughter", "Dog"]
    yields = speech_and_other_acts(np.eye(3), labels)
    labelled = {"kin": [(0, 1)], "yields": yields}
    moments = np.float32([[[0.6, 0.1, 0.0], [0.6, 0.01, 0.0], [0.6, 0.0, 0.6], [0.99, 0.1, 0.0]]])
    before = np.asarray(Competing(kin=labelled["kin"])(moments))
    found = np.asarray(Competing(**labelled)(moments))
    assert found[0].argmax(axis=-1).tolist() == [labels.index("Laughter"), 0, 0, 0]
    np.testing.assert_array_equal(found[0, 1:], before[0, 1:])
    np.testing.assert_array_equal(found[..., 1:], before[..., 1:])
    assert found[0, 0, 0] >= THRESHOLD  # strong evidence fires all the same


def test_a_child_is_not_silenced_by_its_parent_among_521_names(models_cache):
    names = yamnet.labels()
    parent, child = names.index("Animal"), names.index("Bark")
    scores = np.zeros((1, 1, len(names)), np.float32)
    scores[..., parent], scores[..., child] = 0.9, 0.06
    kin = kin_pairs(np.eye(len(names), dtype=np.float32), names)
    found = np.asarray(Competing(competition(len(names)), kin)(scores))
    np.testing.assert_array_equal(found, scores)


def test_what_is_seen_shifts_the_whole_clip_of_what_is_heard():
    heard, joint = np.random.default_rng(0).uniform(0.1, 0.9, (2, 1, 9, 2)).astype(np.float32)
    sound, both = np.float32([[0.2, 0.2]]), np.float32([[0.6, 0.6]])
    found = np.asarray(TimedBySound([True, False])([heard, sound, both, joint]))
    shift = logit(found[0, :, 0]) - logit(heard[0, :, 0])
    np.testing.assert_allclose(shift, logit(0.6) - logit(0.2), rtol=1e-4)
    np.testing.assert_array_equal(found[..., 1], joint[..., 1])
    certain = TimedBySound([True, True])([heard, np.zeros((1, 2)), np.ones((1, 2)), joint])
    np.testing.assert_allclose(logit(np.asarray(certain)) - logit(heard), MOST_SHIFT, atol=1e-3)


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
