import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from mmat.labels import LabelSet
from mmat.lists.read import named_label_set
from mmat.models.evidence import (
    EqualPriors,
    LikeliestName,
    Sharpened,
    Thresholded,
    similarity_weighted,
    top_label,
)
from mmat.models.label_map import (
    asked_names,
    imagenet_hypernyms,
    label_similarities,
    matched_similarities,
    nearest_labels,
    sound_label_names,
)
from mmat.pretrained.registry import imagenet_labels, yamnet
from mmat.pretrained.text import embedded_text_encoder

WAYS = [top_label, similarity_weighted, Sharpened(3.0), Thresholded(0.4)]
SOUNDS = LabelSet(
    ("Fire engine, fire truck (siren)", "Train", "Cattle, bovinae"),
    synonyms=((), (), ("cow", "ox")),
)
FLOOR = 0.7


@pytest.fixture(scope="module")
def encoder(models_cache):
    encoder = embedded_text_encoder()
    encoder(["its weights are read now, while the cache is where they are"])
    return encoder


@pytest.fixture
def empty_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MMAT_CACHE", str(tmp_path))
    return tmp_path


def test_similarities_are_the_best_over_pairs_of_names(encoder, empty_cache):
    images = [("fire engine", "fire truck"), ("banana",), ("ox",), ("tench", "Tinca tinca", "fish")]
    similarities = label_similarities(images, SOUNDS, encoder)
    assert similarities.shape == (4, 3) and similarities.dtype == np.float32
    for row, image_names in enumerate(images):
        for column in range(len(SOUNDS)):
            pairs = [
                float(np.dot(*encoder([image_name, sound_name])))
                for image_name in image_names
                for sound_name in sound_label_names(SOUNDS, column)
            ]
            assert similarities[row, column] == pytest.approx(max(pairs), abs=1e-5)
    assert similarities[0, 0] > 0.89
    assert similarities[1, 1] == pytest.approx(0.27, abs=0.01)
    assert similarities[2, 2] == pytest.approx(1, abs=1e-5)  # by a synonym


def test_similarities_are_computed_once(encoder, empty_cache):
    images = [("dog",), ("cat", "tabby")]
    label_similarities(images, SOUNDS, encoder)
    (kept,) = (empty_cache / "similarities").iterdir()
    np.save(kept, np.full((2, 3), 0.5, np.float32))
    assert (label_similarities(images, SOUNDS, encoder) == 0.5).all()
    assert (label_similarities([("dog",), ("cat",)], SOUNDS, encoder) != 0.5).any()
    assert len(list((empty_cache / "similarities").iterdir())) == 2


def test_imagenets_labels_lie_near_the_sounds_they_make(encoder, models_cache):
    labels = imagenet_labels()
    similarities = label_similarities(labels, SOUNDS, encoder)
    assert similarities.shape == (1000, 3)
    nearest = nearest_labels(similarities, labels, k=3)
    assert nearest[0][0][0] == "fire engine"
    assert "bullet train" in [name for name, _ in nearest[1]]
    assert nearest[2][0][0] == "ox"
    for column, rows in enumerate(nearest):
        values = [value for _, value in rows]
        assert values == sorted(values, reverse=True)
        assert values[0] == similarities[:, column].max()


@st.composite
def probabilities_and_similarities(draw):
    n_labels, classes = draw(st.integers(1, 6)), draw(st.integers(1, 4))
    shape = (draw(st.integers(1, 3)), draw(st.integers(1, 3)), n_labels)
    weights = draw(hnp.arrays(np.float32, shape, elements=st.floats(0.0625, 1, width=32)))
    # Numbers below 1e-38 count as 0 in TensorFlow, so that their share of themselves is none.
    cosines = st.floats(-1, 1, width=32, allow_subnormal=False)
    similarities = draw(hnp.arrays(np.float32, (n_labels, classes), elements=cosines))
    return weights / weights.sum(axis=-1, keepdims=True), similarities


def by_hand(way, probabilities, similarities):
    """The definition, one frame, label and class at a time."""
    evidence = np.zeros((*probabilities.shape[:-1], similarities.shape[1]))
    for place in np.ndindex(evidence.shape[:-1]):
        for label, probability in enumerate(probabilities[place]):
            for column, cosine in enumerate(similarities[label]):
                similarity = max(float(cosine), 0.0)
                if isinstance(way, Sharpened):
                    similarity = similarity**way.power
                elif isinstance(way, Thresholded):
                    similarity = max(0.0, (similarity - way.threshold) / (1 - way.threshold))
                if way is not top_label or label == np.argmax(probabilities[place]):
                    evidence[(*place, column)] += probability * similarity
    return evidence


@pytest.mark.parametrize("way", WAYS)
@settings(max_examples=30, deadline=None)
@given(case=probabilities_and_similarities())
def test_evidence_is_what_its_definition_says(way, case):
    evidence = keras.ops.convert_to_numpy(way(*case))
    assert evidence.dtype == np.float32
    assert evidence.min() >= 0 and evidence.max() <= 1 + 1e-6
    np.testing.assert_allclose(evidence, by_hand(way, *case), rtol=1e-4, atol=1e-6)


@settings(max_examples=30, deadline=None)
@given(case=probabilities_and_similarities(), power=st.floats(0.5, 20))
def test_the_nearest_name_counts_fully_and_the_likeliest_speaks(case, power):
    probabilities, similarities = case
    positive = np.clip(similarities, 0, 1).astype(np.float64)
    largest = positive.max(axis=0)
    weights = (positive / np.where(largest > 0, largest, 1)) ** power
    expected = (probabilities[..., :, None] * weights).max(axis=-2)
    answer = LikeliestName(power, n_names=16)(*case)
    np.testing.assert_allclose(answer, expected, rtol=1e-3, atol=1e-5)
    assert not keras.ops.convert_to_numpy(answer)[..., largest == 0].any()


def test_of_many_names_the_nearest_are_asked():
    similarities = np.float32([[0.9], [0.8], [0.7]])
    answer = LikeliestName(power=1.0, n_names=2)(np.float32([[0.0, 0.0, 1.0]]), similarities)
    assert float(answer[0, 0]) == 0


def test_with_equal_priors_a_broad_class_gathers_no_chance():
    """Where the picture says nothing, each class is as likely as its prior, however broad."""
    similarities = np.zeros((100, 3), np.float32)
    similarities[:60, 0] = similarities[60:61, 1] = 1
    nothing, sure = np.full((1, 100), 0.01, np.float32), np.eye(100, dtype=np.float32)[:1]
    answer = np.asarray(EqualPriors(prior=0.02)(np.concatenate([nothing, sure]), similarities))
    np.testing.assert_allclose(answer, [[0.02, 0.02, 0], [1, 0, 0]], atol=1e-6)


@pytest.mark.parametrize("way", [*WAYS, LikeliestName(3.0, n_names=2), EqualPriors(3.0)])
def test_ways_work_in_a_saved_model(way, tmp_path):
    """They are registered, so a layer that holds one can be saved, and loaded in safe mode."""
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(way))
    assert again == way
    similarities = np.random.default_rng(0).uniform(-1, 1, (5, 2)).astype(np.float32)
    inputs = keras.Input((None, 5))
    model = keras.Model(inputs, way(inputs, similarities))
    assert model.output_shape == (None, None, 2)
    frames = np.random.default_rng(1).dirichlet(np.ones(5), (2, 3)).astype(np.float32)
    np.testing.assert_allclose(
        model.predict(frames, verbose=0), way(frames, similarities), rtol=1e-5, atol=1e-7
    )


def no_encoder():
    raise AssertionError("names that are the same need no encoder")


@pytest.fixture(scope="module")
def sound_names(models_cache):
    names = LabelSet.of(yamnet.labels())
    return [sound_label_names(names, index) for index in range(len(names))]


def outputs_of(names, labels, hypernyms=None, make_encoder=no_encoder):
    """The whole names of the outputs that each label is."""
    found = matched_similarities(names, labels, make_encoder, FLOOR, hypernyms)
    return [[names[row][0] for row in np.flatnonzero(column)] for column in found.T]


@pytest.mark.parametrize("written", [str, str.upper, str.lower])
def test_exact_names_are_their_own_outputs_and_no_others(sound_names, written):
    labels = LabelSet.of(written(name) for name in yamnet.labels())
    found = matched_similarities(sound_names, labels, no_encoder, FLOOR)
    np.testing.assert_array_equal(found, np.eye(521))


def test_the_names_of_dcase_2017_are_their_own_sounds(sound_names):
    labels = named_label_set("dcase2017")
    assert outputs_of(sound_names, labels) == [[name] for name in labels.names]


def test_parts_of_names_count(sound_names):
    labels = LabelSet.of(["wasp", "Bus, truck", "Siren (distant)"])
    assert outputs_of(sound_names, labels) == [["Bee, wasp, etc."], ["Truck", "Bus"], ["Siren"]]


def test_a_kind_of_thing_is_every_thing_of_that_kind(models_cache):
    images, hypernyms = imagenet_labels(), imagenet_hypernyms()
    assert len(hypernyms) == len(images) and all(hypernyms)
    dogs, birds = outputs_of(images, LabelSet.of(["Dog", "Bird"]), hypernyms)
    assert {"golden retriever", "Chihuahua"} <= set(dogs) and len(dogs) == 118
    assert {"hen", "magpie"} <= set(birds) and not set(dogs) & set(birds)


def test_a_shared_output_is_the_label_that_names_it_most_closely(models_cache):
    images, hypernyms = imagenet_labels(), imagenet_hypernyms()
    hen, bird, animal = outputs_of(images, LabelSet.of(["Hen", "Bird", "Animal"]), hypernyms)
    assert hen == ["hen"]
    assert "hen" not in bird and "magpie" in bird
    assert "magpie" not in animal and "golden retriever" in animal


def test_a_label_with_synonyms_is_what_they_say(models_cache):
    labels = LabelSet(("Dog",), synonyms=(("beagle", "pug"),))
    assert outputs_of(imagenet_labels(), labels, imagenet_hypernyms()) == [["beagle", "pug"]]


def test_the_rest_is_the_nearest_names_or_nothing(sound_names):
    labels = LabelSet.of(["Dog", "Car horn honking", "Quarterly tax return", "zzqx"])
    found = matched_similarities(sound_names, labels, embedded_text_encoder, FLOOR)
    assert found[yamnet.labels().index("Dog"), 0] == found[:, 0].sum() == 1
    nearest = found[:, 1].argmax()
    assert yamnet.labels()[nearest] == "Vehicle horn, car horn, honking"
    assert FLOOR <= found[nearest, 1] < 1
    assert not found[:, 2:].any()
    assert not ((found > 0) & (found < FLOOR)).any()


def test_brackets_are_left_off_but_never_everything():
    assert asked_names(LabelSet.of(["(music)"]), 0) == ("(music)",)
    assert asked_names(LabelSet.of(["Ambulance (siren)"]), 0)[-1] == "Ambulance"
