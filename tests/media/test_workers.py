"""Worker processes: order, start-up, crashes, limits, and the protocol that they speak."""

import concurrent.futures
import contextlib
import io
import json
import os
import pathlib
import signal
import struct
import subprocess
import time

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from mmat.files import InputError
from mmat.media.read import Media
from mmat.media.windows import HeldWindows, MediaStream, Window, WindowSpec
from mmat.media.workers import (
    DecodingProcess,
    Malformed,
    decode,
    read_job,
    read_result,
    read_windows,
    write_job,
    write_result,
    write_windows,
)
from tests.media.made_media import make_sine, write_media_file
from tests.processes import environment, program, run_process


@pytest.fixture
def jobs(tmp_path):
    """Ten sound files; file i is i + 1 tenths of a second long, number 3 is missing."""
    for i in range(10):
        if i != 3:
            soundfile.write(tmp_path / f"{i}.wav", np.full(1600 * (i + 1), 0.5), 16000)
    return [{"path": tmp_path / f"{i}.wav"} for i in range(10)]


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_results_come_in_the_order_of_the_jobs(jobs, workers):
    results = list(decode(jobs, workers))
    assert results.pop(3) == f"{jobs[3]['path']}: no such file"
    lengths = [len(media.waveform) for media in results]
    assert lengths == [1600 * (i + 1) for i in range(10) if i != 3]


def test_jobs_are_drawn_as_they_are_needed(jobs):
    drawn = []
    results = decode((drawn.append(job) or job for job in jobs * 20), workers=1)
    next(results)
    assert len(drawn) <= 5
    results.close()


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
            result = thread.submit(process.decode, jobs[2])
            time.sleep(0.1)
            os.kill(first, signal.SIGKILL)
            reason = result.result(timeout=20)
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
    results = list(decode([jobs[0], long_job, jobs[1]], workers=1, limit_seconds=1.0))
    assert results[1] == f"{long_job['path']}: takes longer than 1 s to decode"
    assert [len(results[i].waveform) for i in (0, 2)] == [1600, 3200]


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
            result = thread.submit(process.decode, long_job)
            time.sleep(0.3)
            os.kill(process.pid, way)
            reason = result.result(timeout=20)
        assert reason.endswith(f"the decoding process died of it (exit status {-way})")
        assert len(process.decode(jobs[1]).waveform) == 3200
    finally:
        process.close()


def test_a_file_that_asks_for_too_much_memory_costs_itself(jobs, long_job):
    results = list(decode([long_job, jobs[0]], workers=1, memory_limit_bytes=300 << 20))
    assert results[0].startswith(f"{long_job['path']}: MemoryError")
    assert len(results[1].waveform) == 1600


def test_a_process_that_cannot_start_is_an_error(jobs):
    with pytest.raises(InputError, match="a decoding process cannot be started"):
        list(decode(jobs, workers=1, memory_limit_bytes=20 << 20))


def test_broken_off_no_process_is_left(jobs, long_job):
    before = set(workers_of(os.getpid()))
    results = decode([jobs[0], *[long_job] * 9], workers=2)
    next(results)
    assert len(set(workers_of(os.getpid())) - before) == 2
    results.close()
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


SOUND = np.linspace(-1, 1, 1000, dtype=np.float32)
PICTURES = np.arange(2 * 4 * 5 * 3, dtype=np.uint8).reshape(2, 4, 5, 3)


def passed_on(result, max_bytes=1 << 20):
    pipe = io.BytesIO()
    write_result(pipe, result)
    return read_result(io.BytesIO(pipe.getvalue()), max_bytes)


@pytest.mark.parametrize("waveform", [None, SOUND, SOUND[::2], SOUND[:0]])
@pytest.mark.parametrize("frames", [None, PICTURES, PICTURES[:, ::2], PICTURES[:0]])
def test_media_arrive_as_they_were(waveform, frames):
    media = passed_on(Media(waveform, frames, 1.25, "it ends at 1.2 s\nof 2.0 s"))
    assert media.duration_seconds == 1.25 and media.problem == "it ends at 1.2 s of 2.0 s"
    for sent, came in ((waveform, media.waveform), (frames, media.frames)):
        assert (sent is None) == (came is None)
        if sent is not None:
            assert came.dtype == sent.dtype
            np.testing.assert_array_equal(came, sent)


def test_a_reason_is_one_line():
    assert passed_on("a.wav:\nno\tsound") == "a.wav: no sound"
    assert len(passed_on("x" * (1 << 24))) < 1 << 20


def test_a_job_keeps_a_path_that_is_no_text_and_numbers_of_numpy():
    pipe = io.BytesIO()
    path = os.fsdecode(b"caf\xe9.wav")
    write_job(pipe, {"path": path, "end_seconds": np.float32(0.5), "n_frames": np.int64(3)})
    assert read_job(io.BytesIO(pipe.getvalue())) == {
        "path": path,
        "end_seconds": 0.5,
        "n_frames": 3,
    }


def message(header, payload=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack(">I", len(text)) + text + payload


GOOD = {"waveform": None, "frames": None, "duration_seconds": 1.0, "problem": ""}


@pytest.mark.parametrize(
    "content",
    [
        b"\xff\xff\xff\xff",
        message(b"\x80\x04."),  # a pickle
        message(b"[" * 100_000),
        message([]),
        message({}),
        message({"reason": 3}),
        message(GOOD | {"extra": 1}),
        message(GOOD | {"duration_seconds": "long"}),
        message(GOOD | {"duration_seconds": float("nan")}),
        message(GOOD | {"duration_seconds": -1.0}),
        message(GOOD | {"problem": 1}),
        message(GOOD | {"waveform": 4}),
        message(GOOD | {"waveform": [-1]}),
        message(GOOD | {"waveform": [True]}),
        message(GOOD | {"waveform": [2, 2]}),
        message(GOOD | {"waveform": [1 << 62]}),
        message(GOOD | {"frames": [1, 1, 1, 4]}),
        message(GOOD | {"frames": [1 << 40, 1 << 40, 1 << 40, 3]}),
        message(GOOD | {"frames": [0, 0, "x", 3]}),
    ],
    ids=range(19),
)
def test_what_is_no_result_is_malformed(content):
    with pytest.raises(Malformed):
        read_result(io.BytesIO(content), 1 << 20)


def test_a_result_larger_than_allowed_is_not_read():
    with pytest.raises(Malformed, match="more than was allowed"):
        passed_on(Media(SOUND, None, 1.0), max_bytes=3999)
    assert len(passed_on(Media(SOUND, None, 1.0), max_bytes=4000).waveform) == 1000


@given(st.data())
def test_damage_is_malformed_or_an_end(data):
    pipe = io.BytesIO()
    write_result(pipe, Media(SOUND, PICTURES, 1.0))
    whole = pipe.getvalue()
    if data.draw(st.booleans()):
        damaged = whole[: data.draw(st.integers(0, len(whole) - 1))]
        with pytest.raises((EOFError, Malformed)):
            read_result(io.BytesIO(damaged), 1 << 20)
        return
    damaged = bytearray(whole)
    damaged[data.draw(st.integers(0, 120))] = data.draw(st.integers(0, 255))
    try:
        result = read_result(io.BytesIO(damaged), 1 << 20)
    except (EOFError, Malformed):
        return
    assert isinstance(result, Media | str)


@pytest.mark.parametrize("sent", [b"\xff" * 8, message({"reason": 1}), message(b"\x80\x04.")])
def test_a_process_that_sends_nonsense_costs_one_file(tmp_path, sent):
    """In place of the process stands one that results every job with the same bytes."""

    class Taken(DecodingProcess):
        def _start(self):
            pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
            self._process = subprocess.Popen(program("saying_bytes", sent.hex()), **pipes)

    process = Taken()
    try:
        result = process.decode({"path": "a.wav"})
    finally:
        process.close()
    assert result.startswith("a.wav: the decoding process died of it")


def test_windows_are_those_of_the_file(tmp_path):
    """Sound ends at 13 s, pictures at 16 s."""
    path = write_media_file(tmp_path / "a.mp4", sound=make_sine(13.0), n_pictures=32, fps=2)
    spec = WindowSpec(clip_seconds=5.0, hop_seconds=2.5, n_frames=3, square_px=32)
    process = DecodingProcess()
    held = process.decode_windows(path, spec, until_seconds=60.0)
    with MediaStream(path, spec) as stream:
        for own, there in zip(held, stream, strict=True):
            assert own.start_seconds == there.start_seconds
            assert own.media.duration_seconds == there.media.duration_seconds
            np.testing.assert_array_equal(own.picture_seconds, there.picture_seconds)
            np.testing.assert_array_equal(own.media.frames, there.media.frames)
            if there.media.waveform is None:
                assert own.media.waveform is None
            else:
                np.testing.assert_array_equal(own.media.waveform, there.media.waveform)
        assert (held.aspect, held.problem) == (stream.aspect, stream.problem)
        assert held.seconds == pytest.approx(stream.seconds, abs=0.1)
    assert process.decode_windows(path, spec, until_seconds=6.0).seconds == 7.5
    missing = process.decode_windows(tmp_path / "b.mp4", spec, 60.0)
    assert missing == f"{tmp_path / 'b.mp4'}: no such file"
    process.close()


@pytest.mark.parametrize(
    "cut",
    [
        [0.0, 1.0, 17, None, []],
        [0.0, 1.0, -1, None, []],
        [0.0, 1.0, True, None, []],
        [0.0, 1.0, None, 1, [0.5]],
        [0.0, 1.0, 16, None, [0.5]],
        [-1.0, 1.0, 16, None, []],
        [0.0, float("nan"), 16, None, []],
        ["now", 1.0, 16, None, []],
        [0.0, 1.0, 16],
        None,
    ],
)
def test_windows_that_are_none_are_malformed(cut):
    window = Window(0.0, Media(np.zeros(16, np.float32), None, 0.001), np.zeros(0))
    pipe = io.BytesIO()
    write_windows(pipe, HeldWindows((window,)))
    whole = io.BytesIO()
    write_result(whole, Media(np.zeros(16, np.float32), None, 0.001))
    write_job(whole, {"aspect": 1.0, "cuts": [cut]})
    assert read_windows(io.BytesIO(pipe.getvalue()), 1000).windows[0].start_seconds == 0
    with pytest.raises(Malformed, match="no windows"):
        read_windows(io.BytesIO(whole.getvalue()), 1000)
