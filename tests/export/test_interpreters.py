"""One network from several threads: the answers of one thread, and no more at once than allowed."""

import concurrent.futures
import os
import threading

import numpy as np
import pytest
import tensorflow as tf

from mmat.export.interpreters import Interpreters, Processors, open_interpreter

N_THREADS = 4


@pytest.fixture(scope="module")
def doubling(tmp_path_factory) -> bytes:
    """A LiteRT file that doubles."""
    module, folder = tf.Module(), str(tmp_path_factory.mktemp("doubling"))
    module.double = tf.function(lambda x: {"y": 2 * x}).get_concrete_function(
        x=tf.TensorSpec((100,), tf.float32, "x")
    )
    tf.saved_model.save(module, folder, module.double)
    return tf.lite.TFLiteConverter.from_saved_model(folder).convert()


def test_answers_of_several_threads_do_not_mix(doubling):
    network, start = Interpreters(doubling), threading.Barrier(N_THREADS)

    def ask(number: int) -> bool:
        start.wait()
        given = np.full(100, number, np.float32)
        answers = []
        for _ in range(50):
            with network.signatures(1) as signatures:
                answers.append(signatures["serving_default"](x=given)["y"])
        return (np.stack(answers) == 2 * number).all()

    with concurrent.futures.ThreadPoolExecutor(N_THREADS) as threads:
        assert all(threads.map(ask, range(N_THREADS)))


def test_an_interpreter_is_used_again_and_never_by_two(doubling):
    network = Interpreters(doubling)
    with network.signatures(1) as first, network.signatures(1) as second:
        assert first is not second
    with network.signatures(1) as again:
        assert again in (first, second)
    with network.signatures(2) as wider:
        assert wider is not first and wider is not second


def test_one_that_failed_is_given_back(doubling):
    network = Interpreters(doubling)
    with pytest.raises(ValueError), network.signatures(1) as failed:
        failed["serving_default"](nothing=np.zeros(7, np.float32))
    with network.signatures(1) as again:
        assert again is failed
        assert (again["serving_default"](x=np.ones(100, np.float32))["y"] == 2).all()


def test_no_more_calls_compute_at_once_than_there_are_processors():
    processors, lock = Processors(2), threading.Lock()
    now, most, both = 0, 0, threading.Barrier(2)

    def compute(number: int) -> int:
        nonlocal now, most
        with processors.some() as n:
            with lock:
                now += 1
                most = max(most, now)
            if number < 2:
                both.wait(timeout=30)  # so that two are seen at once
            with lock:
                now -= 1
        return n

    with concurrent.futures.ThreadPoolExecutor(8) as threads:
        shares = list(threads.map(compute, range(100)))
    assert most == 2 and sorted(shares[:2]) == [1, 2]
    with processors.some() as n:
        assert n == 2  # alone once more


def test_opening_says_what_others_say_meanwhile_and_nothing_of_its_own(doubling, capfd):
    open_interpreter(1, doubling)
    os.write(2, b"a line of ours\n")
    assert capfd.readouterr().err == "a line of ours\n"


def test_standard_error_is_as_it_was_where_several_are_opened_at_once(doubling):
    before, start = os.fstat(2), threading.Barrier(N_THREADS)

    def open_some(_):
        for _ in range(20):
            start.wait(timeout=30)
            open_interpreter(1, doubling)

    with concurrent.futures.ThreadPoolExecutor(N_THREADS) as threads:
        list(threads.map(open_some, range(N_THREADS)))
    assert os.path.samestat(os.fstat(2), before)
