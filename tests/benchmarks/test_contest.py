"""Readings become rows: medians, ratios, what is multiplied up, memory."""

import pytest

from benchmarks.contest import MEGABYTES, Contest, Pair, Reading, row, rows
from benchmarks.results import KEYS

READINGS = {
    "mmat": [Reading(0.2, 300.0), Reading(0.1, 320.0), Reading(0.4, 310.0)],
    "peer": [Reading(1.0, 930.0), Reading(3.0, 930.0)],
}


def test_a_row_has_the_keys_of_the_results_and_the_ratio_of_the_medians():
    found = row("job", Pair("mmat", "peer", aim=5.0, floor_seconds=0.05), READINGS)
    assert tuple(found) == KEYS
    assert found["ours_seconds"] == {"min": 0.1, "median": 0.2, "max": 0.4}
    assert found["peer_seconds"] == {"min": 1.0, "median": 2.0, "max": 3.0}
    assert (found["ratio"], found["aim"], found["floor_seconds"]) == (10.0, 5.0, 0.05)


def test_a_part_of_the_work_is_multiplied_up():
    found = row("job", Pair("mmat", "peer", ours_times=10, peer_times=3), READINGS)
    assert found["ours_seconds"]["median"] == 2.0
    assert found["peer_seconds"]["median"] == 6.0
    assert found["ratio"] == 3.0


def test_memory_is_not_multiplied_up_and_the_seconds_stay():
    pair = Pair("mmat", "peer", measured=MEGABYTES, peer_times=100)
    found = row("job", pair, READINGS)
    assert found["ratio"] == 3.0
    assert found["ours_megabytes"] == {"min": 300.0, "median": 310.0, "max": 320.0}
    assert found["peer_seconds"]["median"] == 200.0


def test_a_pair_without_readings_makes_no_row():
    pairs = [Pair("mmat", "peer", job="named"), Pair("mmat", "absent"), Pair("failed", "peer")]
    contest = Contest("contest", {}, pairs)
    assert [x["job"] for x in rows(contest, READINGS | {"failed": []})] == ["named"]


def test_a_ratio_below_one_says_that_ours_is_worse():
    found = row("job", Pair("peer", "mmat"), READINGS)
    assert found["ratio"] == pytest.approx(0.1)
