"""NaN and infinity are found wherever they stand, and the clips that hold them are named."""

import hypothesis.strategies as st
import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings

from mmat.training.step import all_finite, describe_batch

NOT_FINITE = st.sampled_from([np.nan, np.inf, -np.inf])


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_one_number_of_many_is_enough(dtype):
    variables = [keras.Variable(np.zeros(shape), dtype=dtype) for shape in ((3, 5), (4,), ())]
    variables.append(keras.Variable([1, 2], dtype="int32", trainable=False))
    assert all_finite(variables)
    for value in (np.nan, np.inf, -np.inf):
        for variable in variables[:3]:
            whole = np.zeros(variable.shape)
            whole[(-1,) * whole.ndim] = value
            variable.assign(whole)
            assert not all_finite(variables)
            variable.assign(np.zeros(variable.shape))
    assert all_finite(variables)


@settings(max_examples=50, deadline=None)
@given(st.data())
def test_exactly_the_clips_with_bad_inputs_are_named_up_to_five(data):
    n_clips = data.draw(st.integers(1, 9))
    bad = data.draw(st.sets(st.integers(0, n_clips - 1)))
    inputs = {
        "ids": tf.constant([f"clip {i}" for i in range(n_clips)]),
        "waveform": np.zeros((n_clips, 4, 1), np.float32),
        "n_samples": np.full(n_clips, 4, np.int32),
        "has_video": np.ones(n_clips, bool),
    }
    weak_labels = np.zeros((n_clips, 2), np.float32)
    for clip in bad:
        place = data.draw(st.sampled_from([inputs["waveform"][:, :, 0], weak_labels]))
        place[clip, data.draw(st.integers(0, place.shape[1] - 1))] = data.draw(NOT_FINITE)
    batch = {name: tf.constant(x) for name, x in inputs.items()}, tf.constant(weak_labels)
    what, batch_named = describe_batch(batch).split("; the batch: ")
    assert batch_named.split(", ") == [f"clip {i}" for i in range(n_clips)]
    if not bad:
        assert what == "all inputs were finite: train anew with a lower learning rate"
        return
    named = what.removeprefix("clips ").split(" hold NaN or infinity: ")[0].split(", ")
    wanted = [f"clip {i}" for i in sorted(bad)]
    assert named == wanted[:5] + ["…"] * (len(wanted) > 5)


def test_without_ids_clips_are_numbered():
    batch = {"level": np.float32([[0.0], [np.nan]])}, np.zeros((2, 3))
    assert describe_batch(batch).startswith("clips 1 hold NaN or infinity: leave them out")
