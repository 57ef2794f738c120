"""The cost is counted right, and measuring it changes nothing."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from mmat.files import InputError
from mmat.training.precision import TIMED_STEPS, WARM_STEPS, Cost, measure_cost
from mmat.training.recipe import Recipe
from mmat.training.step import training_step


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
