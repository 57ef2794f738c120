"""A step on one device and on several; NaN and infinity are found, and their clips named."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from mmat.training.step import FastModel, all_finite, describe_batch, share_bounds, training_step
from tests.training import worker_runs

NOT_FINITE = st.sampled_from([np.nan, np.inf, -np.inf])


@pytest.fixture(scope="module")
def mirrored(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mirrored")
    process = worker_runs.start(worker_runs.mirrored, folder, "mirrored", folder)
    status = worker_runs.exit_statuses([process])
    assert status == [0], (folder / "mirrored.log").read_text()
    return np.load(folder / "mirrored.npz")


@given(st.integers(1, 10_000), st.integers(1, 64))
def test_shares_are_all_rows_once_and_differ_by_one_at_most(n_rows, count):
    bounds = [share_bounds(n_rows, index, count) for index in range(count)]
    rows = [row for start, end in bounds for row in range(start, end)]
    sizes = {end - start for start, end in bounds}
    assert rows == list(range(n_rows))
    assert max(sizes) - min(sizes) <= 1


@pytest.mark.parametrize("pull", [0.0, 0.125])
def test_a_step_is_the_gradient_of_the_mean_binary_cross_entropy_and_of_regularizers(pull):
    keras.utils.set_random_seed(0)
    inputs, weak_labels = worker_runs.batch(0)
    level = inputs["level"]
    pulled = keras.regularizers.L2(pull)
    clip = keras.layers.Dense(
        worker_runs.CLASSES, "sigmoid", name="clip", kernel_regularizer=pulled
    )
    entry = keras.Input((worker_runs.BANDS,), name="level")
    model = keras.Model({"level": entry}, {"clip": clip(entry)})
    before = np.asarray(clip.kernel)
    loss = training_step(model, keras.optimizers.SGD(1.0))({"level": level}, weak_labels)
    probability = 1 / (1 + np.exp(-level @ before))
    entropy = -np.log(np.where(weak_labels == 1, probability, 1 - probability))
    gradient = level.T @ (probability - weak_labels) / weak_labels.size + 2 * pull * before
    assert float(loss) == pytest.approx(entropy.mean() + pull * np.sum(before**2), rel=1e-5)
    np.testing.assert_allclose(np.asarray(clip.kernel), before - gradient, atol=1e-6)


@pytest.mark.parametrize("optimizer", ["clipped", "scaled"])
@pytest.mark.parametrize("what", ["losses", "weights", "optimizer"])
def test_two_devices_train_as_one_does(mirrored, optimizer, what):
    one, two = (mirrored[f"{optimizer} {what} {devices}"] for devices in ("one", "two"))
    np.testing.assert_allclose(two, one, atol=1e-5)


def test_two_devices_train_at_all(mirrored):
    assert mirrored["clipped losses two"][-1] < mirrored["clipped losses two"][0]


def test_two_devices_leave_out_a_step_that_overflows_on_one_and_halve_the_scale(mirrored):
    for devices in ("one", "two"):
        assert mirrored[f"overflown loss {devices}"] == pytest.approx(np.log(2))
        assert mirrored[f"overflown scale {devices}"] == 2.0**126
        assert not mirrored[f"overflown weights {devices}"].any()


def test_each_device_draws_dropout_of_its_own(mirrored):
    # A weight moves by both clips, by one or by none: by one only if the masks differ.
    assert len(np.unique(mirrored["dropped kernel two"].round(6))) == 3
    np.testing.assert_array_equal(mirrored["dropped seeds two"], mirrored["dropped seeds one"])


def test_two_devices_keep_the_moving_mean_of_all_clips(mirrored):
    assert mirrored["normalised mean one"].any()
    one, two = (mirrored[f"normalised mean {devices}"] for devices in ("one", "two"))
    np.testing.assert_allclose(two, one, atol=1e-6)


def test_fit_takes_the_fast_cpu_path_and_learns_as_keras_does():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(8, 9, 4, 16)).astype("float32"), rng.normal(size=8)
    weights, n_convolutions = {}, {}
    for kind in (keras.Model, FastModel):
        keras.utils.set_random_seed(0)
        inputs = keras.Input((9, 4, 16))
        image = keras.layers.Conv2D(16, 3, padding="same")(inputs)
        outputs = keras.layers.Dense(1)(keras.layers.GlobalAveragePooling2D()(image))
        model = kind(inputs, outputs)
        model.compile(keras.optimizers.SGD(0.1), loss="mse")
        model.fit(x, y, batch_size=4, epochs=2, shuffle=False, verbose=0)
        weights[kind] = model.get_weights()
        step = tf.function(model.train_step).get_concrete_function((x, y))
        n_convolutions[kind] = [op.type for op in step.graph.get_operations()].count("Conv2D")
    for fast, plain in zip(weights[FastModel], weights[keras.Model], strict=True):
        np.testing.assert_allclose(fast, plain, atol=1e-5)
    assert n_convolutions[FastModel] > n_convolutions[keras.Model] == 1


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
