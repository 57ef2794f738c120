"""The tagger that starts from names: where it starts, what each part of it reads, how it learns."""

import dataclasses

import keras
import numpy as np
import pytest
import soundfile
import soxr
from scipy.special import expit, logit

import mmat
from mmat.files import InputError
from mmat.labels import MULTI_CLASS, MULTI_LABEL, LabelSet, regression
from mmat.lists.clip import Clip
from mmat.metrics.thresholds import fire
from mmat.models.learnt import (
    NO_EVIDENCE,
    AddedLogits,
    EvidenceStatistics,
    MeanAndMax,
    NamesLogits,
    learnt_models,
    untrained_score,
)
from mmat.models.name_maps import THRESHOLD
from mmat.models.names import zero_shot_bundle
from mmat.pretrained.registry import efficientnet_lite0, yamnet
from mmat.shards.corpus import TRAIN, open_corpus
from mmat.training.tiers import BIAS_RIDGE, Embeddings, Readings, Ridges, fit_weights, loss_of
from tests.models.layer_checks import check_layer
from tests.models.made_learnt import moved
from tests.training.made_sounds import NOISE, TONE, noise, silence, tone, write_sound

pytest_plugins = ["tests.models.tiny_encoder"]

LABELS = LabelSet.of(["Dog", "Bird", "Train horn", "zzqx"])
KNOWN_BY_SOUND = [True, True, True, False]
CLASSES = dataclasses.replace(LABELS, task=MULTI_CLASS)
N_FRAMES, EMBEDDING = 4, 1280
RNG = np.random.default_rng(0)


def random(*shape):
    return RNG.random(shape).astype(np.float32)


def said(model, inputs):
    """What a model answers to those of the inputs that it takes."""
    given = {name: inputs[name] for name in model.input}
    return {name: np.asarray(x) for name, x in model(given, training=False).items()}


def pictures(n_clips, n_frames=N_FRAMES, seed=0):
    """Of each frame surely a bird, a dog, a locomotive or a fish, and an embedding."""
    rng = np.random.default_rng(seed)
    names = rng.dirichlet(np.full(1000, 0.01), (n_clips, n_frames)) / 100
    names += np.eye(1000)[rng.choice([16, 207, 547, 0], (n_clips, n_frames))] * 0.99
    looks = rng.random((n_clips, n_frames, EMBEDDING))
    return {"image_probabilities": np.float32(names), "image_embeddings": np.float32(looks)}


@pytest.fixture(scope="module")
def barks(recordings):
    """Dogs and birds, a second and a half from where each begins: float32 `(8, samples, 1)`."""
    heard = []
    for name in [name for name in sorted(recordings) if name.startswith(("bird-tux", "dog-"))][:8]:
        samples, rate = soundfile.read(recordings[name], always_2d=True)
        waveform = soxr.resample(samples.mean(axis=1), rate, 16_000)
        begins = np.flatnonzero(np.abs(waveform) > np.abs(waveform).max() / 2)[0]
        waveform = waveform[begins : begins + 24_000]
        heard.append(np.pad(waveform, (0, 24_000 - len(waveform))))
    return np.float32(heard)[:, :, None]


@pytest.fixture(scope="module")
def both(models_cache):
    return moved(learnt_models(LABELS, yamnet, efficientnet_lite0))


@pytest.fixture(scope="module")
def ragged(models_cache):
    return moved(learnt_models(LABELS, yamnet, efficientnet_lite0, ragged=True))


@pytest.mark.parametrize("with_mask", [False, True])
def test_layers_over_time(with_mask):
    own = [np.array([[True, True, False], [True, False, False]])] * with_mask
    check_layer(EvidenceStatistics, {"margin": 0.01}, [random(2, 3, 4), *own])
    check_layer(MeanAndMax, {}, [random(2, 3, 4), *own])


@pytest.mark.parametrize("ridges", [(0.0, 0.0, 0.0), (0.5, np.inf, 2.0), (np.inf, 1.0, np.inf)])
def test_layers_of_logits(ridges):
    check_layer(NamesLogits, {"ridges": ridges}, [random(2, 4, 5), random(2, 6)])
    check_layer(NamesLogits, {"ridges": ridges}, [random(2, 4, 5)])
    check_layer(AddedLogits, {}, [random(2, 4), random(2, 4)])


def test_statistics_are_what_their_definition_says():
    evidence, margin = random(2, 3, 4), 0.01
    competing = evidence**2 / evidence.max(axis=-1, keepdims=True)
    found = np.asarray(EvidenceStatistics(margin)(evidence))
    np.testing.assert_allclose(untrained_score(found[..., 0]), competing.mean(axis=1), atol=1e-6)
    logs = np.log(evidence + margin)
    for place, pooled in ((1, logs.mean(axis=1)), (2, logs.max(axis=1))):
        np.testing.assert_allclose(found[..., place], pooled, atol=1e-5)
        for c in range(4):
            lead = pooled[:, c] - np.delete(pooled, c, axis=1).max(axis=1)
            np.testing.assert_allclose(found[..., c, place + 2], lead, atol=1e-5)


def test_a_layer_of_an_older_model_has_no_kin():
    older = {"name": "sound_statistics", "margin": 0.01, "threshold": THRESHOLD}
    assert EvidenceStatistics.from_config(older).kin == []


def test_new_it_decides_as_the_untrained_tagger(models_cache, barks):
    """Of a single patch, and of pictures of equal length, both pool the same."""
    untrained = zero_shot_bundle(LABELS)
    new = learnt_models(LABELS, yamnet, efficientnet_lite0).tagger
    n_clips, yes = len(barks), np.ones(len(barks), bool)
    inputs = {"waveform": barks[:, :12_800], "has_audio": yes, "has_video": yes}
    inputs |= pictures(n_clips, n_frames=8)
    expected, found = said(untrained.model, inputs), said(new, inputs)
    for sense in ("audio", "video"):
        scores = untrained_score(logit(found[sense].astype(np.float64)))
        np.testing.assert_allclose(scores, expected[sense], atol=2e-6)
        fired = fire(expected[sense], untrained.thresholds)
        assert fired.any()
        np.testing.assert_array_equal(found[sense] >= 0.5, fired)
    summed = logit(found["audio"]) + logit(found["video"])
    np.testing.assert_allclose(found["clip"], expit(summed), atol=1e-5)


def test_a_picture_alone_is_judged_as_its_frame_is(both):
    inputs = pictures(2) | {"waveform": np.zeros((2, 19_200, 1), np.float32)}
    inputs |= {"has_audio": np.zeros(2, bool), "has_video": np.ones(2, bool)}
    frames = said(both.tagger, inputs)["video_frame"]
    for n in range(N_FRAMES):  # each is held for three of twelve steps
        one = inputs | {name: inputs[name][:, n : n + 1] for name in pictures(1)}
        alone = said(both.tagger, one)["clip"]
        held = frames[:, 3 * n : 3 * n + 3]
        np.testing.assert_allclose(held, alone[:, None].repeat(3, axis=1), atol=1e-5)


def test_a_patch_alone_is_judged_as_its_frames_are(models_cache, barks):
    tagger = moved(learnt_models(LABELS, yamnet)).tagger
    hop, window = yamnet.hop_samples, yamnet.window_samples
    frames = logit(said(tagger, {"waveform": barks[:, : window + hop]})["frame"])
    patches = [barks[:, p * hop : p * hop + window] for p in range(2)]
    logits = [logit(said(tagger, {"waveform": patch})["clip"]) for patch in patches]
    centres = (np.arange(frames.shape[1]) + 0.5) * 1600 - window / 2
    later = np.clip(centres / hop, 0, 1)[None, :, None]
    assert (later == 0).any() and (later == 1).any()
    expected = (1 - later) * logits[0][:, None] + later * logits[1][:, None]
    np.testing.assert_allclose(frames, expected, atol=2e-3)


def test_both_senses_are_added_and_one_alone_is_left_as_it_is(both, barks):
    has = {"has_audio": np.array([True, True, False, False])}
    has |= {"has_video": np.array([True, False, True, False])}
    together, heard, seen, neither = range(4)
    inputs = pictures(4) | {"waveform": barks[:4]} | has
    found = said(both.tagger, inputs)
    one = said(both.tagger, {name: x[[0] * 4] for name, x in inputs.items()} | has)
    logits = {name: logit(x[together].astype(np.float64)) for name, x in found.items()}
    added = {
        end: 0.7 * logits[f"audio{end}"] + 1.2 * logits[f"video{end}"] - 0.3
        for end in ("", "_frame")
    }
    frames = np.where(KNOWN_BY_SOUND, logits["audio_frame"], added["_frame"])
    np.testing.assert_allclose(logits["clip"], added[""], atol=1e-3)
    np.testing.assert_allclose(logits["frame"], frames, atol=1e-3)
    for name, audio, video in (("clip", "audio", "video"), ("frame", "audio_frame", "video_frame")):
        np.testing.assert_array_equal(found[name][heard], found[audio][heard])
        np.testing.assert_array_equal(found[name][seen], found[video][seen])
        np.testing.assert_array_equal(one[name][heard], one[audio][together])
        np.testing.assert_array_equal(one[name][seen], one[video][together])
        assert not found[name][neither].any()
        assert not found[video][heard].any() and not found[audio][seen].any()
    assert not found["sound_probabilities"][seen].any()


def test_a_sense_that_is_absent_may_hold_anything(both, barks):
    has = {"has_audio": np.array([True, False]), "has_video": np.array([False, True])}
    inputs = pictures(2) | {"waveform": barks[:2]} | has
    swapped = {name: np.stack([x[0], inputs[name][1]]) for name, x in pictures(2, seed=1).items()}
    swapped["waveform"] = np.stack([barks[0], barks[2]])
    expected, found = said(both.tagger, inputs), said(both.tagger, inputs | swapped)
    for name, scores in expected.items():
        np.testing.assert_array_equal(found[name], scores, err_msg=name)


def test_padding_changes_nothing(ragged, barks):
    lengths = [24_000, 9_000, 17_000, 0]
    waveform = barks[:4].copy()
    for row, n in zip(waveform, lengths, strict=True):
        row[n:] = 0
    inputs = pictures(4) | {"waveform": waveform, "n_samples": np.int32(lengths)}
    inputs |= {"has_audio": np.array(lengths) > 0, "has_video": np.ones(4, bool)}
    found = said(ragged.tagger, inputs)
    for i, n in enumerate(lengths[:3]):
        alone = {name: x[i : i + 1] for name, x in inputs.items()}
        alone["waveform"] = alone["waveform"][:, :n]
        for name, scores in said(ragged.tagger, alone).items():
            if name == "sound_probabilities":
                continue
            own = found[name][i : i + 1, : scores.shape[1]]
            np.testing.assert_allclose(own, scores, atol=1e-5, err_msg=name)
            assert not found[name][i, scores.shape[1] :].any()
    # A clip without sound is judged by its pictures, for as long as the batch.
    np.testing.assert_array_equal(found["frame"][3], found["video_frame"][3])
    assert found["frame"][3].all() and not found["audio_frame"][3].any()


def frozen_inputs(n_clips, n_patches=3, seed=0):
    rng = np.random.default_rng(seed)
    heard = rng.dirichlet(np.full(521, 0.02), (n_clips, n_patches))
    embeddings = rng.random((n_clips, n_patches, 1024))
    return pictures(n_clips, seed=seed) | {
        "sound_scores": np.float32(heard),
        "sound_embeddings": np.float32(embeddings),
        "n_patches": np.full(n_clips, n_patches, np.int32),
        "has_audio": np.ones(n_clips, bool),
        "has_video": np.ones(n_clips, bool),
    }


def test_patches_behind_a_clips_own_count_for_nothing(both):
    inputs = frozen_inputs(2) | {"n_patches": np.int32([1, 2])}
    own = np.arange(3)[:, None] < inputs["n_patches"][:, None, None]
    names = ("sound_scores", "sound_embeddings")
    changed = inputs | {name: np.where(own, inputs[name], np.float32(9)) for name in names}
    expected, found = said(both.frozen, inputs), said(both.frozen, changed)
    for name, scores in expected.items():
        np.testing.assert_array_equal(found[name], scores, err_msg=name)
    short = {name: x[:1] for name, x in inputs.items()}
    short |= {name: short[name][:, :1] for name in names}
    np.testing.assert_allclose(said(both.frozen, short)["clip"], expected["clip"][:1], atol=1e-6)


def test_frozen_outputs_give_what_the_waveform_gives(both, barks):
    n_clips, yes = len(barks), np.ones(len(barks), bool)
    heard = [yamnet.encode(waveform[:, 0]) for waveform in barks]
    scores, embeddings = (np.float32(np.float16(x)) for x in zip(*heard, strict=True))
    has = {"has_audio": yes, "has_video": np.arange(n_clips) % 2 > 0}
    inputs = pictures(n_clips) | {"waveform": barks} | has
    kept = inputs | {"sound_scores": scores, "sound_embeddings": embeddings}
    kept["n_patches"] = np.full(n_clips, scores.shape[1], np.int32)
    expected, found = said(both.tagger, inputs), said(both.frozen, kept)
    assert set(found) == {"clip", "audio", "video"}
    for name, rounded in found.items():
        np.testing.assert_allclose(rounded, expected[name], atol=3e-3, err_msg=name)
    np.testing.assert_array_equal(found["video"], expected["video"])


def test_labels_without_names_start_from_nothing(models_cache, tiny_encoder):
    unnamed = LabelSet.of(["zzqx", "Quarterly tax return"])
    read = said(learnt_models(unnamed, yamnet, efficientnet_lite0).features, frozen_inputs(2))
    for sense in ("audio", "video"):
        np.testing.assert_allclose(read[f"{sense}_statistics"][..., 0], NO_EVIDENCE, atol=1e-5)
        assert not read[f"{sense}_statistics"][..., 3:].any()  # nothing leads


def test_a_network_without_names_brings_embeddings_alone(tiny_encoder, tmp_path):
    models = learnt_models(LABELS, tiny_encoder)
    waveform = RNG.normal(0, 0.1, (2, 4000, 1)).astype(np.float32)
    assert said(models.tagger, {"waveform": waveform})["clip"].max() < 0.05
    moved(models)
    expected = said(models.tagger, {"waveform": waveform})
    assert np.ptp(expected["clip"], axis=0).all() and "sound_probabilities" not in expected
    models.tagger.save(tmp_path / "tagger.keras")
    again = keras.models.load_model(tmp_path / "tagger.keras", safe_mode=True)
    for name, scores in said(again, {"waveform": waveform}).items():
        np.testing.assert_array_equal(scores, expected[name])


def test_one_label_alone_leads_nobody(models_cache):
    models = learnt_models(LabelSet.of(["Dog"]), yamnet, efficientnet_lite0)
    read = said(models.features, frozen_inputs(2))
    assert read["audio_statistics"].shape == (2, 1, 5)
    assert not read["audio_statistics"][..., 3:].any()
    assert said(models.frozen, frozen_inputs(2))["clip"].shape == (2, 1)


@pytest.mark.parametrize("labels", [LABELS, CLASSES])
def test_the_order_of_labels_is_of_no_matter(labels, models_cache):
    order = [2, 0, 3, 1]
    other = dataclasses.replace(LabelSet.of(labels.names[c] for c in order), task=labels.task)
    models = moved(learnt_models(labels, yamnet, efficientnet_lite0))
    permuted = learnt_models(other, yamnet, efficientnet_lite0)
    for sense, branch in models.branches.items():
        weights = {x.name: x.numpy() for x in branch.weights}
        for name in ("offset", "slope", "kernel"):
            weights[name] = weights[name][..., order]
        permuted.branches[sense].set_weights([weights[x.name] for x in branch.weights])
    permuted.fusion.set_weights(models.fusion.get_weights())
    expected, found = said(models.frozen, frozen_inputs(3)), said(permuted.frozen, frozen_inputs(3))
    for name, scores in expected.items():
        np.testing.assert_allclose(found[name], scores[:, order], atol=1e-5, err_msg=name)
        if labels.task == MULTI_CLASS:
            np.testing.assert_allclose(scores.sum(axis=1), 1, atol=1e-5)


def test_what_has_no_names_to_start_from_is_refused():
    with pytest.raises(InputError, match="without a network"):
        learnt_models(LABELS)
    with pytest.raises(InputError, match="values"):
        learnt_models(dataclasses.replace(LABELS, task=regression(0, 1)), yamnet)


@pytest.fixture(scope="module")
def tones(tmp_path_factory, models_cache):
    """Tones, noises and all but silence of different lengths, heard by YAMNet."""
    folder, clips = tmp_path_factory.mktemp("tones"), []
    for seed in range(6):
        for label, make in ((TONE, tone), (NOISE, noise), ("", silence)):
            name = f"{label or 'nothing'}-{seed}.wav"
            write_sound(folder / name, make(1 + seed / 4, seed))
            clips.append(Clip(name, name, (label,) * bool(label), split=TRAIN))
    options = {"clip_seconds": None, "audio_encoder": "yamnet", "workers": 0, "progress": False}
    mmat.prepare(clips, folder, folder / "shards", LabelSet.of([TONE, NOISE]), **options)
    return open_corpus(folder / "shards", hold_out=False)


@pytest.mark.parametrize("ridges", [Ridges(1.0, 3.0, 1.0), Ridges(1.0, np.inf, 1.0)])
def test_fit_comes_to_the_weights_of_least_loss(tones, ridges):
    """Those that `mmat.training.tiers` finds in float64, of clips that all count alike."""
    n_terms = 18 * 2  # clips and labels, over which Keras takes the mean
    scaled_down = tuple(x / n_terms for x in dataclasses.astuple(ridges))
    models = learnt_models(tones.labels, yamnet, ragged=True, ridges=scaled_down)
    batches = tones.batches(TRAIN, 32, models.frozen.input)
    (inputs, targets), = batches  # fmt: skip
    truth = targets["clip"].numpy().astype(np.float64)
    read = said(models.features, inputs)
    readings = Readings(read["audio_statistics"], truth, [()] * 18)
    every = np.ones(18)
    embeddings = Embeddings.of(read["audio_pooled"], every)
    scaled, loss = embeddings.scaled(read["audio_pooled"]), loss_of(MULTI_LABEL)
    best = fit_weights(readings, scaled, every, MULTI_LABEL, ridges)

    branch = models.branches["audio"]
    branch.center.assign(embeddings.center)
    branch.spread.assign(embeddings.spread)
    start = {x.name: x.numpy() for x in branch.weights}
    rate = keras.optimizers.schedules.CosineDecay(0.03, 400)
    models.frozen.compile(keras.optimizers.Adam(rate), tones.loss)
    losses = models.frozen.fit(batches.cache(), epochs=400, verbose=0).history["loss"]

    def least(weights, logits):
        sums = loss(logits, truth)[0].sum() + BIAS_RIDGE * weights.bias**2 / 2
        pulls = [ridges.shared, ridges.own, 4 * ridges.own, ridges.residual]
        parts = [weights.shared, weights.offset, weights.slope, weights.kernel]
        squares = zip(pulls, [(part**2).sum() for part in parts], strict=True)
        return (sums + sum(x * square / 2 for x, square in squares if square)) / n_terms

    lowest = least(best, best.logits(readings.statistics, scaled))
    assert losses[0] > 2 * lowest
    assert losses[-1] == pytest.approx(lowest, rel=0.01)
    moved_from = {x.name for x in branch.weights if (x.numpy() != start[x.name]).any()}
    own = {"offset", "slope"} if np.isfinite(ridges.own) else set()
    assert moved_from == {"shared", "bias", "kernel"} | own
    np.testing.assert_allclose(
        logit(said(models.frozen, inputs)["clip"]),
        best.logits(readings.statistics, scaled),
        atol=0.3,
    )
