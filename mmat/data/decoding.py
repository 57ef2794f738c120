"""Many media files decoded at once, by worker processes, with bounded memory.

No TensorFlow here: the workers import this module, and start in a fraction of a second.
"""

import collections
import concurrent.futures
import multiprocessing
from collections.abc import Iterable, Iterator
from concurrent.futures.process import BrokenProcessPool

from mmat.data.media import Media, read_media
from mmat.errors import InputError

_AHEAD_A_WORKER = 4  # so many files a worker are decoded in advance at most


def decode(jobs: Iterable[dict], workers: int = 2) -> Iterator[Media | str]:
    """Yield for every job, in order, its media, or in a line why they cannot be read.

    jobs: arguments of `mmat.data.media.read_media`. workers: processes; 0 decodes in this one.
    Raises InputError when a process dies.

    >>> list(decode([{"path": "no such.wav"}], workers=0))
    ['no such.wav: no such file']
    """
    if workers == 0:
        yield from map(_decode_one, jobs)
        return
    # Spawned, because a forked child of a process with TensorFlow's threads may hang.
    context = multiprocessing.get_context("spawn")
    pool = concurrent.futures.ProcessPoolExecutor(workers, mp_context=context)
    waiting: collections.deque = collections.deque()
    try:
        for job in jobs:
            waiting.append((job, pool.submit(_decode_one, job)))
            if len(waiting) == workers * _AHEAD_A_WORKER:
                yield waiting[0][1].result()
                waiting.popleft()
        while waiting:
            yield waiting[0][1].result()
            waiting.popleft()
    except BrokenProcessPool:
        near = f", perhaps at {waiting[0][0]['path']}" if waiting else ""
        raise InputError(
            f"prepare: a decoding process died{near}; take that file out, and in a script call "
            'prepare under `if __name__ == "__main__":`'
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)


def _decode_one(job: dict) -> Media | str:
    try:
        return read_media(**job)
    except InputError as error:
        return str(error)
    except Exception as error:  # whatever a codec does with a damaged file costs that file alone
        return f"{job['path']}: {type(error).__name__}: {' '.join(str(error).split())}"
