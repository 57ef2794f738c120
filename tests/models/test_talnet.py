"""TALNet: as many parameters as its authors', and usable wherever the audio branch is."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from mmat.export.savedmodel import export_saved_model
from mmat.labels import LabelSet
from mmat.models.audio import adapt_normalization, talnet
from mmat.models.bundle import Bundle, load_bundle, save_bundle
from mmat.models.fusion import fused_model
from mmat.models.pooling import attention, linear_softmax
from mmat.models.video import video_branch
from mmat.training.submodels import back_end, front_end
from tests.compiling import compile_for_clips

SECOND = 16_000


def noise(n_clips, n_samples=SECOND // 5, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(0, 0.1, (n_clips, n_samples, 1)).astype("float32")


@pytest.fixture(scope="module")
def model():
    """A net with running statistics of its own, as after some training."""
    keras.utils.set_random_seed(0)
    model = talnet(3)
    adapt_normalization(model, [noise(4)])
    for _ in range(3):
        model({"waveform": noise(4)}, training=True)
    return model


def scores_of(model, inputs):
    return {name: value.numpy() for name, value in model(inputs, training=False).items()}


def count_trainable(model):
    return sum(int(np.prod(variable.shape)) for variable in model.trainable_variables)


def test_as_many_parameters_as_the_authors_net():
    assert count_trainable(talnet(527)) == 9_980_527
    assert count_trainable(talnet(527, pooling=attention)) == 9_980_527 + 1025 * 527


def test_ten_seconds_give_a_hundred_frames_of_a_thousand_numbers():
    whole = talnet(3)
    decibels = whole.get_layer("band_normalization").input
    embedding = keras.Model(decibels, whole.get_layer("embedding").output)
    assert embedding(np.zeros((1, 400, 64, 1), np.float32)).shape == (1, 100, 1024)
    assert [layer.pool_size for layer in whole.layers if "pooling2d" in layer.name] == [
        *[(2, 2)] * 2,
        *[(1, 2)] * 3,
    ]
    convolutions = [layer for layer in whole.layers if isinstance(layer, keras.layers.Conv2D)]
    assert [layer.filters for layer in convolutions] == sorted([32, 64, 128, 256, 512] * 2)


@pytest.mark.parametrize("n_samples", [1, 1599, 1600, 1601, 5000])
def test_any_length_gives_ten_frames_a_second(model, n_samples):
    scores = scores_of(model, {"waveform": noise(1, n_samples)})
    assert scores["frame"].shape == (1, -(-n_samples // 1600), 3)
    assert scores["clip"].shape == (1, 3)
    for value in scores.values():
        assert value.dtype == np.float32 and (value > 0).all() and (value < 1).all()


# One with weights of its own and one without; the others stand on the same as the audio branch's.
@pytest.mark.parametrize("pooling", [linear_softmax, attention])
def test_it_learns(pooling):
    keras.utils.set_random_seed(0)
    net = talnet(2, pooling=pooling)
    hz = np.where(np.arange(8) < 4, 300, 3000)[:, None]
    waveform = 0.3 * np.sin(2 * np.pi * hz * np.arange(2400) / SECOND)[..., None] + noise(8, 2400)
    truth = np.float32([[1, 0]] * 4 + [[0, 1]] * 4)
    adapt_normalization(net, [waveform])
    compile_for_clips(net, keras.optimizers.Adam(3e-4))
    losses = [
        float(net.train_on_batch({"waveform": np.float32(waveform)}, {"clip": truth}))
        for _ in range(4)
    ]
    assert np.isfinite(losses).all() and losses[-1] < losses[0]


def test_saved_and_loaded_it_answers_the_same(model, tmp_path):
    bundle = Bundle(model, LabelSet.of(["a", "b", "c"]), np.float32([0.5] * 3))
    save_bundle(tmp_path / "bundle", bundle)
    loaded = load_bundle(tmp_path / "bundle").model
    inputs = {"waveform": noise(2, 3000)}
    expected = scores_of(model, inputs)
    for name, value in scores_of(loaded, inputs).items():
        np.testing.assert_array_equal(value, expected[name])


def test_exported_it_answers_the_same(model, tmp_path):
    bundle = Bundle(model, LabelSet.of(["a", "b", "c"]), np.float32([0.5] * 3))
    export_saved_model(bundle, tmp_path / "export")
    served = tf.saved_model.load(str(tmp_path / "export")).signatures["serving_default"]
    waveform = noise(2, 3000)
    expected = scores_of(model, {"waveform": waveform})
    got = served(waveform=tf.constant(waveform))
    for name, value in expected.items():
        np.testing.assert_allclose(got[name], value, atol=1e-5)


def test_it_is_fitted_in_two_parts_as_the_audio_branch_is(model):
    waveform = noise(2, 3000)
    decibels = front_end(model)(waveform)
    together = scores_of(model, {"waveform": waveform})
    for name, value in scores_of(back_end(model), decibels).items():
        np.testing.assert_allclose(value, together[name], atol=1e-6)


def test_it_can_be_the_audio_of_a_fusion_which_leaves_it_as_it_is(model):
    twin = talnet(3)
    twin.set_weights(model.get_weights())
    video = video_branch(3, similarities=np.eye(5, 3))
    fused = fused_model(twin, video)
    inputs = {
        "waveform": noise(2, 3000),
        "image_probabilities": np.full((2, 4, 5), 0.2, np.float32),
        "has_audio": np.array([True, True]),
        "has_video": np.array([True, False]),
    }
    alone = scores_of(model, {"waveform": inputs["waveform"]})
    np.testing.assert_allclose(scores_of(fused, inputs)["audio"], alone["clip"], atol=1e-6)
    before = twin.get_weights()
    compile_for_clips(fused, "adam")
    fused.train_on_batch(inputs, {"clip": np.ones((2, 3), np.float32)})
    for old, new in zip(before, twin.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)  # the running statistics too


def test_ragged_a_clip_gets_what_it_gets_alone(model, tmp_path):
    ragged = talnet(3, ragged=True)
    ragged.set_weights(model.get_weights())
    path = tmp_path / "ragged.keras"
    ragged.save(path)
    lengths = [900, 3300, 1]
    waveform = np.full((3, 4000, 1), 0.7, np.float32)
    for row, length in zip(waveform, lengths, strict=True):
        row[:length] = noise(1, length, seed=length)[0]
    inputs = {"waveform": waveform, "n_samples": np.int32(lengths)}
    together = scores_of(ragged, inputs)
    for i, length in enumerate(lengths):
        alone = scores_of(model, {"waveform": waveform[i : i + 1, :length]})
        n_frames = alone["frame"].shape[1]
        np.testing.assert_allclose(together["clip"][i], alone["clip"][0], atol=1e-5)
        np.testing.assert_allclose(together["frame"][i, :n_frames], alone["frame"][0], atol=1e-5)
        assert not together["frame"][i, n_frames:].any()
    loaded = scores_of(keras.models.load_model(path), inputs)
    np.testing.assert_array_equal(loaded["clip"], together["clip"])


def test_ragged_in_training_no_padding_enters_the_batch_norm():
    """The same clips, with padding and without, move the running statistics alike."""
    waveform = noise(2, 3200)
    lengths = np.int32([3200, 3200])
    moved = []
    for padding in (0, 4800):
        keras.utils.set_random_seed(0)
        net = talnet(2, [{"waveform": waveform, "n_samples": lengths}], ragged=True)
        padded = np.pad(waveform, ((0, 0), (0, padding), (0, 0)), constant_values=0.5)
        net({"waveform": padded, "n_samples": lengths}, training=True)
        moved.append([w for w in net.non_trainable_variables if "moving" in w.path])
    for plain, padded in zip(*moved, strict=True):
        np.testing.assert_allclose(plain, padded, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    ("dtype", "tolerance"), [("mixed_bfloat16", 0.05), ("mixed_float16", 0.01)]
)
def test_low_precision_answers_alike_in_float32(model, dtype, tolerance):
    twin = talnet(3, dtype=dtype)
    twin.set_weights(model.get_weights())
    inputs = {"waveform": noise(1, 1600)}
    expected = scores_of(model, inputs)
    for name, value in scores_of(twin, inputs).items():
        assert value.dtype == np.float32
        np.testing.assert_allclose(value, expected[name], atol=tolerance)
