"""Recipes that make a training, and the checkpoint that is best."""

import math

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from mmat.files import InputError
from mmat.training.recipe import LARGE_LIST, History, Recipe

few = settings(max_examples=50, deadline=None)
COUNTS = ("batch_size", "steps_per_checkpoint", "checkpoints", "patience", "keep")


def test_the_defaults_are_those_of_the_paper():
    recipe = Recipe()
    assert (recipe.batch_size, recipe.learning_rate, recipe.steps_per_checkpoint) == (
        100,
        3e-4,
        500,
    )
    assert (recipe.checkpoints, recipe.steps, recipe.clips) == (50, 25_000, 2_500_000)


@few
@given(st.integers(1, 10**6), st.integers(1, 10**6), st.integers(1, 10**6))
def test_steps_and_clips_are_products(batch_size, steps, checkpoints):
    recipe = Recipe(batch_size, steps_per_checkpoint=steps, checkpoints=checkpoints)
    assert (recipe.steps, recipe.clips) == (steps * checkpoints, batch_size * steps * checkpoints)


@few
@given(st.sampled_from(COUNTS), st.integers(max_value=0) | st.floats(), st.integers(1, 99))
def test_a_count_that_is_none_is_named(name, value, good):
    assert getattr(Recipe(**{name: good}), name) == good
    with pytest.raises(InputError) as error:
        Recipe(**{name: value})
    assert str(error.value) == f"recipe: {name} is {value}; it must be a whole number from 1 up"


@few
@given(st.floats(max_value=0) | st.sampled_from([math.nan, math.inf]))
def test_a_rate_that_learns_nothing_is_named(rate):
    with pytest.raises(InputError) as error:
        Recipe(learning_rate=rate)
    assert str(error.value) == f"recipe: learning_rate is {rate}; it must be above 0"


@few
@given(st.floats() | st.text(), st.integers())
def test_a_seed_is_a_whole_number(value, good):
    assert Recipe(seed=good).seed == good
    with pytest.raises(InputError, match="^recipe: seed is .*; it must be a whole number$"):
        Recipe(seed=value)


figures = st.lists(st.floats() | st.sampled_from([0.25, 0.5]), max_size=8)


@few
@given(figures, st.sampled_from(["val_loss", "loss", "val_f1", "val_map"]))
def test_the_best_is_the_first_of_the_extreme(values, name):
    history = History(name, [{"step": i, name: value} for i, value in enumerate(values)])
    numbers = [value for value in values if not math.isnan(value)]
    if not numbers:
        assert history.best is None
        return
    extreme = min(numbers) if name.endswith("loss") else max(numbers)
    assert history.best == {"step": values.index(extreme), name: extreme}


def test_each_figure_has_its_own_best():
    history = History(
        "val_f1", [{"val_f1": 0.5, "val_loss": 2.0}, {"val_f1": 0.4, "val_loss": 1.0}]
    )
    assert history.best is history.checkpoints[0]
    assert history.best_by("val_loss") is history.checkpoints[1]


def test_a_recipe_follows_the_size_of_the_list():
    assert Recipe.for_list(LARGE_LIST) == Recipe()
    for n_clips in (1, 15, 124, 400, LARGE_LIST - 1):
        recipe = Recipe.for_list(n_clips)
        passes = recipe.steps_per_checkpoint * recipe.batch_size / n_clips
        assert passes >= 1 and (passes < 1.2 or recipe.steps_per_checkpoint == 10)
        assert recipe.clips < Recipe().clips / 9
