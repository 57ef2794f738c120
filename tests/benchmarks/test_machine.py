"""The machine's floor: the longer of multiplying and moving."""

import pytest

from benchmarks.machine import Rates, as_rates, facts, product_rate

RATES = Rates({"float32": 1e9, "bfloat16": 4e9}, copied_bytes=1e9)


def test_multiplying_and_moving_go_on_at_once():
    assert RATES.floor_seconds(2e9, 1e9) == 2.0
    assert RATES.floor_seconds(2e9, 6e9) == 3.0
    assert RATES.floor_seconds(2e9, dtype="bfloat16") == 0.5


def test_rates_are_told_in_operations():
    told = {"float32_gigaflops": 2.0, "bfloat16_gigaflops": 8.0, "copied_gb_a_second": 1.0}
    assert as_rates(RATES) == told


def test_the_rate_of_products_stops_at_matrices_that_take_long():
    sizes = []

    def run(n):
        sizes.append(n)
        return lambda: None

    assert product_rate(run, enough_seconds=-1.0) > 0
    assert sizes == [256]


def test_facts_are_the_same_each_time():
    assert facts() == facts()
    assert facts()["packages"]["numpy"].count(".") == pytest.approx(2)
