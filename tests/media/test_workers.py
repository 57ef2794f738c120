"""Decoding processes: order, start-up, and one that dies costs one file."""

import concurrent.futures
import contextlib
import os
import pathlib
import signal
import subprocess
import time

import numpy as np
import pytest
import soundfile

from mmat.files import InputError
from mmat.media.workers import DecodingProcess, decode
from tests.processes import environment, program, run_process


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


def test_workers_import_neither_tensorflow_nor_the_script(jobs):
    """A plain script, without the guard that multiprocessing asks for, may decode."""
    done = run_process(program("decoding_script", jobs[0]["path"]))
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


def alive(pid):
    """Whether a process runs: one that has ended but was not waited for does not."""
    try:
        return open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def workers_of(pid):
    """The numbers of a process's children."""
    children = []
    for thread in pathlib.Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # the thread has ended
            children += map(int, (thread / "children").read_text().split())
    return children


def wait_until(condition, seconds=30.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.fixture(scope="module")
def long_job(tmp_path_factory):
    """A file that takes seconds to decode: half an hour of noise in flac."""
    path = tmp_path_factory.mktemp("long") / "long.flac"
    with soundfile.SoundFile(path, "w", 44100, 2, format="FLAC") as file:
        minute = np.random.default_rng(0).normal(0, 0.1, (44100 * 60, 2))
        for _ in range(30):
            file.write(minute)
    return {"path": path}


def test_what_takes_too_long_costs_that_file_alone(jobs, long_job):
    answers = list(decode([jobs[0], long_job, jobs[1]], workers=1, limit_seconds=1.0))
    assert answers[1] == f"{long_job['path']}: takes longer than 1 s to decode"
    assert [len(answers[i].waveform) for i in (0, 2)] == [1600, 3200]


def test_a_process_that_hangs_is_ended(jobs):
    process = DecodingProcess(limit_seconds=1.0)
    try:
        assert len(process.decode(jobs[0]).waveform) == 1600
        first = process.pid
        os.kill(first, signal.SIGSTOP)
        assert process.decode(jobs[1]) == f"{jobs[1]['path']}: takes longer than 1 s to decode"
        assert not alive(first)
        assert len(process.decode(jobs[1]).waveform) == 3200
    finally:
        process.close()


@pytest.mark.parametrize("way", [signal.SIGSEGV, signal.SIGKILL])
def test_a_crash_in_the_middle_of_a_file(jobs, long_job, way):
    process = DecodingProcess()
    try:
        process.decode(jobs[0])
        with concurrent.futures.ThreadPoolExecutor(1) as thread:
            answer = thread.submit(process.decode, long_job)
            time.sleep(0.3)
            os.kill(process.pid, way)
            reason = answer.result(timeout=20)
        assert reason.endswith(f"the decoding process died of it (exit status {-way})")
        assert len(process.decode(jobs[1]).waveform) == 3200
    finally:
        process.close()


def test_a_file_that_asks_for_too_much_memory_costs_itself(jobs, long_job):
    answers = list(decode([long_job, jobs[0]], workers=1, memory_limit_bytes=300 << 20))
    assert answers[0].startswith(f"{long_job['path']}: MemoryError")
    assert len(answers[1].waveform) == 1600


def test_a_process_that_cannot_start_is_an_error(jobs):
    with pytest.raises(InputError, match="a decoding process cannot be started"):
        list(decode(jobs, workers=1, memory_limit_bytes=20 << 20))


def test_broken_off_no_process_is_left(jobs, long_job):
    before = set(workers_of(os.getpid()))
    answers = decode([jobs[0], *[long_job] * 9], workers=2)
    next(answers)
    assert len(set(workers_of(os.getpid())) - before) == 2
    answers.close()
    assert set(workers_of(os.getpid())) == before


@pytest.mark.parametrize("busy", [False, True])
def test_without_their_parent_workers_end(jobs, long_job, tmp_path, busy):
    """Also one that is at a file, once it is through, and one that hangs, at its own limit."""
    paths = [job["path"] for job in ([jobs[0], long_job] if busy else jobs[:1])]
    with (
        open(tmp_path / "stderr", "w+") as errors,
        subprocess.Popen(
            program("decoding_parent", *paths),
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env=environment(),
        ) as parent,
    ):
        for _ in range(2):
            parent.stdout.readline()
        (worker,) = workers_of(parent.pid)
        assert alive(worker)
        parent.kill()
        parent.wait()
        wait_until(lambda: not alive(worker))
        errors.seek(0)
        assert errors.read() == ""
