"""What is asked for is used, auto takes the fastest, each policy trains; the cost is measured."""

import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf

from mmat.files import InputError
from mmat.labels import MULTI_CLASS, MULTI_LABEL, regression
from mmat.models.audio import audio_branch
from mmat.training.loop import train
from mmat.training.precision import (
    POLICIES,
    TIMED_STEPS,
    WARM_STEPS,
    Cost,
    candidates,
    choose_dtype,
    measure_cost,
    steps_a_second,
    training_rate,
)
from mmat.training.recipe import Recipe
from mmat.training.step import all_finite, clip_loss, training_step

RATES = {"float32": 2.0, "mixed_bfloat16": 1.0, "mixed_float16": 3.0}


def never(dtype):
    raise AssertionError(f"{dtype} was measured")


@pytest.mark.parametrize(("precision", "policy"), POLICIES.items())
def test_what_is_asked_for_is_not_measured(precision, policy):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert choose_dtype(precision, never, has_gpu=True) == policy
    assert keras.dtype_policies.get(policy).name == policy


def test_float16_on_a_cpu_is_allowed_and_warned_of_in_a_line():
    with pytest.warns(UserWarning) as caught:
        assert choose_dtype("float16", never, has_gpu=False) == "mixed_float16"
    assert [str(each.message) for each in caught] == [
        "float16 without a GPU is about a hundred times slower than float32"
    ]


@pytest.mark.parametrize("has_gpu", [False, True])
def test_auto_takes_the_fastest_and_tries_float16_on_a_gpu_alone(has_gpu):
    tried = []

    def rate_of(dtype):
        tried.append(dtype)
        return RATES[dtype]

    assert choose_dtype("auto", rate_of, has_gpu) == ("mixed_float16" if has_gpu else "float32")
    assert tuple(tried) == candidates(has_gpu)
    assert ("mixed_float16" in tried) is has_gpu
    slow = {**RATES, "mixed_bfloat16": 9.0}
    assert choose_dtype("auto", slow.get, has_gpu) == "mixed_bfloat16"


def test_another_precision_is_one_line():
    with pytest.raises(InputError) as error:
        choose_dtype("float64")
    assert str(error.value) == (
        "precision 'float64': choose one of auto, float32, bfloat16, float16"
    )


def test_a_step_that_is_long_is_taken_twice_and_no_more():
    taken = []
    assert steps_a_second(lambda: taken.append(0), seconds=0.0) > 0
    assert len(taken) == 2


N_CLASSES = 17


def short_clips(n_clips):
    rng = np.random.default_rng(0)  # a quarter of a second: float16 takes its time on a CPU
    waveform = rng.uniform(-1, 1, (n_clips, 4000, 1)).astype(np.float32)
    return {"waveform": waveform}, np.eye(n_clips, N_CLASSES, dtype=np.float32)


def taken_steps(dtype, optimizer, n_clips):
    """Take two steps of the real net in a policy; the first loss is held against float32's."""
    inputs, weak_labels = short_clips(n_clips)
    keras.utils.set_random_seed(0)
    model = audio_branch(N_CLASSES, [inputs], dtype=dtype)
    plain = audio_branch(N_CLASSES)
    before = model.get_weights()
    plain.set_weights(before)
    step = training_step(model, optimizer)
    losses = [float(step(inputs, weak_labels)) for _ in range(2)]
    low = dtype.removeprefix("mixed_")
    assert low in {layer.compute_dtype for layer in model._flatten_layers()}
    assert float(clip_loss(plain(inputs), weak_labels)) == pytest.approx(losses[0], rel=2**-6)
    assert np.isfinite(losses).all() and losses[1] < losses[0]
    assert all_finite(model.weights)
    changed = [not np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True)]
    assert sum(changed) == len(model.trainable_weights)


def test_mixed_float16_takes_two_steps_on_four_short_clips_by_a_scaled_loss():
    optimizer = keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam(3e-4))
    taken_steps("mixed_float16", optimizer, n_clips=4)
    # The scale was not too large: no step was passed over.
    assert int(optimizer.step_counter) == int(optimizer.inner_optimizer.iterations) == 2


def test_mixed_bfloat16_takes_two_steps():
    taken_steps("mixed_bfloat16", keras.optimizers.Adam(3e-4), n_clips=2)


@pytest.mark.parametrize("task", [MULTI_LABEL, MULTI_CLASS, regression(0, 1)])
def test_a_rate_is_that_of_the_tasks_own_steps(task):
    batch = {"level": tf.ones((4, 5))}, tf.eye(4, 3)
    measured, expected = small_net(1.0), small_net(1.0)
    rate = training_rate("mixed_float16", lambda dtype: measured, batch, seconds=0, task=task)
    step = training_step(expected, keras.optimizers.Adam(), task=task)
    assert rate > 0 and float(step(*batch)) > float(step(*batch))
    for a, b in zip(measured.get_weights(), expected.get_weights(), strict=True):
        assert np.array_equal(a, b)


def small_net(scale):
    """A dense layer in float16 on levels so high that a scaled loss's gradients overflow."""
    keras.utils.set_random_seed(0)
    level = keras.Input((5,), name="level")
    x = keras.layers.Rescaling(scale)(level)
    x = keras.layers.Dense(3, dtype="mixed_float16")(x)
    clip = keras.layers.Activation("sigmoid", dtype="float32")(x)
    return keras.Model({"level": level}, {"clip": clip})


def test_a_training_in_float16_scales_the_loss_and_passes_over_what_overflows(tmp_path):
    def batches_from(start):
        batch = {"level": tf.random.stateless_uniform((4, 5), (0, 1))}, tf.ones((4, 3))
        return tf.data.Dataset.from_tensors(batch).repeat()

    taken = []
    for scale in (1.0, 1000.0):
        optimizer, model = keras.optimizers.Adam(0.01), small_net(scale)
        before = model.get_weights()
        train(
            model, batches_from, Recipe(4, steps_per_checkpoint=3, checkpoints=1),
            tmp_path / str(scale), lambda model: {"val_loss": 1.0}, optimizer=optimizer,
            log=lambda line: None,
        )  # fmt: skip
        moved = [not np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True)]
        taken.append((int(optimizer.iterations), moved))
    assert taken == [(3, [True, True]), (0, [False, False])]


@pytest.fixture(scope="module")
def training():
    """A model whose step changes weights, moving means, seeds and optimizer, and that step."""
    keras.utils.set_random_seed(0)
    level = keras.Input((5,), name="level")
    x = keras.layers.Dropout(0.5)(keras.layers.BatchNormalization()(level))
    model = keras.Model({"level": level}, {"clip": keras.layers.Dense(3, "sigmoid")(x)})
    optimizer = keras.optimizers.Adam(0.1)
    return model, optimizer, training_step(model, optimizer)


def batches(n_clips=4, count=None):
    rng = np.random.default_rng(0)
    numbers = iter(range(count)) if count is not None else iter(int, 1)
    for _ in numbers:
        yield {"level": tf.constant(rng.random((n_clips, 5), np.float32))}, tf.ones((n_clips, 3))


def values(model, optimizer):
    return [np.asarray(variable).copy() for variable in (*model.variables, *optimizer.variables)]


def unchanged(before, model, optimizer):
    after = values(model, optimizer)
    return [np.array_equal(a, b) for a, b in zip(before, after, strict=True)]


def test_measuring_changes_nothing_that_a_step_changes(training):
    model, optimizer, step = training
    before = values(model, optimizer)
    taken = []

    def counted(*batch):
        taken.append(len(batch[1]))
        return step(*batch)

    cost = measure_cost(model, optimizer, counted, batches(), Recipe(batch_size=4, checkpoints=2))
    assert all(unchanged(before, model, optimizer))
    assert WARM_STEPS < len(taken) <= WARM_STEPS + TIMED_STEPS
    assert (cost.steps, cost.batch_size, cost.clips) == (1000, 4, 4000)
    assert cost.hours == cost.clips / cost.clips_a_second / 3600 > 0
    step(*next(batches()))  # which does change all but the rate
    changed = unchanged(before, model, optimizer).count(True)
    assert changed == 1 and float(optimizer.learning_rate) == np.float32(0.1)
    assert any(variable.name == "seed_generator_state" for variable in model.variables)
    for variable, value in zip((*model.variables, *optimizer.variables), before, strict=True):
        variable.assign(value)


def test_slow_steps_are_timed_from_the_second_on(training):
    taken = []

    def counted(*batch):
        taken.append(batch)
        return training[2](*batch)

    cost = measure_cost(*training[:2], counted, batches(), Recipe(), enough=lambda seconds: True)
    assert len(taken) == 2 and cost.clips_a_second > 0


def test_a_training_gone_on_with_costs_what_is_left(training):
    recipe = Recipe(batch_size=4, steps_per_checkpoint=10, checkpoints=3)
    cost = measure_cost(*training, batches(), recipe, steps_done=12)
    assert (cost.steps, cost.clips) == (18, 72)


@pytest.mark.parametrize("count", [0, WARM_STEPS])
def test_batches_that_end_are_one_line(training, count):
    before = values(*training[:2])
    with pytest.raises(InputError, match="^cost: the batches ended; give a dataset without end$"):
        measure_cost(*training, batches(count=count), Recipe())
    assert all(unchanged(before, *training[:2]))


def test_an_error_in_a_step_leaves_all_as_it_was(training):
    model, optimizer, step = training
    before = values(model, optimizer)

    def failing(*batch):
        step(*batch)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        measure_cost(model, optimizer, failing, batches(), Recipe())
    assert all(unchanged(before, model, optimizer))


def test_the_cost_of_the_paper_reads_as_hours():
    cost = Cost(steps=25_000, batch_size=100, clips_a_second=2_500_000 / 6 / 3600)
    assert cost.hours == pytest.approx(6)
    assert str(cost) == (
        "cost: 2,500,000 clips in 25,000 steps of 100, 115.7 clips a second measured: 6.0 hours"
    )


def test_less_than_an_hour_reads_as_minutes():
    assert str(Cost(steps=60, batch_size=10, clips_a_second=5.0)).endswith("measured: 2.0 minutes")
