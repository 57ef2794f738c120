"""How far labels move a branch from its names: the minimum, the folds, what data can overcome."""

import dataclasses

import numpy as np
import pytest
import scipy.optimize
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, logit

from mmat.labels import MULTI_CLASS, MULTI_LABEL
from mmat.lists.splits import connected_groups, group_folds
from mmat.models.learnt import NO_EVIDENCE
from mmat.training import tiers
from mmat.training.learn import unnamed_offsets
from mmat.training.tiers import (
    DEFAULT_RIDGES,
    INFINITY,
    Embeddings,
    FreeTiers,
    Readings,
    Ridges,
    binary_loss,
    calibration,
    choose_ridges,
    clip_weights,
    curvature,
    fit_weights,
    held_out_logits,
    loss_of,
    matched_bias,
)

TASKS = pytest.mark.parametrize("task", [MULTI_LABEL, MULTI_CLASS])
FREE = Ridges(0.3, 2.0, 0.1)


def made(n_clips: int, n_classes: int = 3, size: int = 6, said=None, named: float = 3.0, seed=0):
    """Clips of one label and a source each, and their embeddings, which know the label by halves.

    said: the class whose evidence a clip of each class has, by default its own.
    """
    rng = np.random.default_rng(seed)
    label = np.arange(n_clips) % n_classes
    truth = np.eye(n_classes)[label]
    heard = truth if said is None else np.eye(n_classes)[np.asarray(said)[label]]
    evidence = named * heard - 2 + rng.normal(size=truth.shape)
    statistics = np.stack([evidence, evidence, evidence, *2 * [_lead(evidence)]], axis=-1)
    directions = np.random.default_rng(7).normal(size=(n_classes, size))
    pooled = directions[label] + rng.normal(size=(n_clips, size))
    return Readings(statistics, truth, [(f"{row}",) for row in range(n_clips)]), pooled


def _lead(evidence):
    two = np.sort(evidence, axis=1)[:, -2:]
    return evidence - np.where(evidence >= two[:, 1:], two[:, :1], two[:, 1:])


def scaled_of(readings, pooled):
    weights = clip_weights(readings.truth, readings.groups)
    return weights, Embeddings.of(pooled, weights).scaled(pooled)


def ridged_loss(readings, scaled, weights, task, ridges, found):
    """The sum that `fit_weights` is to make least, in its own words."""
    logits = (1 + found.slope) * readings.statistics[..., 0] + found.bias + found.offset
    logits = logits + readings.statistics[..., 1:] @ found.shared + scaled @ found.kernel
    losses, _ = loss_of(task)(logits, readings.truth)
    own = {"offset": ridges.own, "slope": tiers.SLOPE_RIDGES * ridges.own}
    parts = {"shared": ridges.shared, "kernel": ridges.residual} | own
    pulled = sum(x / 2 * (getattr(found, name) ** 2).sum() for name, x in parts.items())
    return (weights @ losses).sum() + pulled + tiers.BIAS_RIDGE / 2 * found.bias**2


def loss_out_of_fold(readings, scaled, task, ridges, start=0.0):
    logits = held_out_logits(readings, scaled, task, ridges, group_folds(readings.groups), start)
    return loss_of(task)(logits, readings.truth)[0].sum(axis=1).mean()


@TASKS
def test_at_the_weights_found_the_loss_is_level(task):
    readings, pooled = made(30)
    weights, scaled = scaled_of(readings, pooled)
    found = fit_weights(readings, scaled, weights, task, FREE)
    lowest = ridged_loss(readings, scaled, weights, task, FREE, found)
    for name in ("shared", "bias", "offset", "slope", "kernel"):
        value = np.asarray(getattr(found, name), float)
        for place in np.ndindex(value.shape):
            step = np.zeros(value.shape)
            step[place] = 1e-4
            up, down = (
                ridged_loss(readings, scaled, weights, task, FREE,
                            dataclasses.replace(found, **{name: value + x}))
                for x in (step, -step)
            )  # fmt: skip
            assert abs(up - down) / 2e-4 < 1e-2, (name, place)
            assert min(up, down) > lowest - 1e-6


@TASKS
def test_gradient_and_curvature_are_those_of_the_loss(task):
    readings, pooled = made(12)
    _, scaled = scaled_of(readings, pooled)
    vector = FreeTiers(readings.statistics, scaled, FREE)
    rng = np.random.default_rng(3)
    values, step = rng.normal(size=(2, len(vector.pulls)))
    loss = loss_of(task)

    def at(values):
        losses, slopes = loss(vector.logits(values), readings.truth)
        return losses.sum(), vector.gradient(slopes)

    (up, up_slopes), (down, down_slopes) = at(values + 1e-5 * step), at(values - 1e-5 * step)
    assert (up - down) / 2e-5 == pytest.approx(at(values)[1] @ step, rel=1e-6)
    _, slopes = loss(vector.logits(values), readings.truth)
    bent = curvature(slopes + readings.truth, vector.logits(step), task)
    np.testing.assert_allclose((up_slopes - down_slopes) / 2e-5, vector.gradient(bent), atol=1e-5)


def test_another_optimizer_finds_the_same_minimum():
    readings, pooled = made(40)
    weights, scaled = scaled_of(readings, pooled)
    vector = FreeTiers(readings.statistics, scaled, FREE)
    other = scipy.optimize.minimize(
        lambda x: ridged_loss(readings, scaled, weights, MULTI_LABEL, FREE, vector.weights(x)),
        np.zeros(len(vector.pulls)),
        options={"gtol": 1e-4},
    )
    found = fit_weights(readings, scaled, weights, MULTI_LABEL, FREE)
    np.testing.assert_allclose(
        found.logits(readings.statistics, scaled),
        vector.weights(other.x).logits(readings.statistics, scaled),
        atol=2e-2,
    )


@TASKS
def test_infinite_ridges_hold_their_tier_at_0(task):
    readings, pooled = made(30)
    weights, scaled = scaled_of(readings, pooled)
    parts = {"shared": ("shared",), "own": ("offset", "slope"), "residual": ("kernel",)}
    for tier, names in parts.items():
        ridges = dataclasses.replace(FREE, **{tier: INFINITY})
        found = fit_weights(readings, scaled, weights, task, ridges)
        for name in ("shared", "offset", "slope", "kernel"):
            assert np.any(getattr(found, name)) == (name not in names)
    nothing = fit_weights(readings, scaled, weights, task, Ridges(*[INFINITY] * 3))
    np.testing.assert_allclose(
        nothing.logits(readings.statistics, scaled),
        readings.statistics[..., 0] + nothing.bias,
        atol=1e-12,
    )


@pytest.mark.parametrize("tier, name", [("shared", "shared"), ("own", "offset"),
                                        ("residual", "kernel")])  # fmt: skip
def test_a_growing_ridge_draws_its_tier_to_0(tier, name):
    readings, pooled = made(30)
    weights, scaled = scaled_of(readings, pooled)
    lengths = [
        np.linalg.norm(getattr(fit_weights(
            readings, scaled, weights, MULTI_LABEL, dataclasses.replace(FREE, **{tier: ridge})
        ), name))
        for ridge in (0.01, 0.1, 1.0, 10.0, 100.0, 1e4)
    ]  # fmt: skip
    assert all(np.diff(lengths) < 0) and lengths[-1] < 0.01 * lengths[0]


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.integers(0, 3)), min_size=1, max_size=20))
def test_each_source_counts_once_a_label(clips):
    groups = [[group] for group, _ in clips]
    truth = np.eye(4)[[label for _, label in clips]]
    weights = clip_weights(truth, groups)
    for pair in set(clips):
        assert sum(weights[row] for row, own in enumerate(clips) if own == pair) == pytest.approx(1)


@TASKS
def test_ten_copies_of_each_clip_give_the_weights_of_one(task):
    readings, pooled = made(18)
    _, scaled = scaled_of(readings, pooled)
    rows = np.repeat(np.arange(18), 10)
    copies = readings.rows(rows)
    counted, of_copies = (clip_weights(x.truth, x.groups) for x in (readings, copies))
    one = fit_weights(readings, scaled, counted, task, FREE)
    ten = fit_weights(copies, scaled[rows], of_copies, task, FREE)
    for name in ("shared", "offset", "slope", "kernel"):
        np.testing.assert_allclose(getattr(one, name), getattr(ten, name), atol=1e-3)
    assert of_copies.sum() == pytest.approx(counted.sum())
    learnt, copied = (Embeddings.of(x, np.ones(len(x))) for x in (pooled, pooled[rows]))
    np.testing.assert_allclose(learnt.center, copied.center, rtol=1e-5)
    assert learnt.spread == pytest.approx(copied.spread, rel=1e-5)


def test_embeddings_keep_distances_in_their_directions_and_weights_come_back():
    rng = np.random.default_rng(0)
    for n_clips, size in ((8, 30), (60, 30)):
        pooled = rng.normal(size=(n_clips, size))
        embeddings = Embeddings.of(pooled, np.ones(n_clips))
        scaled = embeddings.scaled(pooled)
        assert scaled.shape[1] <= min(n_clips, size)
        assert np.square(scaled).sum(axis=1).mean() == pytest.approx(1, rel=1e-5)
        whole = (pooled - embeddings.center) / embeddings.spread
        np.testing.assert_allclose(scaled @ scaled.T, whole @ whole.T, atol=1e-5)
        kernel = rng.normal(size=(scaled.shape[1], 2))
        np.testing.assert_allclose(scaled @ kernel, whole @ embeddings.unscaled(kernel), atol=1e-4)


def test_of_more_directions_the_strongest_are_kept(monkeypatch):
    monkeypatch.setattr(tiers, "MOST_DIRECTIONS", 2)
    spread = np.array([9.0, 1.0, 4.0, 0.1])
    pooled = np.random.default_rng(0).normal(size=(500, 4)) * spread
    embeddings = Embeddings.of(np.float16(pooled), np.ones(500))
    strongest = np.abs(embeddings.basis).argmax(axis=0)
    assert sorted(strongest) == [0, 2] and embeddings.basis.dtype == np.float32


GROUPS = st.lists(st.lists(st.sampled_from("abcdefghij"), max_size=2), min_size=1, max_size=40)


@given(GROUPS, st.integers(2, 6))
@settings(deadline=None)
def test_no_group_is_on_both_sides_of_a_fold(groups, n_folds):
    held = []
    for learnt, held_out in group_folds(groups, n_folds):
        there = [{name for row in rows for name in groups[row]} for rows in (learnt, held_out)]
        assert not there[0] & there[1]
        assert not set(learnt) & set(held_out)
        held += held_out.tolist()
    assert len(held) == len(set(held))


@given(st.lists(st.sampled_from(["a", "b", "c", "d", ""]), min_size=2, max_size=40))
@settings(deadline=None)
def test_clips_of_one_group_each_are_held_out_exactly_once(names):
    groups = [[name] if name else [] for name in names]
    if len(set(connected_groups(groups))) < 2:
        assert group_folds(groups) == []
        return
    held = np.concatenate([held_out for _, held_out in group_folds(groups)])
    assert sorted(held) == list(range(len(groups)))


@given(GROUPS, st.randoms(use_true_random=False))
@settings(deadline=None)
def test_folds_of_named_groups_do_not_depend_on_the_order_of_clips(groups, random):
    groups = [own or ["alone"] for own in groups]
    order = list(range(len(groups)))
    random.shuffle(order)
    one = {frozenset(held.tolist()) for _, held in group_folds(groups)}
    two = group_folds([groups[row] for row in order])
    assert one == {frozenset(order[row] for row in held) for _, held in two}


LIAR = [1, 0, 2]  # clips of class 0 have evidence for class 1, and the reverse


def learnt_f(said, n_clips, ridges=None):
    """How many of 300 new clips the weights learnt decide right, and the names alone."""
    readings, pooled = made(n_clips, said=said)
    weights = clip_weights(readings.truth, readings.groups)
    embeddings = Embeddings.of(pooled, weights)
    scaled = embeddings.scaled(pooled)
    ridges = ridges or choose_ridges(readings, scaled, MULTI_LABEL).ridges
    found = fit_weights(readings, scaled, weights, MULTI_LABEL, ridges)
    new, new_pooled = made(300, said=said, seed=1)
    logits = found.logits(new.statistics, embeddings.scaled(new_pooled))
    label = new.truth.argmax(axis=1)
    names = new.statistics[..., 0].argmax(axis=1)
    return (logits.argmax(axis=1) == label).mean(), (names == label).mean()


def test_a_name_that_lies_is_overcome_with_enough_clips():
    few, names = learnt_f(LIAR, 3)
    many, _ = learnt_f(LIAR, 300)
    assert names < 0.45
    assert many > 0.85 and many > few


def test_names_that_are_right_are_kept_with_few_clips():
    few, names = learnt_f(None, 3)
    assert names > 0.85 and few > names - 0.02


def test_a_class_without_a_name_starts_at_its_rate():
    readings, pooled = made(400)
    readings.truth[::2, 2] = 0
    readings.statistics[:, 2] = NO_EVIDENCE
    weights, scaled = scaled_of(readings, pooled)
    start = unnamed_offsets(readings, weights)
    assert start[:2].tolist() == [0, 0]
    found = fit_weights(readings, scaled, weights, MULTI_LABEL, Ridges(*[INFINITY] * 3), start)
    scores = expit(found.logits(readings.statistics, scaled)[:, 2] - found.bias)
    np.testing.assert_allclose(scores, readings.truth[:, 2].mean(), atol=2e-3)


def test_two_classes_of_one_name_are_told_apart_by_the_residual():
    """Both have the same evidence, in clips of either."""
    readings, pooled = made(300)
    both = np.maximum(readings.statistics[:, 0], readings.statistics[:, 1])
    readings.statistics[:, 0] = readings.statistics[:, 1] = both
    scaled = scaled_of(readings, pooled)[1]
    choice = choose_ridges(readings, scaled, MULTI_LABEL)
    assert np.isfinite(choice.ridges.residual)
    among = readings.truth[:, :2].any(axis=1)
    right = choice.logits[among, :2].argmax(axis=1) == readings.truth[among, :2].argmax(axis=1)
    assert right.mean() > 0.75
    held = Ridges(residual=INFINITY)
    blind = held_out_logits(readings, scaled, MULTI_LABEL, held, group_folds(readings.groups))
    right = blind[among, :2].argmax(axis=1) == readings.truth[among, :2].argmax(axis=1)
    assert right.mean() < 0.65


@pytest.mark.parametrize("said", [None, LIAR])
def test_each_tier_that_is_let_go_helps_where_the_truth_is_in_it(said):
    """The default's loss out of fold, and that of names alone with a bias, on 300 sources."""
    readings, pooled = made(300, said=said)
    scaled = scaled_of(readings, pooled)[1]
    ladder = [Ridges(*[INFINITY] * 3), Ridges(residual=INFINITY, own=INFINITY),
              Ridges(residual=INFINITY), DEFAULT_RIDGES]  # fmt: skip
    losses = [loss_out_of_fold(readings, scaled, MULTI_LABEL, ridges) for ridges in ladder]
    assert losses[0] > losses[1] and losses[2] > losses[3]
    assert losses[2] < losses[1] + 0.01


def test_more_sources_lower_the_loss_out_of_fold_where_a_name_lies():
    losses = []
    for n_clips in (30, 100, 400):
        readings, pooled = made(n_clips, said=LIAR)
        scaled = scaled_of(readings, pooled)[1]
        losses.append(loss_out_of_fold(readings, scaled, MULTI_LABEL, DEFAULT_RIDGES))
    assert losses[0] > 1.5 * max(losses[1:])


def test_a_large_corpus_chooses_on_some_of_its_clips_and_holds_all_out(monkeypatch):
    readings, pooled = made(240)
    scaled = scaled_of(readings, pooled)[1]
    whole = choose_ridges(readings, scaled, MULTI_LABEL)
    monkeypatch.setattr(tiers, "MOST_CHOSEN_ON", 120)
    some = choose_ridges(readings, scaled, MULTI_LABEL)
    assert np.isfinite(some.logits).all() and some.losses != whole.losses
    folds = group_folds(readings.groups)
    again = held_out_logits(readings, scaled, MULTI_LABEL, some.ridges, folds)
    np.testing.assert_array_equal(some.logits, again)


@pytest.mark.parametrize("scale, bias", [(0.5, 1.0), (2.0, -0.7)])
def test_calibration_finds_a_known_scale_and_bias(scale, bias):
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 2, size=(20_000, 2))
    truth = (rng.random(logits.shape) < expit(scale * logits + bias)).astype(float)
    logits[:50] = np.nan
    found = calibration(logits, truth, np.ones(20_000), binary_loss)
    np.testing.assert_allclose(found, (scale, bias), atol=0.06)


@given(st.floats(0.01, 0.99), st.integers(0, 1000))
@settings(deadline=None, max_examples=30)
def test_matched_bias_makes_the_scores_sum_to_the_labels(rate, seed):
    rng = np.random.default_rng(seed)
    logits, truth = rng.normal(0, 3, (200, 3)), rng.random((200, 3)) < rate
    bias = matched_bias(logits, truth)
    if 0 < truth.mean() < 1:
        assert expit(logits + bias).sum() == pytest.approx(truth.sum(), rel=1e-6)
    constant = matched_bias(np.zeros((200, 3)), truth)
    if 0 < truth.mean() < 1:
        assert constant == pytest.approx(logit(truth.mean()), abs=1e-6)
