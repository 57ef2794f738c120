"""The training step that is lowered here and run on another machine."""

import importlib.util
import sys

import numpy as np
import pytest

from benchmarks.gpu import lower
from tests.processes import PROGRAMS, run_process

RUN = PROGRAMS.parents[1] / "benchmarks" / "gpu" / "run.py"


@pytest.fixture(scope="module")
def step(tmp_path_factory):
    name = tmp_path_factory.mktemp("gpu") / "step"
    lower.main(["--batch", "1", str(name)])
    return name


def test_the_program_and_its_parameters_are_written(step):
    assert step.with_suffix(".hlo").stat().st_size > 100_000
    with np.load(step.with_suffix(".npz"), allow_pickle=False) as kept:
        values = [kept[f"p{i}"] for i in range(len(kept.files))]
    waveform, weak_labels, number, *rest = values
    assert waveform.shape == (1, lower.N_SAMPLES, 1) and weak_labels.shape == (1, lower.N_CLASSES)
    n_weights = 14  # of three convolutions, a GRU in both directions, the frames' layer
    weights, means, squares = (rest[i * n_weights : (i + 1) * n_weights] for i in range(3))
    assert number == 1.0 and np.any(weights[0])
    for moments in (means, squares):
        assert [m.shape for m in moments] == [w.shape for w in weights]
        assert not any(map(np.any, moments))


@pytest.mark.skipif(importlib.util.find_spec("jax") is not None, reason="JAX is here")
def test_without_jax_one_line_says_so(step):
    done = run_process([sys.executable, str(RUN), str(step)])
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr == "run.py: JAX is missing; install it for this device, as jax[cuda13]\n"
