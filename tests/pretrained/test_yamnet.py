import numpy as np
import pytest
import tensorflow as tf

from mmat.pretrained.embedded import EMBEDDED_NETWORKS, yamnet_wheel_folder
from mmat.pretrained.hub import load_hub_model, network_sha256
from mmat.pretrained.registry import yamnet
from mmat.pretrained.yamnet import YAMNET, folded, in_groups, yamnet_function, yamnet_network
from tests.processes import program, run_process

RATE_HZ = 16_000
WHEEL_SHA256 = "6501e34fb1377a001af52637c9977a799b31e00ff679fd2d088d2b5fca4902e0"


@pytest.fixture(scope="module")
def rebuilt(models_cache):
    """The network as models load it: a SavedModel in the cache."""
    return load_hub_model(yamnet.handle)


@pytest.fixture(scope="module")
def googles(models_cache):
    """Google's own SavedModel, out of the wheel."""
    return getattr(tf.saved_model.load(str(yamnet_wheel_folder())), "layer-1").layer._func


def noise(n_samples, seed=0):
    return np.random.default_rng(seed).uniform(-1, 1, n_samples).astype(np.float32)


def speech_like(n_samples):
    """A buzz of harmonics whose pitch glides, in syllables, four a second."""
    seconds = np.arange(n_samples) / RATE_HZ
    phase = 2 * np.pi * np.cumsum(120 + 20 * np.sin(2 * np.pi * 3 * seconds)) / RATE_HZ
    buzz = sum(np.sin(k * phase) / k for k in range(1, 20))
    return np.float32(0.2 * buzz * (0.5 + 0.5 * np.sin(2 * np.pi * 4 * seconds)))


def sine(n_samples, hertz=600):
    """440 Hz would be a dial tone, 1000 Hz a beep."""
    return np.float32(0.5 * np.sin(2 * np.pi * hertz * np.arange(n_samples) / RATE_HZ))


def silence(n_samples):
    return np.zeros(n_samples, np.float32)


def assert_same(found, expected):
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("n_samples", [1, 15_600, 15_601, 48_000, 160_000])
@pytest.mark.parametrize("sound", [noise, speech_like, sine, silence])
def test_it_hears_what_googles_own_does(rebuilt, googles, sound, n_samples):
    waveform = tf.constant(sound(n_samples))
    found, expected = rebuilt(waveform), googles(waveform)
    n_patches = yamnet.n_patches(n_samples)
    assert found[0].shape == (n_patches, 521) and found[1].shape == (n_patches, 1024)
    for mine, own in zip(found[:2], expected[:2], strict=True):
        assert_same(mine, own[:n_patches])
    assert_same(found[2], expected[2][: len(found[2])])


@pytest.mark.parametrize("n_patches", [1, 9, 10, 11, 25])
def test_groups_are_all_of_it_in_order(n_patches):
    def numbered(patches):
        means = tf.reduce_mean(patches, axis=[1, 2, 3])[:, tf.newaxis]
        return means * tf.ones(521), -means * tf.ones(1024)

    numbers = tf.range(n_patches, dtype=tf.float32)
    patches = numbers[:, tf.newaxis, tf.newaxis, tf.newaxis] * tf.ones((96, 64, 1))
    scores, embeddings = in_groups(numbered, patches, most=10)
    np.testing.assert_array_equal(scores, numbers[:, tf.newaxis] * np.ones(521))
    np.testing.assert_array_equal(embeddings, -numbers[:, tf.newaxis] * np.ones(1024))


def test_a_clip_is_heard_as_it_would_be_alone(rebuilt):
    clips = np.stack([sound(40_000) for sound in (noise, speech_like, sine, silence, noise)])
    together = rebuilt.batched(clips)
    assert together[0].shape == (5, yamnet.n_patches(40_000), 521)
    for place, clip in enumerate(clips):
        for whole, alone in zip(together, rebuilt(clip), strict=True):
            assert_same(whole[place], alone)


@pytest.mark.parametrize(("sound", "name"), [(silence, "Silence"), (sine, "Sine wave")])
def test_what_is_plain_has_its_name(rebuilt, sound, name):
    scores = rebuilt(sound(5 * RATE_HZ))[0].numpy()
    assert yamnet.labels()[scores.mean(axis=0).argmax()] == name


@pytest.mark.parametrize("depthwise", [False, True])
def test_a_folded_convolution_is_the_convolution_and_its_norm(depthwise):
    rng = np.random.default_rng(3)
    kernel = rng.normal(size=(3, 3, 4, 1 if depthwise else 5))
    beta, mean, variance = rng.normal(size=(3, 4 if depthwise else 5))
    variance = variance**2
    image = rng.normal(size=(5, 6, 4))

    def convolved(kernel):
        """Place by place and channel by channel, without edges."""
        made = np.zeros((3, 4, len(beta)))
        for row, column in np.ndindex(3, 4):
            seen = image[row : row + 3, column : column + 3]
            for channel in range(len(beta)):
                if depthwise:
                    made[row, column, channel] = np.sum(
                        seen[..., channel] * kernel[..., channel, 0]
                    )
                else:
                    made[row, column, channel] = np.sum(seen * kernel[..., channel])
        return made

    expected = (convolved(kernel) - mean) / np.sqrt(variance + YAMNET.batch_norm_epsilon) + beta
    new_kernel, bias = folded(kernel, beta, mean, variance)
    np.testing.assert_allclose(convolved(new_kernel) + bias, expected, rtol=1e-5, atol=1e-5)


def test_it_is_the_network_of_the_paper(models_cache):
    """Its readme speaks of 3.7 million weights."""
    network = yamnet_network()
    assert round(network.count_params() / 1e6, 1) == 3.7
    assert network.input_shape == (None, 96, 64, 1)
    assert (YAMNET.patch_samples, YAMNET.patch_hop_samples) == (
        yamnet.window_samples,
        yamnet.hop_samples,
    )


def test_a_graph_of_known_length_has_only_what_tensorflow_lite_has(models_cache):
    """So that exports can hold it: no loop, no other library."""
    hear = tf.function(yamnet_function())
    graph = hear.get_concrete_function(tf.TensorSpec((1, 20_000), tf.float32))
    converter = tf.lite.TFLiteConverter.from_concrete_functions([graph])
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    interpreter = tf.lite.Interpreter(model_content=converter.convert())
    interpreter.allocate_tensors()
    (given,) = interpreter.get_input_details()
    clip = speech_like(20_000)[np.newaxis]
    interpreter.set_tensor(given["index"], clip)
    interpreter.invoke()
    found = {
        tuple(each["shape"]): interpreter.get_tensor(each["index"])
        for each in interpreter.get_output_details()
    }
    scores, embeddings, _ = hear(clip)
    np.testing.assert_allclose(found[1, 2, 521], scores, atol=1e-4)
    np.testing.assert_allclose(found[1, 2, 1024], embeddings, atol=1e-3)


def test_a_new_process_hears_the_same(rebuilt, tmp_path):
    clip = noise(30_000)
    np.save(tmp_path / "clip.npy", clip)
    done = run_process(program("hearing", tmp_path / "clip.npy", tmp_path / "heard.npz"))
    assert done.returncode == 0, done.stderr
    heard = np.load(tmp_path / "heard.npz")
    scores, embeddings, _ = rebuilt(clip)
    assert_same(heard["scores"], scores)
    assert_same(heard["embeddings"], embeddings)


def test_it_is_known_by_the_wheels_files(models_cache):
    """So that what was made with the older export of the same weights still counts."""
    assert EMBEDDED_NETWORKS["yamnet"].folder != "saved_model"
    assert network_sha256(yamnet.handle) == WHEEL_SHA256
