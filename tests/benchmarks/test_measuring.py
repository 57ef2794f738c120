"""Contenders run in turn, as often as they may."""

import pytest

from benchmarks import measuring
from benchmarks.contest import ContenderError, Contest, Reading


@pytest.fixture
def ran():
    return []


def contest(ran, names, **options):
    def run_of(name):
        def run():
            ran.append(name)
            return Reading(float(len(ran)))

        return run

    return Contest("job", {name: run_of(name) for name in names}, (), **options)


def test_rounds_are_interleaved_and_every_second_goes_backwards(ran):
    measuring.measure(contest(ran, "abc", rounds=2, warm=False))
    assert "".join(ran) == "abccba"


def test_a_first_run_that_warms_up_is_left_out(ran):
    readings = measuring.measure(contest(ran, "ab", rounds=2))
    assert "".join(ran) == "abbaab"
    assert [x.seconds for x in readings["a"]] == [4.0, 5.0]


def test_a_long_first_run_counts(ran, monkeypatch):
    monkeypatch.setattr(measuring, "WARM_SECONDS", 0.0)
    readings = measuring.measure(contest(ran, "a", rounds=1, budget_seconds=0.0))
    assert [x.seconds for x in readings["a"]] == [1.0]


def test_a_contender_beyond_its_budget_has_one_reading_at_least(ran):
    readings = measuring.measure(contest(ran, "ab", rounds=9, budget_seconds=0.0))
    assert {name: len(its) for name, its in readings.items()} == {"a": 1, "b": 1}


def test_a_contender_that_fails_is_left_out_and_told(ran):
    given = contest(ran, "ab", rounds=2)

    def fails():
        raise ContenderError("it does not load")

    told = []
    given = Contest("job", {"a": given.runs["a"], "b": fails}, (), rounds=2)
    readings = measuring.measure(given, told.append)
    assert (len(readings["a"]), readings["b"]) == (2, [])
    assert told == ["job, b: left out: it does not load"]
