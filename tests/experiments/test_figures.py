"""Figures in words; their cells are examples in the module."""

import pytest

from experiments.figures import gain_line


@pytest.mark.parametrize(("name", "said"), [("mae", "below 0 in 97.5 %"), ("pearson", "above 0")])
def test_of_an_error_a_gain_is_below_0(name, said):
    gain = {"estimate": -0.1, "low": -0.2, "high": -0.01, "share_above_zero": 0.025}
    assert said in gain_line({name: gain}, name)
