import json
import signal

import numpy as np
import pytest

from mmat.files import InputError
from mmat.training.distributed import make_strategy
from tests.training import worker_runs

STEPS = 40  # a callback of the chief ends the training then, ten steps before the recipe does


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """What two workers made of a training, and the folder that they did it in."""
    folder = tmp_path_factory.mktemp("workers")
    statuses = worker_runs.exit_statuses(worker_runs.start_workers(folder, False))
    assert statuses == [0, 0], logs(folder)
    return folder, results(folder)


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    return worker_runs.short_training(tmp_path_factory.mktemp("alone"))


def logs(folder) -> str:
    return "\n".join((folder / f"{index}.log").read_text() for index in range(2))


def results(folder) -> list[dict]:
    return [np.load(folder / f"results-{index}.npz") for index in range(2)]


def errors(folder, index: int) -> list[str]:
    lines = (folder / f"{index}.log").read_text().splitlines()
    return [line for line in lines if line.startswith("error: ")]


@pytest.mark.parametrize("what", ["losses", "weights", "optimizer"])
def test_two_workers_train_as_one_does(trained, alone, what):
    for worker in trained[1]:
        np.testing.assert_allclose(worker[what], alone[what], atol=1e-5)


def test_every_step_has_the_loss_of_the_whole_batch(trained, alone):
    chief, other = trained[1]
    assert len(chief["step_losses"]) == STEPS
    np.testing.assert_allclose(chief["step_losses"], alone["step_losses"], atol=1e-5)
    assert not len(other["step_losses"])  # callbacks are the chief's


def test_workers_are_the_same_bit_for_bit_and_halve_the_rate_by_the_chief_s_figures(trained):
    chief, other = trained[1]
    np.testing.assert_array_equal(chief["weights"], other["weights"])
    for worker in (chief, other):
        np.testing.assert_allclose(worker["rates"], [0.05, 0.05, 0.025, 0.0125])


def test_the_chief_alone_writes_and_says(trained):
    folder = trained[0]
    assert sorted(path.name for path in folder.glob("run-*")) == ["run-0"]
    assert "checkpoint 4 of 5" in (folder / "0.log").read_text()
    assert "checkpoint" not in (folder / "1.log").read_text()


def test_a_training_that_loses_workers_goes_on_to_the_same_end(tmp_path):
    def run(folder, incident=None):
        processes = worker_runs.start_workers(folder, True, incident)
        return worker_runs.exit_statuses(processes)

    (whole := tmp_path / "whole").mkdir()
    assert run(whole) == [0, 0], logs(whole)
    chief, other = results(whole)
    np.testing.assert_array_equal(chief["weights"], other["weights"])

    (broken := tmp_path / "broken").mkdir()
    # The cost is measured on 13 batches from where a training begins; incidents come after them.
    assert run(broken, (1, 15, "SIGKILL")) == [2, -signal.SIGKILL], logs(broken)
    (error,) = errors(broken, 0)
    assert "worker 1 (127.0.0.1:" in error
    assert "does not answer" in error
    assert error.endswith("start all workers again, they go on from step 10")

    assert run(broken, (1, 25, "SIGTERM")) == [143, 143], logs(broken)
    assert "goes on from step 10" in (broken / "0.log").read_text()
    for index in range(2):
        said = (broken / f"{index}.log").read_text()
        assert "stopped by SIGTERM and saved at step 26" in said

    assert run(broken, (0, 39, "SIGKILL")) == [-signal.SIGKILL, 2], logs(broken)
    (error,) = errors(broken, 1)
    assert "worker 0 (127.0.0.1:" in error
    assert error.endswith("they go on from step 30")

    assert run(broken) == [0, 0], logs(broken)
    for got, expected in zip(results(broken), results(whole), strict=True):
        for what in ("losses", "rates", "weights", "optimizer"):
            np.testing.assert_allclose(got[what], expected[what], atol=1e-5)


def config(workers, kind="worker", index=0) -> str:
    return json.dumps({"cluster": {"worker": workers}, "task": {"type": kind, "index": index}})


@pytest.mark.parametrize(
    "text, why",
    [
        (None, "is not set"),
        ("worker", "is no JSON"),
        ("[]", "lacks"),
        ('{"cluster": {"worker": ["a:1", "b:1"]}}', "lacks"),
        ('{"cluster": ["a:1", "b:1"], "task": {"type": "worker", "index": 0}}', "lacks"),
        (config(["a:1", "b:1"], kind="ps"), "other tasks than workers"),
        (config(["a:1"]), "two workers or more"),
        (config(["a:1", "a:1"]), "each once"),
        (config(["a", "b"]), "HOST:PORT"),
        (config("a:1"), "HOST:PORT"),
        (config(["a:1", "b:1"], index=2), "index 2 for 2 workers"),
        (config(["a:1", "b:1"], index="0"), "index '0' for 2 workers"),
    ],
)
def test_a_cluster_that_is_none_is_told_in_a_line_with_the_form(monkeypatch, text, why):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    if text is not None:
        monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(InputError) as error:
        make_strategy("workers")
    assert why in str(error.value)
    assert "\n" not in str(error.value)
    assert '"task": {"type": "worker", "index": 0}' in str(error.value)


@pytest.mark.parametrize("devices", ["mirrored", "two"])
def test_devices_that_are_not_there(monkeypatch, devices):
    monkeypatch.setattr("tensorflow.config.list_logical_devices", lambda kind: [])
    with pytest.raises(InputError, match="devices: .*(needs two GPUs|none of one)"):
        make_strategy(devices)
