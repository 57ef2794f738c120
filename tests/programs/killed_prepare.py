"""A preparation that is killed at random again and again; prints how often it was.

TensorFlow is imported once; every run is a fork of the process, made before TensorFlow starts any
thread.
"""

import os
import random
import signal
import sys
import time

from mmat.labels import LabelSet
from mmat.lists.clip import Clip
from mmat.shards.prepare import prepare

media, out = sys.argv[1:3]
seed, n_clips, most_kills = map(int, sys.argv[3:])
clips = [
    Clip(f"clip {i}", f"{i}.wav", ("a",), split="test" if i % 5 else "train")
    for i in range(n_clips)
]


def run():
    prepare(
        clips,
        media,
        out,
        LabelSet.of(["a"]),
        clip_seconds=0.5,
        clips_per_shard=15,
        workers=kills % 2,
        progress=False,
    )


def started():
    pid = os.fork()
    if pid == 0:
        try:
            run()
        except BaseException as error:
            print(repr(error), file=sys.stderr, flush=True)
            os._exit(1)
        os._exit(0)
    return pid


def written():
    try:
        return sum(entry.stat().st_size for entry in os.scandir(out))
    except FileNotFoundError:  # nothing is there yet, or a part was just renamed
        return 0


# Each run is killed once it has written a random number of bytes of its own, whatever the speed of
# the machine; the first of them before it has written any.
rng, kills, most_bytes = random.Random(seed), 0, n_clips * 16000 // 6
while True:
    before, wanted = written(), rng.randrange(most_bytes) * (kills > 0)
    pid = started()
    while (ended := os.waitpid(pid, os.WNOHANG))[0] == 0:
        if kills < most_kills and written() - before >= wanted:
            os.kill(pid, signal.SIGKILL)
            ended = os.waitpid(pid, 0)
            break
        time.sleep(rng.uniform(0.0, 0.01))
    if ended[1] == 0:
        break
    assert os.WIFSIGNALED(ended[1]), ended[1]
    kills += 1
print(kills)
