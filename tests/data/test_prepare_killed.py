"""Killed at any moment, or out of space: what is there is valid, and the next run goes on."""

import os
import subprocess
import sys

import numpy as np
import pytest
import soundfile

from mmat.data.datasets import read_arrays
from mmat.data.verify import verify

N_CLIPS = 60

# TensorFlow is imported once; every run is a fork of the process, made before TensorFlow starts
# any thread. It prints how many of the runs were killed.
KILLED_AT_RANDOM = """
import os, random, signal, sys, time
from mmat.data.lists import Clip
from mmat.data.prepare import prepare
from mmat.labels import LabelSet

media, out = sys.argv[1:3]
seed, n_clips, most_kills = map(int, sys.argv[3:])
clips = [Clip(f"clip {i}", f"{i}.wav", ("a",), split="test" if i % 5 else "train")
         for i in range(n_clips)]


def run():
    prepare(clips, media, out, LabelSet.of(["a"]), clip_seconds=0.5, clips_per_shard=15,
            workers=kills % 2, progress=False)


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
"""


@pytest.fixture(scope="module")
def media(tmp_path_factory):
    """Sixty short sounds, of which every seventh is none."""
    folder = tmp_path_factory.mktemp("media")
    rng = np.random.default_rng(0)
    for i in range(N_CLIPS):
        soundfile.write(folder / f"{i}.wav", rng.normal(0, 0.1, 8000), 16000)
        if i % 7 == 3:
            (folder / f"{i}.wav").write_text("no sound, no sound")
    return folder


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_killed_again_and_again_it_ends_with_the_same_bytes(media, tmp_path):
    from mmat.data.lists import Clip
    from mmat.data.prepare import prepare
    from mmat.labels import LabelSet

    command = [sys.executable, "-c", KILLED_AT_RANDOM, str(media), str(tmp_path / "killed")]
    done = subprocess.run([*command, "1", str(N_CLIPS), "16"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) >= 4
    clips = [
        Clip(f"clip {i}", f"{i}.wav", ("a",), split="test" if i % 5 else "train")
        for i in range(N_CLIPS)
    ]
    labels = LabelSet.of(["a"])
    prepare(
        clips, media, tmp_path / "whole", labels, clip_seconds=0.5, clips_per_shard=15, workers=0,
        progress=False,
    )  # fmt: skip
    assert contents(tmp_path / "killed") == contents(tmp_path / "whole")
    ids = [x for split in ("train", "test") for x in read_arrays(tmp_path / "killed", split)["ids"]]
    assert sorted(ids) == sorted(f"clip {i}" for i in range(N_CLIPS) if i % 7 != 3)
    assert verify(tmp_path / "killed", progress=False).clips == len(ids)


# --- a full disk

# In a file system of the process's own, which grows each time it is full.
ON_A_SMALL_DISK = """
import shutil, subprocess, sys
from mmat.data.lists import Clip
from mmat.data.prepare import prepare
from mmat.data.verify import verify
from mmat.errors import InputError
from mmat.labels import LabelSet

media, out, copy = sys.argv[1:]
clips = [Clip(f"clip {i}", f"{i}.wav", ("a",)) for i in range(40)]
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4k", "none", out], check=True)
for size_kb in range(8, 4000, 60):
    subprocess.run(["mount", "-o", f"remount,size={size_kb}k", out], check=True)
    try:
        prepare(clips, media, out, LabelSet.of(["a"]), clip_seconds=0.5, clips_per_shard=10,
                workers=0, progress=False)
    except InputError as full:
        print(full)
        if (verify(out, progress=False).complete):
            sys.exit("complete, yet full")
    else:
        break
shutil.copytree(out, copy)
"""


def has_own_mounts():
    """Whether this system lets a process have mounts of its own."""
    try:
        command = ["unshare", "-Urm", "mount", "-t", "tmpfs", "none", "/mnt"]
        return subprocess.run(command, capture_output=True).returncode == 0
    except FileNotFoundError:
        return False


def prepared(media, out):
    from mmat.data.lists import Clip
    from mmat.data.prepare import prepare
    from mmat.labels import LabelSet

    clips = [Clip(f"clip {i}", f"{i}.wav", ("a",)) for i in range(40)]
    prepare(
        clips, media, out, LabelSet.of(["a"]), clip_seconds=0.5, clips_per_shard=10, workers=0,
        progress=False,
    )  # fmt: skip
    return contents(out)


@pytest.mark.skipif(not has_own_mounts(), reason="needs mounts of the process's own")
def test_a_full_disk_is_told_and_gone_on_from(media, tmp_path):
    (tmp_path / "disk").mkdir()
    command = ["unshare", "-Urm", sys.executable, "-c", ON_A_SMALL_DISK]
    folders = [media, tmp_path / "disk", tmp_path / "copy"]
    done = subprocess.run([*command, *map(str, folders)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    told = done.stdout.splitlines()
    assert len(told) > 3
    for line in told:
        assert line.startswith(str(tmp_path / "disk"))
        assert ": No space left on device; the finished shards are valid: make space" in line
    assert contents(tmp_path / "copy") == prepared(media, tmp_path / "whole")


LIMITED = """
import resource, sys
from mmat.cli import main

resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), resource.RLIM_INFINITY))
sys.exit(main(sys.argv[2:]))
"""


def test_a_limit_of_the_size_of_files_is_one_line_and_status_2(media, tmp_path):
    rows = [f"clip {i},{i}.wav,a" for i in range(40)]
    (tmp_path / "list.csv").write_text("\n".join(["id,file,labels", *rows]))
    words = ["prepare", tmp_path / "list.csv", "--media", media, "--out", tmp_path / "shards"]
    words += ["--image-model", "none", "--clip-seconds", "0.5", "--clips-per-shard", "10"]
    command = [sys.executable, "-c", LIMITED, "50000", *map(str, [*words, "--workers", "0"])]
    # A user's environment: mmat quiets TensorFlow unless told otherwise.
    environment = {k: v for k, v in os.environ.items() if k != "TF_CPP_MIN_LOG_LEVEL"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    part = tmp_path / "shards" / "train-00000-of-00004.tfrecord.part"
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        f"mmat: error: {part}: File too large; the finished shards are valid: make space and run "
        "the same command again, which goes on from here\n"
    )
    found = verify(tmp_path / "shards", progress=False)
    assert (found.complete, found.shards, found.begun) == (False, 0, 3)
    assert prepared(media, tmp_path / "shards") == prepared(media, tmp_path / "whole")
