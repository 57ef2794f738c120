"""An audio branch on a frozen encoder: a small one for its arithmetic, and YAMNet itself."""

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmat.export.savedmodel import export_saved_model
from mmat.labels import LabelSet
from mmat.models.audio import adapt_normalization, audio_branch
from mmat.models.augment import SpecAugment
from mmat.models.bundle import Bundle, load_bundle, save_bundle
from mmat.models.features import PatchesToFrames
from mmat.models.fusion import fused_model
from mmat.models.pooling import attention
from mmat.models.video import video_branch
from mmat.pretrained.hub import HubAudioEncoder
from mmat.pretrained.registry import yamnet
from mmat.training.submodels import back_end, front_end
from tests.compiling import compile_for_clips
from tests.models.layer_checks import check_layer
from tests.models.tiny_encoder import HOP, SIZE, WINDOW
from tests.processes import program, run_process

pytest_plugins = ["tests.models.tiny_encoder"]


def noise(n_clips, n_samples, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(0, 0.1, (n_clips, n_samples, 1)).astype(np.float32)


def scores_of(model, inputs):
    return {name: value.numpy() for name, value in model(inputs, training=False).items()}


def loop(patches, n_samples, hop, window, frame):
    """Frame by frame: between the two patches whose centres lie around the frame's own."""
    centres = np.arange(len(patches)) * hop + window / 2
    own = max(1, 1 + -(-max(n_samples - window, 0) // hop))
    frames = []
    for i in range(-(-n_samples // frame)):
        moment = (i + 0.5) * frame
        frames.append(
            [np.interp(moment, centres[:own], value[:own]) for value in np.transpose(patches)]
        )
    return np.array(frames).reshape(-1, patches.shape[1])


@settings(max_examples=40, deadline=None)
@given(
    n_samples=st.integers(1, 60),
    hop=st.integers(1, 12),
    more=st.integers(0, 9),
    frame=st.integers(1, 15),
    padding=st.integers(0, 30),
)
def test_frames_are_those_of_a_plain_loop(n_samples, hop, more, frame, padding):
    window = hop + more
    layer = PatchesToFrames(hop, window, frame)
    encoder = HubAudioEncoder("", 2, hop, window)
    patches = np.random.default_rng(n_samples).normal(size=(1, encoder.n_patches(n_samples), 2))
    expected = loop(patches[0], n_samples, hop, window, frame)
    got = layer([np.float32(patches), np.zeros((1, n_samples, 1), np.float32)])
    np.testing.assert_allclose(got[0], expected, atol=1e-4)
    # In a longer batch, with other patches behind its own, a clip's own frames are the same.
    whole = n_samples + padding
    behind = encoder.n_patches(whole) - patches.shape[1]
    longer = np.float32(np.pad(patches, ((0, 0), (0, behind), (0, 0)), constant_values=9.0))
    lengths = np.int32([n_samples])
    ragged = layer([longer, np.zeros((1, whole, 1), np.float32), lengths])
    assert ragged.shape[1] == -(-whole // frame)
    np.testing.assert_allclose(ragged[0, : len(expected)], expected, atol=1e-4)


def test_patches_to_frames_is_a_layer_as_all_are():
    options = {"patch_hop_samples": 4, "patch_window_samples": 6, "hop_samples": 2}
    rng = np.random.default_rng(0)
    patches, waveform = (rng.normal(size=s).astype("float32") for s in ((2, 3, 5), (2, 13, 1)))
    check_layer(PatchesToFrames, options, [patches, waveform])
    check_layer(PatchesToFrames, options, [patches, waveform, np.int32([13, 7])])


@pytest.fixture(scope="module")
def model(tiny_encoder):
    return branch(tiny_encoder)


def branch(encoder, **options):
    """A branch whose weights are the same for every option that adds none."""
    keras.utils.set_random_seed(0)
    model = audio_branch(3, encoder=encoder, **options)
    for variable in model.trainable_variables:  # biases too, so that padding would show
        variable.assign_add(0.05 * keras.random.normal(variable.shape))
    batch = {"waveform": noise(2, 8000), "n_samples": np.int32([8000, 8000])}
    adapt_normalization(model, [{name: batch[name] for name in model.input}])
    return model


@settings(max_examples=6, deadline=None)
@given(n_samples=st.integers(1, 9000))
def test_any_length_gives_ten_frames_a_second(model, n_samples):
    scores = scores_of(model, {"waveform": noise(1, n_samples)})
    assert scores["frame"].shape == (1, -(-n_samples // 1600), 3)
    assert scores["clip"].shape == (1, 3)
    for value in scores.values():
        assert value.dtype == np.float32 and (value > 0).all() and (value < 1).all()


def test_normalization_is_that_of_the_training_set(model, tiny_encoder):
    """Mean and std of every number of the embedding, over the frames of all clips."""
    batches = [noise(2, 8000, seed=0), noise(1, 4000, seed=1)]
    fresh = audio_branch(2, encoder=tiny_encoder)
    adapt_normalization(fresh, iter(batches))
    encoder = HubAudioEncoder.of(tiny_encoder)
    frames = np.concatenate(
        [
            loop(encoder(clip[None])["embedding"][0].numpy(), len(clip), HOP, WINDOW, 1600)
            for batch in batches
            for clip in batch
        ]
    )
    layer = fresh.get_layer("band_normalization")
    np.testing.assert_allclose(layer.mean[:, 0], frames.mean(axis=0), atol=1e-4)
    np.testing.assert_allclose(layer.std[:, 0], frames.std(axis=0), atol=1e-3)


def test_it_learns_and_the_encoder_stays(tiny_encoder):
    net = branch(tiny_encoder, augmentation=[SpecAugment(0.2, 0, seed=0)])
    encoder = net.get_layer("encoder")
    waveform = noise(8, 3200) * np.where(np.arange(8) < 4, 1, 9)[:, None, None].astype("float32")
    truth = np.float32([[1, 0, 0]] * 4 + [[0, 1, 1]] * 4)
    before = encoder(waveform)["embedding"].numpy()
    old = [variable.numpy() for variable in net.trainable_variables]
    compile_for_clips(net, keras.optimizers.Adam(3e-3))
    losses = [float(net.train_on_batch({"waveform": waveform}, {"clip": truth})) for _ in range(4)]
    assert np.isfinite(losses).all() and losses[-1] < losses[0]
    np.testing.assert_array_equal(encoder(waveform)["embedding"], before)
    for variable, value in zip(net.trainable_variables, old, strict=True):
        assert (variable.numpy() != value).any(), variable.path


@pytest.fixture(scope="module")
def ragged(tiny_encoder, model):
    ragged = audio_branch(3, ragged=True, encoder=tiny_encoder)
    ragged.set_weights(model.get_weights())
    return ragged


@settings(max_examples=4, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 4000), min_size=1, max_size=2),
    padding=st.integers(0, 3000),
    filling=st.sampled_from([0.0, 0.7, np.nan]),
)
def test_ragged_a_clip_gets_what_it_gets_alone(model, ragged, lengths, padding, filling):
    waveform = np.full((len(lengths), max(lengths) + padding, 1), filling, np.float32)
    for row, length in zip(waveform, lengths, strict=True):
        row[:length] = noise(1, length, seed=length)[0]
    together = scores_of(ragged, {"waveform": waveform, "n_samples": np.int32(lengths)})
    for i, length in enumerate(lengths):
        alone = scores_of(model, {"waveform": waveform[i : i + 1, :length]})
        n_frames = alone["frame"].shape[1]
        np.testing.assert_allclose(together["clip"][i], alone["clip"][0], atol=1e-5)
        np.testing.assert_allclose(together["frame"][i, :n_frames], alone["frame"][0], atol=1e-5)
        assert not together["frame"][i, n_frames:].any()


def test_ragged_normalization_takes_no_padding(tiny_encoder):
    plain, ragged = (audio_branch(2, encoder=tiny_encoder, ragged=x) for x in (False, True))
    clips = [noise(1, n, seed=n) for n in (8000, 3000)]
    waveform = np.full((2, 9000, 1), np.nan, np.float32)
    for row, clip in zip(waveform, clips, strict=True):
        row[: clip.shape[1]] = clip[0]
    adapt_normalization(plain, clips)
    adapt_normalization(ragged, [{"waveform": waveform, "n_samples": np.int32([8000, 3000])}])
    for name in ("mean", "std"):
        learnt, expected = (
            getattr(x.get_layer("band_normalization"), name) for x in (ragged, plain)
        )
        np.testing.assert_allclose(learnt, expected, rtol=1e-4, atol=1e-5)


def test_it_is_fitted_in_two_parts_as_the_log_mel_is(model):
    waveform = noise(2, 5000)
    embeddings = front_end(model)(waveform)
    assert embeddings.shape == (2, 4, SIZE, 1)
    together = scores_of(model, {"waveform": waveform})
    for name, value in scores_of(back_end(model), embeddings).items():
        np.testing.assert_allclose(value, together[name], atol=1e-6)


@pytest.mark.parametrize("dtype", ["mixed_bfloat16", "mixed_float16"])
def test_low_precision_answers_alike_in_float32(model, tiny_encoder, dtype):
    twin = audio_branch(3, encoder=tiny_encoder, dtype=dtype)
    twin.set_weights(model.get_weights())
    inputs = {"waveform": noise(2, 3200)}
    expected = scores_of(model, inputs)
    for name, value in scores_of(twin, inputs).items():
        assert value.dtype == np.float32
        np.testing.assert_allclose(value, expected[name], atol=0.03)


@pytest.fixture(scope="module")
def on_yamnet(models_cache):
    return branch(yamnet)


def test_what_learns_on_yamnet_is_the_recurrent_layer_and_the_end(on_yamnet):
    def count(model):
        return sum(int(np.prod(variable.shape)) for variable in model.trainable_variables)

    gru = 2 * (1024 * 300 + 100 * 300 + 2 * 300)  # both directions, three gates of 100 units
    assert count(on_yamnet) == gru + 201 * 3
    assert (
        count(audio_branch(17, pooling=attention, encoder=yamnet)) == gru + 2 * 201 * 17 == 682_434
    )


def test_on_yamnet_ten_seconds_give_a_hundred_frames(on_yamnet):
    scores = scores_of(on_yamnet, {"waveform": noise(1, 160_000)})
    assert scores["clip"].shape == (1, 3) and scores["frame"].shape == (1, 100, 3)


def test_saved_and_exported_it_answers_the_same_elsewhere(on_yamnet, tmp_path):
    waveform = noise(2, 20_000)
    expected = scores_of(on_yamnet, {"waveform": waveform})
    save_bundle(tmp_path / "bundle", Bundle(on_yamnet, LabelSet.of("abc"), np.float32([0.5] * 3)))
    bundle = load_bundle(tmp_path / "bundle")
    assert not bundle.model.get_layer("encoder").trainable_variables
    for name, value in scores_of(bundle.model, {"waveform": waveform}).items():
        np.testing.assert_array_equal(value, expected[name])
    export_saved_model(bundle, tmp_path / "export")
    np.save(tmp_path / "waveform.npy", waveform)
    done = run_process(program("asking_an_encoder", tmp_path))
    assert done.returncode == 0, done.stderr
    exported = np.load(tmp_path / "exported.npz")
    for name, value in expected.items():
        np.testing.assert_allclose(exported[name], value, atol=1e-5)
    np.testing.assert_array_equal(exported["fired"], exported["clip"] >= bundle.thresholds)


@pytest.mark.parametrize("is_ragged", [False, True])
def test_it_can_be_the_audio_of_a_fusion(model, ragged, tiny_encoder, is_ragged):
    audio = audio_branch(3, encoder=tiny_encoder, ragged=is_ragged)
    audio.set_weights(model.get_weights())
    fused = fused_model(audio, video_branch(3, similarities=np.eye(5, 3)))
    inputs = {
        "waveform": noise(2, 3000),
        "image_probabilities": np.full((2, 4, 5), 0.2, np.float32),
        "has_audio": np.array([True, True]),
        "has_video": np.array([True, False]),
        "n_samples": np.int32([3000, 3000]),
    }
    inputs = {name: inputs[name] for name in fused.input}
    alone = scores_of(model, {"waveform": inputs["waveform"]})
    got = scores_of(fused, inputs)
    np.testing.assert_allclose(got["audio"], alone["clip"], atol=1e-6)
    np.testing.assert_array_equal(got["clip"][1], got["audio"][1])
    assert got["frame"].shape == (2, 2, 3)
    if is_ragged:
        return
    before = audio.get_weights()
    compile_for_clips(fused, "adam")
    fused.train_on_batch(inputs, {"clip": np.ones((2, 3), np.float32)})
    for old, new in zip(before, audio.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
