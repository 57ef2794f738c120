"""Pictures that are shuffled: each clip gets another's, whole."""

import keras
import numpy as np

from mmat.models.predict import Predictor, shuffle_pictures


def test_all_that_is_seen_of_a_clip_goes_to_the_same_other():
    clips = np.arange(7, dtype=np.float32)
    inputs = {
        "image_probabilities": clips[:, None, None],
        "image_embeddings": clips[:, None, None] + np.zeros((1, 2, 3), np.float32),
        "has_video": clips > 2,
        "sound_embeddings": clips[:, None, None],
    }
    moved = shuffle_pictures(inputs, seed=1)
    order = moved["image_probabilities"].ravel()
    assert sorted(order) == clips.tolist() and (order != clips).all()
    np.testing.assert_array_equal(moved["image_embeddings"][:, 1, 2], order)
    np.testing.assert_array_equal(moved["has_video"], order > 2)
    assert moved["sound_embeddings"] is inputs["sound_embeddings"]


def test_many_models_are_traced_without_a_warning(caplog):
    """Each model needs a trace of its own, which TensorFlow takes for a mistake."""
    for seconds in range(1, 8):
        inputs = {"waveform": keras.Input((None, 1), name="waveform")}
        clip = keras.layers.GlobalMaxPooling1D()(inputs["waveform"])
        predictor = Predictor(keras.Model(inputs, {"clip": clip}))
        waveform = np.full((2, 10 * seconds, 1), seconds, np.float32)
        scores = predictor({"waveform": waveform, "has_audio": np.ones(2, bool)})
        assert scores["clip"].tolist() == [[seconds], [seconds]]
    assert not caplog.records
