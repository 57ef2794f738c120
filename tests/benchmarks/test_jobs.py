"""Jobs run, small and once."""

import pytest

from benchmarks.contest import Reading, rows
from benchmarks.jobs import JOBS
from benchmarks.machine import Rates
from benchmarks.measuring import measure
from benchmarks.place import Place
from benchmarks.results import KEYS


@pytest.fixture
def place(tmp_path):
    place = Place(tmp_path, True, Rates({"float32": 1e11, "bfloat16": 1e11}, 1e10))
    yield place
    place.close_workers()


def test_a_job_from_its_contests_to_its_rows(place):
    (contest,) = JOBS["thresholds"].contests(place)
    (row,) = rows(contest, measure(contest))
    assert tuple(row) == KEYS
    assert row["floor_seconds"] == pytest.approx(17 * 300 * 5 / 2e10, rel=0.01)


def test_pictures_by_their_keyframes_have_an_aim(place):
    contests = list(JOBS["decoding"].contests(place))
    assert [x.job for x in contests[:2]] == ["decoding 10 s of wav", "decoding 10 s of flac"]
    films = [x for x in contests if x.job.startswith("8 pictures")]
    assert [pair.aim for pair in films[0].pairs] == [5.0, None]
    for contest in contests:
        named = {name for pair in contest.pairs for name in (pair.ours, pair.peer)}
        assert named == set(contest.runs)


def test_jobs_are_told_of(place):
    for job in JOBS.values():
        assert job.__doc__ and callable(job.contests)


def test_what_would_take_too_long_is_projected_and_noted(place):
    runs = dict.fromkeys(("fast", "slow", "failed", "new"))
    place.learn({"fast": [Reading(1.0)], "slow": [Reading(12.0), Reading(10.0)], "failed": []}, 2)
    able = place.affordable("job", runs, work=32)
    assert set(able) == {"fast", "failed", "new", "slow, projected"}
    assert able["slow, projected"]() == Reading(160.0)
    assert place.notes == ["job, slow: projected from less work, not run: 160 s"]
    place.learn({"slow, projected": [Reading(1.0)]}, 1)
    assert place.pace["slow"] == 5.0 and "slow, projected" not in place.pace
