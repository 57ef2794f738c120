import concurrent.futures
import os
import signal
import threading

import pytest

from mmat.signals import SIGNALS, StopRequest, interrupt_held, result_of
from tests.processes import program, run_process


@pytest.fixture
def caught():
    """Handlers of this test's own, and which of the signals reached them."""
    numbers = []
    before = {
        number: signal.signal(number, lambda n, frame: numbers.append(n)) for number in SIGNALS
    }
    yield numbers
    for number, handler in before.items():
        signal.signal(number, handler)


def handlers():
    return [signal.getsignal(number) for number in SIGNALS]


@pytest.mark.parametrize("number", SIGNALS)
def test_the_first_asks_and_the_second_does_what_it_always_did(caught, number):
    before = handlers()
    with StopRequest() as request:
        assert request.signal_number is None
        os.kill(os.getpid(), number)
        assert (request.signal_number, caught) == (number, [])
        assert handlers() == before
        os.kill(os.getpid(), number)
        assert caught == [number]
    assert handlers() == before


def test_unasked_it_leaves_the_handlers_as_they_were_even_after_an_error(caught):
    before = handlers()
    with pytest.raises(ZeroDivisionError), StopRequest() as request:
        assert handlers() != before
        raise ZeroDivisionError
    assert request.signal_number is None
    assert handlers() == before


def test_an_ignored_signal_stays_ignored(caught):
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with StopRequest() as request:
        os.kill(os.getpid(), signal.SIGINT)
        assert request.signal_number is None
        os.kill(os.getpid(), signal.SIGTERM)
        assert request.signal_number == signal.SIGTERM
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


def test_beside_the_main_thread_nothing_is_changed(caught):
    before, seen = handlers(), []

    def within():
        with StopRequest():
            seen.append(handlers())

    thread = threading.Thread(target=within)
    thread.start()
    thread.join()
    assert seen == [before] and handlers() == before


def test_held_ctrl_c_is_raised_at_the_end_and_after_what_was_to_be_done():
    done = []
    with pytest.raises(KeyboardInterrupt), interrupt_held():
        signal.raise_signal(signal.SIGINT)
        done.append(1)
    assert done == [1]
    with interrupt_held():
        pass


def test_a_result_is_that_of_the_future():
    def fail():
        raise TimeoutError("of the work itself")

    with concurrent.futures.ThreadPoolExecutor() as threads:
        assert result_of(threads.submit(pow, 2, 5)) == 32
        with pytest.raises(TimeoutError, match="of the work itself"):
            result_of(threads.submit(fail))


def test_ctrl_c_is_neither_lost_nor_leaves_a_lock_closed_wherever_it_comes():
    done = run_process(program("interrupted_steps"))
    assert (done.returncode, done.stderr) == (0, "")
    n_interrupted, n_steps = map(int, done.stdout.split())
    assert n_interrupted == n_steps > 100
