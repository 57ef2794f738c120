"""A signal asks once, and what was there before is there again."""

import os
import signal
import threading

import pytest

from mmat.training.loop import SIGNALS, Stopped, StopRequest


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


def test_stopped_is_no_error_that_except_exception_would_hide():
    stopped = Stopped("stopped by SIGTERM", 143)
    assert isinstance(stopped, KeyboardInterrupt) and not isinstance(stopped, Exception)
    assert (str(stopped), stopped.exit_status) == ("stopped by SIGTERM", 143)
