"""Decoding processes: order, start-up, and one that dies costs one file."""

import concurrent.futures
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import soundfile

from mmat.data.decoding import DecodingProcess, decode


@pytest.fixture
def jobs(tmp_path):
    """Ten sound files; file i is i + 1 tenths of a second long, number 3 is missing."""
    for i in range(10):
        if i != 3:
            soundfile.write(tmp_path / f"{i}.wav", np.full(1600 * (i + 1), 0.5), 16000)
    return [{"path": tmp_path / f"{i}.wav"} for i in range(10)]


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_answers_come_in_the_order_of_the_jobs(jobs, workers):
    answers = list(decode(jobs, workers))
    assert answers.pop(3) == f"{jobs[3]['path']}: no such file"
    lengths = [len(media.waveform) for media in answers]
    assert lengths == [1600 * (i + 1) for i in range(10) if i != 3]


def test_jobs_are_drawn_as_they_are_needed(jobs):
    drawn = []
    answers = decode((drawn.append(job) or job for job in jobs * 20), workers=1)
    next(answers)
    assert len(drawn) <= 5
    answers.close()


def test_workers_import_neither_tensorflow_nor_the_script(jobs, tmp_path):
    """A plain script, without the guard that multiprocessing asks for, may decode."""
    script = tmp_path / "script.py"
    script.write_text(
        "import sys\n"
        "print('begun')\n"
        "from mmat.data.decoding import decode\n"
        f"(media,) = decode([{{'path': {str(jobs[0]['path'])!r}}}], workers=1)\n"
        "print(len(media.waveform), 'tensorflow' in sys.modules)\n"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, script], capture_output=True, text=True, timeout=60, env=environment
    )
    assert (done.stdout, done.stderr) == ("begun\n1600 False\n", "")


def test_a_process_that_dies_costs_one_file(jobs):
    process = DecodingProcess()
    try:
        assert len(process.decode(jobs[1]).waveform) == 3200
        first = process.pid
        os.kill(first, signal.SIGSTOP)
        with concurrent.futures.ThreadPoolExecutor(1) as thread:
            answer = thread.submit(process.decode, jobs[2])
            time.sleep(0.1)
            os.kill(first, signal.SIGKILL)
            reason = answer.result(timeout=20)
        assert reason == f"{jobs[2]['path']}: the decoding process died of it (exit status -9)"
        assert len(process.decode(jobs[2]).waveform) == 4800
        assert process.pid != first
    finally:
        process.close()
