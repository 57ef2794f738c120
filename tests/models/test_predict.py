"""Pictures that are shuffled: each clip gets another's, whole."""

import numpy as np

from mmat.models.predict import shuffle_pictures


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
