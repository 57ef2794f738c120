"""Shards to which an encoder is added, killed at random again and again.

Prints how often it was killed, and how often in the midst of the adding. TensorFlow is imported
once; every run is a fork of the process, made before TensorFlow starts any thread.
"""

import json
import os
import random
import signal
import sys
import time

from mmat.labels import LabelSet
from mmat.lists.clip import Clip
from mmat.pretrained.registry import AudioEncoder
from mmat.shards.prepare import prepare

media, out, handle = sys.argv[1:4]
seed, n_clips, most_kills = map(int, sys.argv[4:])
encoder = AudioEncoder("tiny", handle, 5, 0.05, 0.075, "embedding", "scores", 3)
clips = [Clip(f"clip {i}", f"{i}.wav", ("Dog",)) for i in range(n_clips)]


def started(**changes):
    pid = os.fork()
    if pid == 0:
        labels = LabelSet.of(["Dog", "Car"])
        options = {"clip_seconds": 1.0, "clips_per_shard": 10, "workers": 0, "progress": False}
        try:
            prepare(clips, media, out, labels, **options, **changes)
        except BaseException as error:
            print(repr(error), file=sys.stderr, flush=True)
            os._exit(1)
        os._exit(0)
    return pid


def state():
    """What is there: names and sizes, so that a kill can wait for a number of changes."""
    found = []
    for entry in os.scandir(out):
        try:
            found.append((entry.name, entry.stat().st_size, entry.stat().st_mtime_ns))
        except FileNotFoundError:  # it was just renamed
            continue
    return sorted(found)


assert os.waitpid(started(), 0)[1] == 0
rng, kills, unfinished = random.Random(seed), 0, 0
while True:
    pid, before, changes, wanted = started(audio_encoder=encoder), state(), 0, rng.randrange(1, 12)
    while (ended := os.waitpid(pid, os.WNOHANG))[0] == 0:
        if (now := state()) != before:
            before, changes = now, changes + 1
        if kills < most_kills and changes >= wanted:
            os.kill(pid, signal.SIGKILL)
            ended = os.waitpid(pid, 0)
            break
        time.sleep(0.0005)
    if ended[1] == 0:
        break
    assert os.WIFSIGNALED(ended[1]), ended[1]
    kills += 1
    with open(os.path.join(out, "index.json")) as file:
        unfinished += "adding" in json.load(file)
print(kills, unfinished)
