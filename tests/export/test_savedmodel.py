"""The signatures of a bundle in memory."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mmat.export.savedmodel import decided, serve
from mmat.labels import MULTI_CLASS, MULTI_LABEL, LabelSet, regression
from mmat.metrics.decisions import decide
from mmat.models.audio import SPEECH_BLOCKS, audio_branch
from mmat.models.bundle import Bundle, load_bundle
from mmat.models.features import SPEECH_MEL
from mmat.models.fusion import fused_model
from mmat.models.names import zero_shot_bundle
from mmat.models.video import video_branch
from mmat.pretrained.registry import imagenet_labels
from tests.export.wavs import RATE_HZ, decode, samples, wav

pytest_plugins = ["tests.export.tiny"]


@pytest.fixture(scope="module")
def fused(bundles):
    return load_bundle(bundles["fused"])


def test_sound_alone_is_what_an_absent_picture_leaves(fused):
    served = serve(fused)
    written = samples(8000, 2)
    waveform = decode(wav(written))
    expected = served.signatures["serving_default"](
        waveform=waveform,
        frames=tf.zeros((1, 1, 9, 7, 3), tf.uint8),
        has_audio=tf.constant([True]),
        has_video=tf.constant([False]),
    )
    for found in (
        served.signatures["audio_only"](waveform=waveform),
        served.signatures["tag_wav"](wav=tf.constant(wav(written))),
    ):
        assert set(found) == set(expected)
        for name, output in expected.items():
            np.testing.assert_allclose(found[name], output, atol=1e-6, err_msg=name)
        assert not found["image_probabilities"].numpy().any()


def test_each_bundle_has_the_signatures_of_its_senses(bundles, fused):
    for name, more in {
        "audio": {"audio_only", "tag_wav"},
        "video": {"label_maps"},
        "fused": {"audio_only", "tag_wav", "label_maps"},
    }.items():
        signatures = serve(load_bundle(bundles[name])).signatures
        assert set(signatures) == {"serving_default", "labels"} | more


@pytest.mark.parametrize("kind", ["audio", "fused"])
def test_the_log_mel_is_in_float32_where_one_asks(bundles, kind):
    bundle = load_bundle(bundles[kind])
    asked, trained = (serve(bundle, float32).signatures["audio_only"] for float32 in (True, False))
    noise = np.float32(np.random.default_rng(0).normal(0, 0.1, (2, 8000, 1)))
    expected, found = trained(waveform=tf.constant(noise)), asked(waveform=tf.constant(noise))
    for name, output in expected.items():
        np.testing.assert_allclose(found[name], output, atol=1e-5, err_msg=name)
    assert not _is_wide(asked) and _is_wide(trained)


def _is_wide(graph) -> bool:
    """Return whether a graph computes complex numbers of float64."""
    definition = graph.graph.as_graph_def()
    functions = definition.library.function
    nodes = [*definition.node, *(node for each in functions for node in each.node_def)]
    kinds = {value.type for node in nodes for value in node.attr.values()}
    return tf.complex128.as_datatype_enum in kinds


def test_label_maps_name_the_image_networks_labels(fused):
    facts = serve(fused).signatures["label_maps"]()
    names = [name.decode() for name in facts["image_labels"].numpy()]
    assert names == [synonyms[0] for synonyms in imagenet_labels()]
    label_map = next(x for x in fused.model._flatten_layers() if x.name == "label_map")
    np.testing.assert_array_equal(facts["image_similarities"], label_map.map)


def test_a_zero_shot_bundle_has_both_its_maps(models_cache):
    served = serve(zero_shot_bundle(LabelSet.of(["Dog", "Siren"])))
    facts = served.signatures["label_maps"]()
    names = [name.decode() for name in facts["sound_labels"].numpy()]
    similarities = facts["sound_similarities"].numpy()
    assert similarities.shape == (521, 2) and facts["image_similarities"].shape == (1000, 2)
    assert [names[i] for i in similarities.argmax(axis=0)] == ["Dog", "Siren"]
    assert float(facts["sound_hop_seconds"]) == pytest.approx(0.48)
    assert float(facts["sound_window_seconds"]) == pytest.approx(0.975)
    outputs = served.signatures["audio_only"](waveform=tf.zeros((1, RATE_HZ, 1)))
    assert names[int(outputs["sound_probabilities"].numpy()[0].max(axis=0).argmax())] == "Silence"
    assert not outputs["fired"].numpy().any()


@pytest.fixture(scope="module")
def ragged_branch():
    return audio_branch(3, mel=SPEECH_MEL, blocks=SPEECH_BLOCKS, ragged=True, task=MULTI_CLASS)


def test_a_model_of_ragged_batches_hears_whole_waveforms(ragged_branch):
    """A clip of a batch with padding has the scores that it has alone without."""
    labels = LabelSet(("a", "b", "c"), task=MULTI_CLASS)
    served = serve(Bundle(ragged_branch, labels, np.ones(3, np.float32)))
    lengths, rng = [32000, 20800], np.random.default_rng(0)
    waveform = np.zeros((2, max(lengths), 1), np.float32)
    for row, n in zip(waveform, lengths, strict=True):
        row[:n, 0] = rng.normal(0, 0.1, n)
    expected = ragged_branch({"waveform": waveform, "n_samples": np.int32(lengths)})
    for i, n in enumerate(lengths):
        found = served.signatures["serving_default"](waveform=tf.constant(waveform[i : i + 1, :n]))
        for name in ("clip", "frame"):
            alone = expected[name][i : i + 1, : found[name].shape[1]]
            np.testing.assert_allclose(found[name], alone, atol=1e-6, err_msg=name)


def test_a_fused_model_of_ragged_batches_works_with_either_sense(ragged_branch):
    seeing = video_branch(
        3, similarities=np.random.default_rng(0).random((1000, 3)), task=MULTI_CLASS
    )
    model = fused_model(ragged_branch, seeing)
    labels = LabelSet(("a", "b", "c"), task=MULTI_CLASS)
    served = serve(Bundle(model, labels, np.ones(3, np.float32), "efficientnet_lite0"))
    rng = np.random.default_rng(1)
    waveform = rng.normal(0, 0.1, (3, 16000, 1)).astype(np.float32)
    has = {"has_audio": np.array([True, True, False]), "has_video": np.array([True, False, True])}
    frames = rng.integers(0, 256, (3, 2, 60, 60, 3), np.uint8)
    found = served.signatures["serving_default"](
        waveform=tf.constant(waveform),
        frames=tf.constant(frames),
        **{name: tf.constant(x) for name, x in has.items()},
    )
    n_samples = np.int32([16000, 16000, 0])  # as in training, where the sound is absent
    seen = {"image_probabilities": found["image_probabilities"].numpy()}
    expected = model({"waveform": waveform, "n_samples": n_samples} | has | seen)
    for name, output in expected.items():
        np.testing.assert_allclose(found[name], output, atol=1e-6, err_msg=name)
    np.testing.assert_array_equal(found["fired"].numpy().sum(axis=1), [1, 1, 1])


@settings(max_examples=50, deadline=None)
@given(
    # TensorFlow takes subnormal numbers for 0.
    clip=arrays(np.float32, (4, 3), elements=st.floats(0, 1, width=32, allow_subnormal=False)),
    task=st.sampled_from([MULTI_LABEL, MULTI_CLASS, regression(0, 1)]),
)
def test_a_graph_decides_as_the_metrics_do(clip, task):
    thresholds = np.float32([0.0, 0.5, 1.0])
    expected = decide(task, clip, thresholds)
    np.testing.assert_array_equal(decided(task, tf.constant(clip), thresholds), expected)
