"""Results that are kept, joined and read; and those that are committed."""

import json
import pathlib

import pytest

from benchmarks.results import KEYS, finished, joined, read_results, write_json
from mmat.files import InputError

COMMITTED = pathlib.Path(__file__).parents[2] / "benchmarks" / "results.json"
MACHINE = {"cpu": "a", "cores": 2}


def job(rate: float) -> dict:
    spread = {"min": 1.0, "median": 2.0, "max": 3.0}
    sides = {"ours_seconds": spread, "peer_seconds": spread}
    row = {"job": "a", "ours": "b", "peer": "c", **sides, "ratio": 1.0}
    return {
        "machine": MACHINE,
        "rates": {"float32_gigaflops": rate},
        "load_before": 0.5,
        "results": [row | {"aim": None, "floor_seconds": 0.1}],
        "notes": [f"note {rate}"],
    }


def test_jobs_are_joined_with_the_median_of_their_rates():
    whole = joined(MACHINE, [job(10.0), job(40.0), job(20.0)])
    assert whole["machine"] == MACHINE | {"float32_gigaflops": 20.0, "load_before": [0.5] * 3}
    assert len(whole["results"]) == 3
    assert whole["notes"] == ["note 10.0", "note 40.0", "note 20.0"]


def test_a_finished_job_is_kept_on_the_same_machine_alone(tmp_path):
    path = tmp_path / "deep" / "job.json"
    assert finished(path, MACHINE) is None
    write_json(path, job(10.0))
    assert finished(path, MACHINE) == job(10.0)
    assert finished(path, MACHINE | {"cores": 4}) is None
    path.write_text("{")
    assert finished(path, MACHINE) is None


@pytest.mark.parametrize(
    "text, says",
    [
        (None, "no results yet"),
        ("{", "no file of results"),
        ('{"results": [{"job": "a"}]}', "no file of results"),
        ('{"results": []}', "holds no results"),
    ],
)
def test_bad_results_are_told_in_a_line(tmp_path, text, says):
    path = tmp_path / "results.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(InputError, match=says) as error:
        read_results(path)
    assert "\n" not in str(error.value)


def test_the_committed_results_are_in_form():
    results = json.loads(COMMITTED.read_text())
    assert set(results) == {"machine", "results", "notes"}
    for row in results["results"]:
        assert [key for key in row if key in KEYS] == list(KEYS)  # memory is told besides
        measured = "megabytes" if "ours_megabytes" in row else "seconds"
        sides = [row[f"{side}_{measured}"] for side in ("ours", "peer")]
        for spread in sides:
            assert 0 < spread["min"] <= spread["median"] <= spread["max"]
        assert row["ratio"] == pytest.approx(sides[1]["median"] / sides[0]["median"], rel=0.01)
