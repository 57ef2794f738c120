"""The messages between a decoding process and its parent, and what a hostile process may say."""

import io
import json
import os
import struct
import subprocess

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmat.media.read import Media
from mmat.media.workers import (
    DecodingProcess,
    Malformed,
    read_answer,
    read_job,
    write_answer,
    write_job,
)
from tests.processes import program

SOUND = np.linspace(-1, 1, 1000, dtype=np.float32)
PICTURES = np.arange(2 * 4 * 5 * 3, dtype=np.uint8).reshape(2, 4, 5, 3)


def passed_on(answer, max_bytes=1 << 20):
    pipe = io.BytesIO()
    write_answer(pipe, answer)
    return read_answer(io.BytesIO(pipe.getvalue()), max_bytes)


@pytest.mark.parametrize("waveform", [None, SOUND, SOUND[::2], SOUND[:0]])
@pytest.mark.parametrize("frames", [None, PICTURES, PICTURES[:, ::2], PICTURES[:0]])
def test_media_arrive_as_they_were(waveform, frames):
    media = passed_on(Media(waveform, frames, 1.25))
    assert media.duration_seconds == 1.25
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


GOOD = {"waveform": None, "frames": None, "duration_seconds": 1.0}


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
        message(GOOD | {"waveform": 4}),
        message(GOOD | {"waveform": [-1]}),
        message(GOOD | {"waveform": [True]}),
        message(GOOD | {"waveform": [2, 2]}),
        message(GOOD | {"waveform": [1 << 62]}),
        message(GOOD | {"frames": [1, 1, 1, 4]}),
        message(GOOD | {"frames": [1 << 40, 1 << 40, 1 << 40, 3]}),
        message(GOOD | {"frames": [0, 0, "x", 3]}),
    ],
    ids=range(18),
)
def test_what_is_no_answer_is_malformed(content):
    with pytest.raises(Malformed):
        read_answer(io.BytesIO(content), 1 << 20)


def test_an_answer_larger_than_allowed_is_not_read():
    with pytest.raises(Malformed, match="more than was allowed"):
        passed_on(Media(SOUND, None, 1.0), max_bytes=3999)
    assert len(passed_on(Media(SOUND, None, 1.0), max_bytes=4000).waveform) == 1000


@given(st.data())
def test_damage_is_malformed_or_an_end(data):
    pipe = io.BytesIO()
    write_answer(pipe, Media(SOUND, PICTURES, 1.0))
    whole = pipe.getvalue()
    if data.draw(st.booleans()):
        damaged = whole[: data.draw(st.integers(0, len(whole) - 1))]
        with pytest.raises((EOFError, Malformed)):
            read_answer(io.BytesIO(damaged), 1 << 20)
        return
    damaged = bytearray(whole)
    damaged[data.draw(st.integers(0, 120))] = data.draw(st.integers(0, 255))
    try:
        answer = read_answer(io.BytesIO(damaged), 1 << 20)
    except (EOFError, Malformed):
        return
    assert isinstance(answer, Media | str)


@pytest.mark.parametrize("said", [b"\xff" * 8, message({"reason": 1}), message(b"\x80\x04.")])
def test_a_process_that_says_nonsense_costs_one_file(tmp_path, said):
    """In place of the process stands one that answers every job with the same bytes."""

    class Taken(DecodingProcess):
        def _start(self):
            pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
            self._process = subprocess.Popen(program("saying_bytes", said.hex()), **pipes)

    process = Taken()
    try:
        answer = process.decode({"path": "a.wav"})
    finally:
        process.close()
    assert answer.startswith("a.wav: the decoding process died of it")
