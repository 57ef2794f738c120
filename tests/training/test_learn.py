"""Learning from names: equal to the untrained tagger without clips, and no worse with them."""

import numpy as np
import pytest

import mmat
from mmat.files import InputError
from mmat.labels import MULTI_CLASS, MULTI_LABEL, LabelSet, regression
from mmat.lists.clip import Clip
from mmat.metrics.ranking import roc_auc
from mmat.metrics.tagging import mean_average_precision
from mmat.models.learnt import NO_EVIDENCE
from mmat.models.names import zero_shot_bundle
from mmat.models.predict import predict
from mmat.shards.corpus import open_corpus
from mmat.training.learn import (
    SOUND_ALONE,
    Frozen,
    combined,
    learn,
    learn_weights,
    models_of,
    put_weights,
    read_frozen,
    to_scores,
    untrained_scores,
)
from tests.training.made_sounds import NOISE, TONE, noise, silence, tone, write_sound

SOUND = ("audio",)


def prepared(folder, clips, labels, **options):
    shards = folder / "shards"
    options = {"audio_encoder": "yamnet", "workers": 0, "progress": False} | options
    mmat.prepare(clips, folder, shards, labels, **options)
    return open_corpus(shards, hold_out=False)


@pytest.fixture(scope="module")
def tones(tmp_path_factory, models_cache):
    """Tones and noises of six sources each to learn from, and two to test, as long as they are."""
    folder, clips = tmp_path_factory.mktemp("tones"), []
    for seed in range(8):
        split = "test" if seed in (2, 5) else "train"  # pitches between those that are learnt
        for label, make in ((TONE, tone), (NOISE, noise), ("", silence)):
            name = f"{label or 'nothing'}-{seed}.wav"
            write_sound(folder / name, make(1 + seed / 4, seed))
            clips.append(Clip(name, name, (label,) * bool(label), split=split))
    labels = LabelSet.of([TONE, NOISE])
    return prepared(folder, clips, labels, clip_seconds=None)


def made(
    n_groups: int,
    n_classes: int = 3,
    clips_each: int = 2,
    named: float = 2.0,
    embedded: float = 0.0,
    seed: int = 0,
    senses=SOUND,
) -> Frozen:
    """Clips of one label each, from as many sources a label.

    named, embedded: how far evidence, and embeddings, of a label lie above those of the others.
    """
    rng = np.random.default_rng(seed)
    label = np.repeat(np.arange(n_classes), n_groups * clips_each)
    truth = np.eye(n_classes, dtype=np.float32)[label]
    n_clips = len(label)
    groups = [(f"{row // clips_each}",) for row in range(n_clips)]
    directions = np.random.default_rng(99).normal(size=(n_classes, 20))
    statistics, pooled = {}, {}
    for sense in senses:
        evidence = named * truth - 2 + rng.normal(size=truth.shape)
        two = np.sort(evidence, axis=1)[:, -2:]
        lead = evidence - np.where(evidence >= two[:, 1:], two[:, :1], two[:, 1:])
        statistics[sense] = np.stack([evidence, evidence, evidence, lead, lead], axis=-1)
        pooled[sense] = embedded * directions[label] + rng.normal(size=(n_clips, 20))
    present = {sense: np.ones(n_clips, bool) for sense in senses}
    ids = [str(row) for row in range(n_clips)]
    return Frozen(ids, truth, groups, present, statistics, pooled)


def mean_auc(truth, scores) -> float:
    """The mean area under the ROC curves of the classes."""
    pairs = zip((truth > 0).T, np.float32(scores).T, strict=True)
    return float(np.mean([roc_auc(*pair) for pair in pairs]))


def quality(learnt, clips: Frozen) -> float:
    return mean_auc(clips.truth, learnt.scores(clips))


def untrained_quality(clips: Frozen) -> float:
    return mean_auc(clips.truth, untrained_scores(clips))


def test_without_a_training_clip_it_is_the_untrained_tagger_to_the_last_digit(
    tmp_path, models_cache
):
    write_sound(tmp_path / "tone.wav", tone(2.0))
    labels = LabelSet.of([TONE, "Quarterly tax return", NOISE])
    corpus = prepared(tmp_path, [Clip("a", "tone.wav", (TONE,), split="test")], labels)
    learnt = learn(corpus)
    untrained = zero_shot_bundle(labels)
    np.testing.assert_array_equal(learnt.bundle.thresholds, untrained.thresholds)
    data = {
        "waveform": np.float32(tone(2.0))[None, :, None],
        "image_probabilities": np.zeros((1, 8, 1000), np.float32),
        "has_audio": np.array([True]),
        "has_video": np.array([False]),
    }
    found, expected = (predict(each.model, data) for each in (learnt.bundle, untrained))
    for name, output in expected.items():
        np.testing.assert_array_equal(found[name], output)
    assert learnt.ids == [] and learnt.chosen == {} and learnt.frozen is None


def test_tones_and_noises_are_told_apart_in_sources_that_were_not_learnt(tones):
    learnt = learn(tones)
    assert len(learnt.ids) == 18 and learnt.truth.shape == learnt.scores.shape == (18, 2)
    assert np.isfinite(learnt.scores).all()  # every file is a source of its own
    arrays = tones.arrays("test", ["waveform", "n_samples", *learnt.frozen.input])
    found = predict(learnt.bundle.model, arrays)["clip"]
    np.testing.assert_allclose(predict(learnt.frozen, arrays)["clip"], found, atol=0.01)
    np.testing.assert_array_equal(found >= learnt.bundle.thresholds, arrays["weak_labels"] > 0)


def test_the_models_compute_what_was_learnt_from_frozen_outputs_and_from_waveforms(tones):
    models = models_of(tones)
    clips = read_frozen(models, tones, "train")
    learnt = learn_weights(clips, tones.task)
    put_weights(models, learnt)
    expected = learnt.scores(clips)
    arrays = tones.arrays("train", ["waveform", "n_samples", *models.frozen.input])
    assert arrays["ids"] == clips.ids
    frozen = predict(models.frozen, arrays)
    np.testing.assert_allclose(frozen["clip"], expected, atol=1e-5)
    np.testing.assert_array_equal(frozen["clip"], frozen["audio"])
    live = predict(models.tagger, arrays)
    # Kept embeddings are rounded to 16 bits.
    np.testing.assert_allclose(live["clip"], expected, atol=0.01)


def test_names_that_are_right_are_kept_with_a_few_clips_and_with_many():
    test = made(40, named=3.0, seed=1)
    untrained = untrained_quality(test)
    for n_groups in (1, 2, 5, 20):
        learnt = learn_weights(made(n_groups, named=3.0), MULTI_LABEL)
        assert quality(learnt, test) > untrained - 0.02, n_groups


def test_names_that_say_nothing_are_overcome_by_embeddings_with_enough_sources():
    test = made(40, named=0.0, embedded=1.0, seed=1)
    assert untrained_quality(test) < 0.6
    found = [
        quality(learn_weights(made(n, named=0.0, embedded=1.0), MULTI_LABEL), test)
        for n in (1, 4, 16)
    ]
    assert found[0] < found[1] < found[2] and found[2] > 0.95


def test_ten_thousand_clips_of_a_source_count_no_more_than_two():
    few, many = (
        learn_weights(made(3, clips_each=n, embedded=1.0, seed=2), MULTI_LABEL) for n in (2, 200)
    )
    test = made(20, embedded=1.0, seed=1)
    few, many = (np.abs(x.branches["audio"].weights.kernel).sum() for x in (few, many))
    assert many < 2 * few
    assert test.truth.shape == (120, 3)


def test_the_order_of_clips_does_not_matter():
    clips, test = made(6, embedded=0.5), made(10, embedded=0.5, seed=1)
    order = np.random.default_rng(0).permutation(len(clips.ids))
    one, other = (learn_weights(each, MULTI_LABEL) for each in (clips, clips.rows(order)))
    np.testing.assert_allclose(one.scores(test), other.scores(test), atol=2e-3)


def test_a_class_without_a_name_starts_at_its_rate():
    clips = made(6)
    clips.statistics["audio"][:, 2, 0] = NO_EVIDENCE
    clips.statistics["audio"][:, 2, 1:] = 0
    clips.pooled["audio"][:] = 0  # nothing else to learn from
    scores = learn_weights(clips, MULTI_LABEL).scores(clips)
    assert abs(scores[:, 2].mean() - 1 / 3) < 0.1 and scores[:, 2].std() < 0.15


def test_scores_out_of_fold_are_probabilities():
    clips = made(60, named=2.0, clips_each=1)
    learnt = learn_weights(clips, MULTI_LABEL)
    scores = to_scores(MULTI_LABEL, learnt.held_out)
    assert abs(scores.mean() - clips.truth.mean()) < 0.02
    high = scores > np.quantile(scores, 0.8)
    assert abs(clips.truth[high].mean() - scores[high].mean()) < 0.12


def test_a_sense_that_says_nothing_counts_less_in_the_sum():
    clips = made(30, named=3.0, senses=("audio", "video"))
    noise_alone = made(30, named=0.0, seed=5)
    clips.statistics["video"][:] = noise_alone.statistics["audio"]
    learnt = learn_weights(clips, MULTI_LABEL)
    heard, seen = (learnt.scores(clips, senses) for senses in (("audio",), ("video",)))
    both = learnt.scores(clips)
    assert mean_auc(clips.truth, both) > mean_auc(clips.truth, heard) - 0.01
    assert np.abs(seen - seen.mean(axis=0)).mean() < np.abs(heard - heard.mean(axis=0)).mean()


@pytest.mark.parametrize("seed", range(3))
def test_pictures_are_used_where_they_help_and_left_out_where_they_do_not(seed):
    """What is kept is at least as good, out of fold, as the sound alone."""
    helpful = made(30, named=1.5, seed=seed, senses=("audio", "video"))
    learnt = learn_weights(helpful, MULTI_LABEL)
    assert learnt.pictures["low"] > 0 and min(learnt.fusion[:2]) > 0
    misleading = made(30, named=3.0, seed=seed, senses=("audio", "video"))
    noise_alone = made(30, named=0.0, seed=5 + seed)
    misleading.statistics["video"][:] = noise_alone.statistics["audio"]
    learnt = learn_weights(misleading, MULTI_LABEL)
    left_out = learnt.pictures["estimate"] < 0
    assert left_out == (learnt.fusion == SOUND_ALONE)
    heard, both = (learnt.scores(misleading, x) for x in (("audio",), ("audio", "video")))
    if left_out:
        np.testing.assert_array_equal(both, heard)
    sound = learnt.pictures["untrained"]
    held_out = to_scores(MULTI_LABEL, learnt.held_out)
    known = np.isfinite(held_out).all(axis=1)
    kept = mean_average_precision(misleading.truth[known] > 0, np.float32(held_out[known]))
    assert kept >= sound - 1e-6


def test_a_clip_with_one_sense_gets_exactly_its_branch_and_one_with_neither_nothing():
    logits = {"audio": np.array([[1.0], [2.0], [3.0], [4.0]]), "video": np.full((4, 1), 0.5)}
    present = {
        "audio": np.array([True, True, False, False]),
        "video": np.array([True, False, True, False]),
    }
    found = combined(logits, present, (2.0, 1.0, -1.0))
    np.testing.assert_array_equal(found[:3, 0], [1.5, 2.0, 0.5])
    assert np.isnan(found[3, 0])


def test_classes_that_exclude_each_other_have_shares():
    clips, test = made(8, embedded=1.0), made(10, embedded=1.0, seed=1)
    learnt = learn_weights(clips, MULTI_CLASS)
    scores = learnt.scores(test)
    np.testing.assert_allclose(scores.sum(axis=1), 1, atol=1e-6)
    right = (scores.argmax(axis=1) == test.truth.argmax(axis=1)).mean()
    names = (untrained_scores(test).argmax(axis=1) == test.truth.argmax(axis=1)).mean()
    assert right >= names


def test_shards_without_frozen_outputs_and_values_are_refused(tmp_path):
    write_sound(tmp_path / "tone.wav", tone(1.0))
    clips = [Clip("a", "tone.wav", (TONE,))]
    corpus = prepared(tmp_path, clips, LabelSet.of([TONE, NOISE]), audio_encoder=None)
    with pytest.raises(InputError, match="--audio-encoder"):
        learn(corpus)
    values = LabelSet(("joy",), task=regression(-3, 3))
    clips = [Clip("a", "tone.wav", ("joy",), values=(1.0,))]
    (tmp_path / "other").mkdir()
    write_sound(tmp_path / "other" / "tone.wav", tone(1.0))
    corpus = prepared(tmp_path / "other", clips, values)
    with pytest.raises(InputError, match="values"):
        learn(corpus)
