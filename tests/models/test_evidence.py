"""Each way from image labels to evidence, by its definition, by hand and in a saved model."""

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from mmat.models.evidence import (
    EqualPriors,
    LikeliestName,
    Sharpened,
    Thresholded,
    similarity_weighted,
    top_label,
)

WAYS = [top_label, similarity_weighted, Sharpened(3.0), Thresholded(0.4)]


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
