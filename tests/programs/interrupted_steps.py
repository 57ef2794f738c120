"""Works on files ahead of their turn, with Ctrl-C at one step of the main thread after another.

Prints how many of these runs ended by KeyboardInterrupt, and how many there were. Where a thread
waits for ever, the place is printed and the exit status is 1.
"""

import faulthandler
import signal
import sys

from mmat.tagging.ahead import work_ahead

STEP = 7  # instructions of Python
N_WORKS = 3
HANGS_SECONDS = 60.0


def tag() -> None:
    jobs = work_ahead([lambda progress: progress(1.0, 1.0)] * N_WORKS)
    try:
        for _ in range(N_WORKS):
            next(jobs).result(lambda done, whole: None)
    finally:
        sys.settrace(None)
        jobs.close()


def interrupted_at(step: int) -> bool | None:
    """Return whether `tag` was interrupted, None where it has fewer steps."""
    left = step

    def trace(frame, event, argument):
        nonlocal left
        frame.f_trace_opcodes = True
        left -= event == "opcode"
        if left == 0:
            sys.settrace(None)
            left = -1
            signal.raise_signal(signal.SIGINT)
        return trace

    sys.settrace(trace)
    try:
        tag()
    except KeyboardInterrupt:
        return True
    return False if left == -1 else None


def main() -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job ignores it
    tag()  # what is imported when it is first needed is no step
    found = []
    while found[-1:] != [None]:
        faulthandler.dump_traceback_later(HANGS_SECONDS, exit=True)
        found.append(interrupted_at(1 + STEP * len(found)))
    print(sum(map(bool, found)), len(found) - 1)


if __name__ == "__main__":
    main()
