import concurrent.futures
import threading

import pytest

from mmat.files import InputError
from mmat.tagging.ahead import AHEAD_SECONDS, MOST_BEGUN, work_ahead


def show(done: float, whole: float) -> None:
    pass


def test_results_come_in_order_whichever_is_first_done():
    """The first work waits for the second one, which would never end one after the other."""
    second = threading.Event()

    def wait(progress):
        assert second.wait(60)
        return "first"

    def go_on(progress):
        second.set()
        return "second"

    assert [job.result(show) for job in work_ahead([wait, go_on])] == ["first", "second"]


def test_no_more_is_begun_than_the_bound():
    begun, taken = [], 0

    def work(progress):
        begun.append(1)
        return len(begun)

    for job in work_ahead([work] * 40):
        assert len(begun) <= taken + MOST_BEGUN
        job.result(show)
        taken += 1
    assert taken == len(begun) == 40


def test_an_error_is_that_of_its_own_work():
    def fail(progress):
        raise InputError("broken")

    jobs = list(work_ahead([lambda progress: 1, fail, lambda progress: 3]))
    assert [jobs[n].result(show) for n in (0, 2)] == [1, 3]
    with pytest.raises(InputError, match="broken"):
        jobs[1].result(show)


def test_a_long_file_waits_for_its_turn():
    done = {0: [], 1: []}
    is_there = threading.Event()

    def work(number, progress):
        for seconds in (1.0, AHEAD_SECONDS, AHEAD_SECONDS + 1):
            if number == 1 and seconds > AHEAD_SECONDS:
                is_there.set()
            progress(seconds, AHEAD_SECONDS + 1)
            done[number].append(seconds)

    works = [lambda progress, n=n: work(n, progress) for n in (0, 1)]
    jobs = work_ahead(works)
    next(jobs).result(show)
    assert is_there.wait(60)
    assert done == {0: [1.0, AHEAD_SECONDS, AHEAD_SECONDS + 1], 1: [1.0, AHEAD_SECONDS]}
    shown = []
    next(jobs).result(lambda *seconds: shown.append(seconds))
    assert done[1] == done[0] and shown == [(AHEAD_SECONDS + 1, AHEAD_SECONDS + 1)]


def test_what_was_begun_stops_where_the_rest_is_not_wanted():
    ends, begun = [], threading.Barrier(3)

    def work(progress):
        begun.wait(60)
        try:
            while True:
                progress(1.0, 2.0)
        except concurrent.futures.CancelledError:
            ends.append(1)
            raise

    def wait_for_the_turn(progress):
        begun.wait(60)
        progress(AHEAD_SECONDS + 1, AHEAD_SECONDS + 1)
        ends.append("never")

    jobs = work_ahead([lambda progress: begun.wait(60), work, wait_for_the_turn])
    next(jobs).result(show)
    jobs.close()  # comes back
    assert ends == [1]


def test_what_is_not_ready_is_done_in_its_turn_by_the_caller():
    def where(progress):
        return threading.get_ident()

    jobs = work_ahead([where] * 3, is_ready=lambda number: number != 1)
    found = [job.result(show) == threading.get_ident() for job in jobs]
    assert found == [False, True, False]
