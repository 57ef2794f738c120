"""What every layer must hold to, in one helper."""

import copy
import json
import tempfile

import keras
import numpy as np
import tensorflow as tf

POLICIES = ("float32", "mixed_float16", "mixed_bfloat16")


def check_layer(
    layer_class: type[keras.layers.Layer],
    init_kwargs: dict,
    inputs,
    output_dtype: str | None = "float32",
    policy_tolerance: float = 0.05,
) -> None:
    """Hold a layer to its configuration, its shapes, saving, precision, learning and export.

    inputs: an array, or a list of arrays for a layer that takes a list. output_dtype: what it
    answers with under any policy; None: the policy's own compute dtype. policy_tolerance: how far
    the low-precision answers may lie from those in float32.
    """
    layer = layer_class(**init_kwargs)
    if hasattr(layer, "adapt"):
        layer.adapt([inputs])
    model = _model_around(layer, inputs)
    expected = model(_named(inputs), training=False).numpy()

    _check_config(layer, inputs, expected)
    assert expected.shape == tuple(layer.compute_output_shape(_shapes(inputs)))
    free_batch = tf.nest.map_structure(lambda x: (None, *x.shape[1:]), inputs)
    assert (None, *expected.shape[1:]) == tuple(layer.compute_output_shape(free_batch))
    assert np.isfinite(expected).all()

    with tempfile.TemporaryDirectory() as folder:
        _check_saving(model, inputs, expected, folder)
    for policy in POLICIES:
        answer = _answer_under(policy, layer_class, init_kwargs, layer.get_weights(), inputs)
        wanted = output_dtype or keras.DTypePolicy(policy).compute_dtype
        assert keras.backend.standardize_dtype(answer.dtype) == wanted, policy
        low, tolerance = np.asarray(answer, np.float32), policy_tolerance
        np.testing.assert_allclose(low, expected, atol=tolerance, rtol=tolerance)
    _check_learning(layer, model, inputs, expected)


def _check_config(layer, inputs, expected) -> None:
    config = layer.get_config()
    kept = copy.deepcopy(config)
    assert json.loads(json.dumps(config)).keys() == config.keys()  # `.keras` files hold JSON
    twin = type(layer).from_config(config)
    assert config == kept, "from_config must leave what it was given as it was"
    assert twin.get_config() == kept
    twin_model = _model_around(twin, inputs)
    twin.set_weights(layer.get_weights())
    np.testing.assert_array_equal(twin_model(_named(inputs), training=False), expected)


def _check_saving(model, inputs, expected, folder) -> None:
    path = f"{folder}/layer.keras"
    model.save(path)
    loaded = keras.models.load_model(path, safe_mode=True)
    np.testing.assert_array_equal(loaded(_named(inputs), training=False), expected)
    model.export(f"{folder}/export", verbose=False)
    exported = tf.saved_model.load(f"{folder}/export")
    np.testing.assert_allclose(exported.serve(_named(inputs)), expected, rtol=1e-5, atol=1e-6)


def _answer_under(policy, layer_class, init_kwargs, weights, inputs):
    """What such a layer with these weights says when the whole program runs under a policy."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        layer, tensors = layer_class(**init_kwargs), tf.nest.map_structure(tf.constant, inputs)
        layer(tensors)
        layer.set_weights(weights)
        return layer(tensors)
    finally:
        keras.config.set_dtype_policy(before)


def _check_learning(layer, model, inputs, expected) -> None:
    named = {name: tf.constant(x) for name, x in _named(inputs).items()}
    numbers = [x for x in named.values() if x.dtype.is_floating]
    with tf.GradientTape() as tape:
        tape.watch(numbers)
        loss = tf.reduce_sum(tf.square(tf.cast(model(named, training=True), tf.float32)))
    gradients = tape.gradient(loss, [*layer.trainable_variables, *numbers])
    for gradient in gradients:
        assert gradient is None or np.isfinite(gradient).all()
    if layer.trainable_variables:
        before = [v.numpy() for v in layer.variables]
        model.compile("sgd", "mse")
        model.train_on_batch(_named(inputs), expected + 0.5)
        for variable, old in zip(layer.variables, before, strict=True):
            assert (variable.numpy() != old).any() == variable.trainable, variable.path


def _model_around(layer, inputs) -> keras.Model:
    places = {
        name: keras.Input(x.shape[1:], dtype=x.dtype.name, name=name)
        for name, x in _named(inputs).items()
    }
    tensors = list(places.values())
    return keras.Model(places, layer(tensors if isinstance(inputs, list) else tensors[0]))


def _named(inputs) -> dict[str, np.ndarray]:
    return {f"x{i}": x for i, x in enumerate(inputs if isinstance(inputs, list) else [inputs])}


def _shapes(inputs):
    return tf.nest.map_structure(lambda x: x.shape, inputs)
