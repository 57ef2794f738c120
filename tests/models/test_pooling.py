import math

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from mmat.models.pooling import POOLINGS, SMALLEST, MILPooling, attention
from tests.models.layer_checks import check_layer

EVERY = pytest.mark.parametrize("name", POOLINGS)
SHAPES = hnp.array_shapes(min_dims=3, max_dims=3, min_side=1, max_side=5)
PROBABILITIES = SHAPES.flatmap(
    lambda shape: st.tuples(
        hnp.arrays(np.float32, shape, elements=st.floats(0, 1, width=32)),
        hnp.arrays(np.float32, shape, elements=st.floats(-30, 30, width=32)),
    )
)


def pool(name, y, logits):
    """What the layer says; the logits matter to attention alone."""
    y, logits = np.asarray(y, np.float32), np.asarray(logits, np.float32)
    return MILPooling(name)([y, logits] if name == "attention" else y).numpy()


def brute_force(name, y, logits):
    """The formula in Python's own numbers, one clip and one class at a time."""
    n_clips, n_frames, n_classes = y.shape
    pooled = np.zeros((n_clips, n_classes))
    for clip in range(n_clips):
        for label in range(n_classes):
            scores = [min(max(float(s), SMALLEST), 1 - SMALLEST) for s in y[clip, :, label]]
            if name == "max_pooling":
                pooled[clip, label] = max(scores)
                continue
            weights = {
                "mean_pooling": [1.0] * n_frames,
                "linear_softmax": scores,
                "exponential_softmax": [math.exp(s) for s in scores],
                "attention": [math.exp(float(w)) for w in logits[clip, :, label]],
            }[name]
            total = sum(s * w for s, w in zip(scores, weights, strict=True))
            pooled[clip, label] = total / sum(weights)
    return pooled


def test_five_poolings():
    assert len(POOLINGS) == 5


@EVERY
@settings(max_examples=30, deadline=None)
@given(inputs=PROBABILITIES)
def test_equals_the_formula_and_stays_between_the_frames(name, inputs):
    pooled = pool(name, *inputs)
    np.testing.assert_allclose(pooled, brute_force(name, *inputs), rtol=1e-4, atol=1e-6)
    y = np.clip(inputs[0], SMALLEST, 1 - SMALLEST)
    assert (pooled >= y.min(axis=1) - 1e-6).all() and (pooled <= y.max(axis=1) + 1e-6).all()


@EVERY
@settings(max_examples=15, deadline=None)
@given(inputs=PROBABILITIES, seed=st.integers(0, 999))
def test_the_order_of_frames_is_of_no_account(name, inputs, seed):
    order = np.random.default_rng(seed).permutation(inputs[0].shape[1])
    shuffled = [x[:, order] for x in inputs]
    np.testing.assert_allclose(pool(name, *shuffled), pool(name, *inputs), rtol=1e-5, atol=1e-6)


@EVERY
@pytest.mark.parametrize("value", [0.0, 1e-12, 0.3, 0.999, 1.0])
def test_constant_in_constant_out(name, value):
    logits = np.random.default_rng(0).normal(size=(2, 7, 3))
    np.testing.assert_allclose(pool(name, np.full((2, 7, 3), value), logits), value, atol=1e-6)


@EVERY
@pytest.mark.parametrize("value", [0.0, 1.0])
@pytest.mark.parametrize("logit", [0.0, 1e4, -1e4])
def test_finite_at_the_ends(name, value, logit):
    y, logits = tf.fill((2, 7, 3), value), tf.fill((2, 7, 3), logit)
    with tf.GradientTape() as tape:
        tape.watch([y, logits])
        pooled = MILPooling(name)([y, logits] if name == "attention" else y)
    assert np.isfinite(pooled).all()
    for gradient in tape.gradient(pooled, [y, logits]):
        assert gradient is None or np.isfinite(gradient).all()


@EVERY
def test_half_precision_scores_are_pooled_in_float32(name):
    y, logits = tf.zeros((1, 400, 2), tf.float16), tf.zeros((1, 400, 2), tf.float16)
    pooled = MILPooling(name, dtype="float16")([y, logits] if name == "attention" else y)
    assert pooled.dtype == tf.float32 and np.isfinite(pooled).all()


def test_a_pooling_goes_by_its_function_or_its_name():
    assert MILPooling("attention").pooling is MILPooling(attention).pooling is attention


@EVERY
def test_layer(name):
    rng = np.random.default_rng(0)
    y = rng.uniform(size=(2, 6, 3)).astype("float32")
    logits = rng.normal(size=(2, 6, 3)).astype("float32")
    check_layer(MILPooling, {"pooling": name}, [y, logits] if name == "attention" else y)


@EVERY
@settings(max_examples=15, deadline=None)
@given(inputs=PROBABILITIES, n_own=st.integers(0, 5), padding=st.integers(0, 3))
def test_padding_is_of_no_account(name, inputs, n_own, padding):
    """Frames that are not the clip's own change nothing, whatever stands there."""
    y, logits = (np.pad(x, ((0, 0), (0, padding), (0, 0)), constant_values=0.9) for x in inputs)
    own = np.broadcast_to(np.arange(y.shape[1]) < n_own, y.shape[:2])
    masked = MILPooling(name)([y, logits, own] if name == "attention" else [y, own]).numpy()
    if n_own == 0:
        assert not masked.any()
    else:
        alone = pool(name, y[:, :n_own], logits[:, :n_own])
        np.testing.assert_allclose(masked, alone, rtol=1e-5, atol=1e-6)


@EVERY
@pytest.mark.parametrize("n_own", [0, 1, 4])
@pytest.mark.parametrize("logit", [0.0, 1e4, -1e4])
def test_finite_under_a_mask(name, n_own, logit):
    y, logits, own = tf.zeros((2, 4, 3)), tf.fill((2, 4, 3), logit), tf.range(4)[None] < n_own
    own = tf.repeat(own, 2, axis=0)
    with tf.GradientTape() as tape:
        tape.watch([y, logits])
        pooled = MILPooling(name)([y, logits, own] if name == "attention" else [y, own])
    assert np.isfinite(pooled).all()
    for gradient in tape.gradient(pooled, [y, logits]):
        assert gradient is None or np.isfinite(gradient).all()


@EVERY
def test_layer_with_a_mask(name):
    rng = np.random.default_rng(0)
    y = rng.uniform(size=(2, 6, 3)).astype("float32")
    logits = rng.normal(size=(2, 6, 3)).astype("float32")
    own = np.arange(6)[None] < np.array([[2], [0]])
    check_layer(
        MILPooling, {"pooling": name}, [y, logits, own] if name == "attention" else [y, own]
    )
