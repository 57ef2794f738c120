"""Functions that a worker process is asked for in the tests."""

import os
import sys
import time

from benchmarks.contest import Seconds


def sleeper(seconds: float):
    return lambda: time.sleep(seconds)


def sayer(seconds: float):
    return lambda: Seconds(seconds)


def loud(value):
    print("a library greets")
    return value


def end(words: str):
    print(words, file=sys.stderr, flush=True)
    os._exit(1)
